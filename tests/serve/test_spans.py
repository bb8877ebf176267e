"""Languages over time, with a model that hears the level of a tone, so that it is known what is right."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from langaudio import audio
from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError
from langaudio.serve import Model, Timeline, load_model, spans, timeline
from langaudio.train.artifact import save_model
from tests.train import spoken


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(spoken.constant(["de", "fr"], "fr"), Calibration(threshold=0.6), folder)
    return folder / "model.onnx"


class Told(Model):
    """Says of each window what the test tells it to; everything else is the real thing."""

    def __init__(self, file: Path, sure: Iterator[tuple[float, float]]) -> None:
        super().__init__(file)
        self._sure = sure

    def hear(self, segments):  # type: ignore[no-untyped-def]
        heard = super().hear(segments)
        if heard is not None:
            heard.log_probabilities[:] = np.log([next(self._sure) for _ in heard.log_probabilities])
        return heard


def recording(pauses: int = 12) -> bytes:
    """Speech and pauses in turn: a segment of one window each."""
    speech = spoken.said("fr", 0)[: 3 * audio.SAMPLE_RATE]
    pause = np.zeros(9 * audio.SAMPLE_RATE, np.float32)
    return audio.to_flac(
        np.concatenate([pause, *[np.concatenate([speech, pause])] * pauses]), audio.SAMPLE_RATE
    )


DE, FR, DOUBT = (0.9, 0.1), (0.1, 0.9), (0.5, 0.5)


def told(file: Path, *sure: tuple[float, float]) -> Timeline:
    return timeline(recording(len(sure)), Told(file, iter(sure)))


def test_one_language_is_one_span_from_first_to_last_speech(file: Path) -> None:
    found = told(file, FR, FR, FR)
    ((begin, _), *_, (_, end)) = found.speech
    assert [(span.begin_s, span.end_s, span.language) for span in found.spans] == [(begin, end, "fr")]
    assert found.spans[0].speech_s == pytest.approx(sum(end - begin for begin, end in found.speech))
    assert found.spans[0].probability == pytest.approx(0.9)
    assert len(found.speech) == 3
    assert found.duration_s == pytest.approx(
        9 + 3 * (9 + len(spoken.said("fr", 0)[:48000]) / 16_000), abs=0.1
    )


def test_a_change_of_language_is_found_where_it_is(file: Path) -> None:
    found = told(file, *[FR] * 4, *[DE] * 5, *[FR] * 3)
    assert [span.language for span in found.spans] == ["fr", "de", "fr"]
    assert found.spans[1].begin_s == found.speech[4][0]
    assert found.spans[1].end_s == found.speech[8][1]
    assert list(found.seconds_by_language()) == ["fr", "de"]


def test_one_window_that_errs_is_no_change(file: Path) -> None:
    assert [span.language for span in told(file, *[FR] * 4, DE, *[FR] * 4).spans] == ["fr"]


def test_a_span_without_evidence_is_unknown(file: Path) -> None:
    (span,) = told(file, DOUBT, DOUBT).spans
    assert span.language is None
    assert told(file, DOUBT, DOUBT).seconds_by_language() == {None: pytest.approx(span.speech_s)}


def test_only_the_languages_named_are_laid_over_it(file: Path) -> None:
    found = timeline(recording(3), Told(file, iter([FR, FR, FR])), among=["de"])
    assert [(span.language, span.probability) for span in found.spans] == [("de", pytest.approx(1))]
    with pytest.raises(LangaudioError, match="does not know 'it'"):
        timeline(recording(1), load_model(file), among=["it"])


def test_where_nobody_speaks_there_are_no_spans(file: Path) -> None:
    silence = audio.to_flac(np.zeros(32_000, np.float32), audio.SAMPLE_RATE)
    assert timeline(silence, load_model(file)) == Timeline([], [], 2.0, None)


def test_the_path_is_the_likeliest_of_all() -> None:
    rng = np.random.default_rng(0)
    said = np.log(rng.dirichlet([0.3] * 3, 7))

    def worth(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return float(said[np.arange(7), path].sum()) - spans.CHANGE * changes

    best = max(np.ndindex(*[3] * 7), key=worth)
    assert tuple(spans._path(said)) == best


def test_a_long_file_is_heard_from_disk(file: Path, tmp_path: Path) -> None:
    speech = np.resize(spoken.said("fr", 0), 5 * 60 * audio.SAMPLE_RATE)
    soundfile.write(tmp_path / "long.wav", speech, audio.SAMPLE_RATE)
    found = timeline(tmp_path / "long.wav", load_model(file))
    assert found.duration_s == pytest.approx(300)
    assert {span.language for span in found.spans} == {"fr"}
