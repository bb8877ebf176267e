"""Recordings that are uploaded: named, refused when they are too much, and never kept."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from langaudio import audio
from langaudio.settings import settings
from tests.train import spoken


def flac(samples: np.ndarray) -> bytes:
    return audio.to_flac(samples.astype(np.float32), audio.SAMPLE_RATE)


def speech(repeated: int = 1) -> bytes:
    return flac(np.concatenate([spoken.said("fr", 1)] * repeated))


def asked(small: TestClient, content: bytes, name: str = "a.flac", **form: object) -> dict[str, object]:
    answer = small.post("/api/identify", files={"recording": (name, content)}, data=form)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_recording_is_named_with_probabilities(small: TestClient) -> None:
    found = asked(small, speech())
    answer = found["answer"]
    assert answer["outcome"] == "language"
    champion = next(one for one in small.get("/api/models").json() if one["champion"])
    assert answer["version"] == champion["number"]
    assert answer["language"] == next(iter(answer["probabilities"]))
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert asked(small, speech(), among=["fr", "ru"])["answer"]["probabilities"].keys() == {"fr", "ru"}


def test_silence_is_no_speech(small: TestClient) -> None:
    assert asked(small, flac(np.zeros(48_000)))["answer"]["outcome"] == "no speech"
    page = small.post("/identify", files={"recording": ("quiet.flac", flac(np.zeros(48_000)))}).text
    assert "No speech" in page
    assert "quiet.flac" in page


def test_a_long_recording_has_a_timeline(small: TestClient) -> None:
    content = speech(repeated=12)
    found = asked(small, content)
    assert found["duration_s"] > 20
    assert found["spans"]
    page = small.post("/identify", files={"recording": ("long.flac", content)}).text
    assert "What is spoken when" in page
    assert (
        "What is spoken when" not in small.post("/identify", files={"recording": ("a.flac", speech())}).text
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"no audio at all", "The recording is no audio that can be read"), (b"", "The file is empty")],
)
def test_what_is_no_audio_is_refused_in_a_sentence(small: TestClient, content: bytes, sentence: str) -> None:
    answer = small.post("/api/identify", files={"recording": ("a.mp3", content)})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    assert tempfile.gettempdir() not in answer.text
    page = small.post("/identify", files={"recording": ("a.mp3", content)}, headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert sentence in page.text


def test_a_file_name_stays_text(small: TestClient) -> None:
    name = "<script>alert(1)</script>.mp3"
    for content in (b"no audio", flac(np.zeros(48_000))):
        page = small.post("/identify", files={"recording": (name, content)}).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_a_language_that_the_model_does_not_know_is_told(small: TestClient) -> None:
    answer = small.post("/api/identify", files={"recording": ("a.flac", speech())}, data={"among": ["xx"]})
    assert answer.status_code == 422
    assert "does not know 'xx'" in answer.json()["detail"]


@pytest.mark.parametrize("told", [True, False], ids=["told before", "found out"])
def test_too_large_a_file_is_refused(small: TestClient, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    monkeypatch.setenv("LANGAUDIO_MAX_UPLOAD_MIB", "0.5")
    settings.cache_clear()
    boundary = b"--x\r\nContent-Disposition: form-data; name=recording; filename=a\r\n\r\n"
    body = boundary + bytes(2**20) + b"\r\n--x--\r\n"
    # Without its length told, a body is sent in chunks.
    content = body if told else iter([body[: 2**19], body[2**19 :]])
    answer = small.post(
        "/api/identify", content=content, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 413
    assert "at most 0.5 MiB are taken" in answer.json()["detail"]


def test_what_takes_too_long_is_given_up(small: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_MAX_UPLOAD_S", "0.000001")
    settings.cache_clear()
    # Long enough that no process has an answer before anybody looks at the clock.
    answer = small.post("/api/identify", files={"recording": ("a.flac", speech(repeated=60))})
    assert answer.status_code == 503
    assert "took too long" in answer.json()["detail"]


def test_nothing_is_kept(small: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    asked(small, speech())
    small.post("/api/identify", files={"recording": ("a.mp3", io.BytesIO(b"no audio"))})
    assert list(tmp_path.iterdir()) == []
