"""The command line as a user meets it: its output, its exit status.

Most commands run in the tests' own process, which has imported what they need; what has to do with starting
is seen in processes of their own.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from langaudio import cli
from langaudio.calibration import Calibration
from langaudio.settings import Settings
from langaudio.store import Store
from langaudio.train.artifact import save_model
from tests.conftest import forget_cached, free_port
from tests.train import spoken as speech

Done = subprocess.CompletedProcess[str]


def langaudio(*arguments: str, **variables: str) -> Done:
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["langaudio", *arguments])
        for name, value in variables.items():
            patch.setenv(f"LANGAUDIO_{name}", value)
        forget_cached()
        try:
            cli.main()
        except SystemExit as ended:
            status = int(ended.code or 0)
    forget_cached()
    return Done(arguments, status, out.getvalue(), err.getvalue())


def process(*arguments: str, **variables: str) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "langaudio.cli", *arguments],
        env={**os.environ, **{f"LANGAUDIO_{name}": value for name, value in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


def sentence(done: Done) -> str:
    """Return what a refused command said: one line, status 2, nothing on standard output."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("langaudio: ")
    return last


@pytest.mark.usefixtures("store")
def test_a_wrong_language_is_refused() -> None:
    assert "did you mean 'fr'" in sentence(process("crawl", "frr", "--source", "demo"))


@pytest.mark.usefixtures("store")
def test_an_unreachable_site_is_told(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    told = sentence(langaudio("crawl", "fr", "--source", "demo", DEMO_URL=away))
    assert away in told
    assert "is the site up?" in told


@pytest.mark.usefixtures("configured")
def test_an_unreachable_bucket_is_told() -> None:
    away = f"http://127.0.0.1:{free_port()}"
    assert "is it running?" in sentence(langaudio("augment", "fr", S3_ENDPOINT=away))


@pytest.mark.usefixtures("store")
def test_wrong_s3_keys_are_told() -> None:
    told = sentence(langaudio("augment", "fr", S3_SECRET_KEY="wrong"))
    assert "LANGAUDIO_S3_SECRET_KEY" in told
    assert "wrong" not in told


@pytest.mark.usefixtures("store")
def test_an_empty_corpus_is_told() -> None:
    assert "crawl and upload more" in sentence(langaudio("augment", "fr"))
    assert "'2' is no part of a language" in sentence(langaudio("augment", "fr", "--part", "2"))
    assert "crawl, upload and augment more" in sentence(langaudio("train", "fr", "en"))
    assert "run `langaudio crawl fr" in sentence(langaudio("upload", "fr"))


@pytest.mark.usefixtures("store")
def test_a_wrong_language_is_not_left_out_of_a_training() -> None:
    told = sentence(langaudio("train", "fr", "en", "xx"))
    assert "'xx' is not a known language tag" in told


@pytest.mark.usefixtures("store")
def test_an_unreachable_mlflow_is_told_once(tmp_path: Path) -> None:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"")
    away = f"http://127.0.0.1:{free_port()}"
    for command in (["identify", str(recording)], ["rollback"]):
        done = process(*command, MLFLOW_URI=away)
        assert f"MLflow at {away} does not answer as it should (" in sentence(done)
        assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("store")
def test_a_language_of_one_speaker_is_told(spoken: bytes, also_spoken: bytes, tmp_path: Path) -> None:
    manifest = ["path,language,speaker,split"]
    for number, language in enumerate(("fr", "de")):
        for data in (spoken, also_spoken):
            name = f"{language}-{len(manifest)}.mp3"
            (tmp_path / name).write_bytes(data + bytes(number))
            manifest.append(f"{name},{language},somebody,train")
    (tmp_path / "manifest.csv").write_text("\n".join(manifest))
    langaudio("import", str(tmp_path))
    for language in ("fr", "de"):
        assert langaudio("augment", language, "--copies", "0").returncode == 0
    told = sentence(langaudio("train", "fr", "de"))
    assert "'fr' has 2 clips of 1 speaker and none of them in dev or test" in told
    assert "crawl clips of more speakers" in told


@pytest.mark.usefixtures("store")
def test_a_clip_to_draw_that_is_no_audio_is_told(tmp_path: Path) -> None:
    text = tmp_path / "text.mp3"
    text.write_text("The recording follows.")
    told = sentence(langaudio("figures", "--clip", str(text), "--folder", str(tmp_path / "figures")))
    assert f"{text} is no audio" in told
    assert not list((tmp_path / "figures").glob("*"))


