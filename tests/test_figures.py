"""Pictures: that they show what they are given is seen in their pixels."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from langaudio import audio, figures
from langaudio.augment.registry import TRANSFORMS
from langaudio.errors import LangaudioError
from langaudio.evaluate import Bin, Estimate
from langaudio.serve import Span, Timeline
from langaudio.settings import Settings
from langaudio.store import Store
from tests.train import spoken

LANGUAGES = ["de", "fr", "ru"]
TRAIN, DEV, TEST = ((59, 111, 182), (230, 159, 0), (27, 158, 119))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def share_of(colour: tuple[int, int, int], png: bytes) -> float:
    return float((np.abs(pixels(png) - colour).max(axis=2) < 8).mean())


def names(files: Iterable[Path]) -> list[str]:
    return [file.name for file in files]


def test_bars_are_as_long_as_there_is_speech() -> None:
    png = figures.speech_per_language(
        {"fr": {"train": 600.0, "dev": 300.0, "test": 150.0}, "de": {"train": 600.0, "dev": 300.0}}
    )
    train, dev, test = (share_of(colour, png) for colour in (TRAIN, DEV, TEST))
    assert train / dev == pytest.approx(2, rel=0.1)
    assert train / test == pytest.approx(8, rel=0.2)


def test_a_confident_network_is_dark_on_the_diagonal_only() -> None:
    dark = (23, 58, 107)
    perfect = share_of(dark, figures.confusion_matrix(np.diag([5, 9, 2]).tolist(), LANGUAGES))
    lost = share_of(dark, figures.confusion_matrix(np.full((3, 3), 3).tolist(), LANGUAGES))
    assert perfect > 20 * lost


def test_a_language_without_clips_is_drawn_empty() -> None:
    figures.confusion_matrix([[2, 0, 0], [0, 0, 0], [0, 0, 1]], LANGUAGES)


def test_the_farther_from_honest_the_longer_the_bars() -> None:
    honest, boastful = (
        figures.reliability([Bin(9, 0.6, 0.6 - off), Bin(9, 0.9, 0.9 - off)], Estimate(off, off, off))
        for off in (0.0, 0.4)
    )
    assert share_of(DEV, boastful) > 10 * share_of(DEV, honest)
    assert share_of(TRAIN, honest) > 0


def test_a_timeline_has_a_lane_for_each_language_and_one_for_speech() -> None:
    def drawn(*spans: Span) -> bytes:
        return figures.timeline(Timeline(list(spans), [(0.0, 60.0)], 120.0, 1))

    one = drawn(Span(0, 60, "fr", 0.9, 50))
    two = drawn(Span(0, 30, "fr", 0.9, 25), Span(30, 60, None, 0.2, 25))
    assert pixels(two).shape[0] > pixels(one).shape[0]
    width = (np.abs(pixels(one) - TEST).max(axis=2) < 8).any(axis=0).sum() / pixels(one).shape[1]
    assert width == pytest.approx(0.46, abs=0.05)  # half of the recording
    figures.timeline(Timeline([], [], 0.0, None))


def test_curves_are_drawn_where_there_are_values() -> None:
    full = figures.training_curves({"loss": [2.0, 1.0], "dev_loss": [2.0, 1.5], "dev_macro_f1": [0.2, 0.9]})
    without_dev = figures.training_curves({"loss": [2.0, 1.0], "dev_loss": [], "dev_macro_f1": []})
    assert share_of(DEV, full) > 0 == share_of(DEV, without_dev)
    assert share_of(TRAIN, without_dev) > 0


def test_every_transform_has_a_row() -> None:
    samples = spoken.said("fr", 0)
    transforms = [kind(p=1.0) for kind in TRANSFORMS.values()]
    heights = [
        pixels(figures.transform_before_after(samples, 16_000, chosen)).shape[0]
        for chosen in (transforms[:1], transforms)
    ]
    assert heights[1] - heights[0] == pytest.approx((len(transforms) - 1) * 1.05 * 144, abs=2)


def test_the_same_input_gives_the_same_bytes() -> None:
    samples = spoken.said("fr", 0)
    transforms = [kind(p=1.0) for kind in TRANSFORMS.values()]
    drawn = [figures.transform_before_after(samples, 16_000, transforms, seed) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_speech_is_summed_by_language_and_side(store: Store) -> None:
    rows = spoken.corpus(["de", "fr"])
    spoken.publish(store, rows)
    summed = figures.corpus_speech(store)
    for language in ("de", "fr"):
        for side in ("train", "dev", "test"):
            wanted = [row["speech_s"] for row in rows if (row["language"], row["split"]) == (language, side)]
            assert summed[language][side] == pytest.approx(sum(wanted))


def test_all_that_there_is_to_draw_is_drawn(store: Store, configured: Settings, tmp_path: Path) -> None:
    spoken.prepare_mlflow(configured)
    clip = tmp_path / "clip.flac"
    clip.write_bytes(audio.to_flac(spoken.said("fr", 0), audio.SAMPLE_RATE))
    assert names(figures.draw_all(store, tmp_path / "new", clip)) == ["transforms.png"]
    spoken.publish(store, spoken.corpus(["de", "fr"]))
    drawn = list(figures.draw_all(store, tmp_path / "new"))
    assert names(drawn) == ["transforms.png", "corpus.png"]
    assert all(pixels(file.read_bytes()).std() > 1 for file in drawn)


def test_without_a_clip_and_a_corpus_there_is_a_sentence(
    store: Store, configured: Settings, tmp_path: Path
) -> None:
    spoken.prepare_mlflow(configured)
    with pytest.raises(LangaudioError, match="give one by --clip"):
        list(figures.draw_all(store, tmp_path))
    with pytest.raises(LangaudioError, match="cannot be read"):
        list(figures.draw_all(store, tmp_path, tmp_path / "absent.mp3"))


def test_no_global_state_of_pyplot_is_touched() -> None:
    code = "import sys, langaudio.figures; print('matplotlib.pyplot' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