@pytest.mark.usefixtures("store")
def test_asking_without_a_champion_is_told(tmp_path: Path) -> None:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"")
    assert "no champion" in sentence(langaudio("identify", str(recording)))


@pytest.mark.usefixtures("configured")
def test_a_recording_is_identified_and_laid_out_by_a_model_of_ones_own(tmp_path: Path, spoken: bytes) -> None:
    save_model(speech.constant(["de", "fr"], "fr", 5.0), Calibration(), tmp_path)
    (tmp_path / "a.mp3").write_bytes(spoken)
    model, recording = str(tmp_path / "model.onnx"), str(tmp_path / "a.mp3")
    done = langaudio("identify", recording, "--json", "--model", model)
    assert [answer["language"] for answer in json.loads(done.stdout)] == ["fr"]
    assert "French (fr)" in process("identify", recording, MODEL=model).stdout
    done = langaudio("identify", recording, "--json", "--among", "de", "--model", model)
    assert [answer["language"] for answer in json.loads(done.stdout)] == ["de"]
    picture = tmp_path / "a.png"
    done = langaudio("timeline", recording, "--model", model, "--picture", str(picture))
    assert "French (fr)" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    done = langaudio("timeline", recording, "--model", model, "--json")
    assert [span["language"] for span in json.loads(done.stdout)["spans"]] == ["fr"]
    assert "does not know 'it'" in sentence(
        langaudio("identify", recording, "--among", "it", "--model", model)
    )
    assert "There is no model at" in sentence(langaudio("timeline", recording, "--model", "absent.onnx"))
    away = str(tmp_path / "absent" / "a.png")
    assert "cannot be written" in sentence(
        langaudio("timeline", recording, "--model", model, "--picture", away)
    )


@pytest.mark.usefixtures("store")
def test_going_back_without_a_champion_is_told() -> None:
    assert "no champion to go back from" in sentence(langaudio("rollback"))


def test_a_wrong_setting_is_named(configured: Settings) -> None:
    assert "LANGAUDIO_S3_PORT='many'" in sentence(process("augment", "fr", S3_PORT="many"))


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("S3_ENDPOINT", "127.0.0.1:9000", "must begin with http:// or https://"),
        ("DEMO_URL", "nonsense", "must begin with http:// or https://"),
        ("SOURCE_ROOTS", '{"demo": ["nonsense"]}', "must begin with http:// or https://"),
        ("SOURCE_ROOTS", "nonsense", "LANGAUDIO_SOURCE_ROOTS is no JSON"),
    ],
)
def test_an_address_that_is_none_is_told_before_anything_is_asked(name: str, value: str, told: str) -> None:
    said = sentence(langaudio("crawl", "fr", "--source", "demo", **{name: value}))
    assert told in said
    assert f"LANGAUDIO_{name}" in said


@pytest.mark.parametrize(
    "stage",
    [
        "crawl",
        "upload",
        "augment",
        "train",
        "evaluate",
        "promote",
        "identify",
        "timeline",
        "rollback",
        "figures",
    ],
)
def test_every_stage_explains_itself(stage: str) -> None:
    done = langaudio(stage, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_crawl_reports_as_json(store: Store, small_site: object, serve: object) -> None:
    url = serve(small_site)  # type: ignore[operator]
    done = process("crawl", "fr", "--source", "demo", "--limit", "2", DEMO_URL=url)
    report = json.loads(done.stdout)
    assert report["seen"] == 2
    assert report["run_id"].startswith("manual-")
    uploaded = langaudio("upload", "fr", "--source", "demo")
    assert json.loads(uploaded.stdout)["published"] >= 1


def test_a_corpus_of_ones_own_is_imported_in_one_command(store: Store, tmp_path: Path, spoken: bytes) -> None:
    for path in ("fr/a.mp3", "de/b.mp3"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(spoken + path.encode())
    done = langaudio("import", str(tmp_path))
    assert done.returncode == 0, done.stderr
    for language in ("fr", "de"):
        assert f'"language": "{language}"' in done.stdout
        assert len(list(store.list(f"raw/{language}/"))) == 1
    assert "is no folder" in sentence(langaudio("import", str(tmp_path / "absent")))
