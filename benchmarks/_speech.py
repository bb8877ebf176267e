"""Real speech for measurements: ``SPEECH``, a folder with manifest.csv, by default ../shared/speech."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from langaudio import audio
from langaudio.augment import Recipe
from langaudio.train.data import Speech
from langaudio.voting import WINDOW_S, vote, windows

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech"))

Ask = Callable[[Tensor], Tensor]
"""Windows ``(batch, samples)`` to log-probabilities ``(batch, languages)``."""


@dataclass(frozen=True)
class Recording:
    """A clip of the manifest: its segments of speech are float32 at 16 kHz, shape ``(samples,)`` each."""

    clip_id: str
    language: str
    speaker: str
    segments: tuple[np.ndarray, ...]


def recordings(split: str) -> list[Recording]:
    """Read a split of the manifest, in its order; a clip without speech has no segments."""
    return [
        Recording(Path(row["path"]).stem, row["language"], row["speaker"], _segments(FOLDER / row["path"]))
        for row in _manifest()
        if row["split"] == split
    ]


def spoken() -> list[str]:
    """Return the languages of the manifest."""
    return sorted({row["language"] for row in _manifest()})


def _manifest() -> list[dict[str, str]]:
    with (FOLDER / "manifest.csv").open() as manifest:
        return list(csv.DictReader(manifest))


def folds(clips: Sequence[Recording], number: int = 5) -> list[list[Recording]]:
    """Divide clips so that no speaker is in two parts and every language has speakers in each, if it can."""
    parts: list[list[Recording]] = [[] for _ in range(number)]
    for language in sorted({clip.language for clip in clips}):
        own = [clip for clip in clips if clip.language == language]
        # By hash: in no order that says anything about the speakers.
        speakers = sorted(
            {clip.speaker for clip in own}, key=lambda name: hashlib.sha256(name.encode()).hexdigest()
        )
        for clip in own:
            parts[speakers.index(clip.speaker) % number].append(clip)
    return parts


def written(clips: Sequence[Recording], recipe: Recipe, copies: int, path: Path) -> list[Speech]:
    """Write the segments of clips, and augmented copies of each, to a file; return what is where."""
    found: list[Speech] = []
    begin = 0
    with path.open("wb") as file:
        for clip in clips:
            for number, segment in enumerate(clip.segments):
                for copy in range(1 + copies):
                    samples = segment
                    if copy:
                        samples = recipe.copy(segment, audio.SAMPLE_RATE, 0, clip.clip_id, copy, number)[0]
                    file.write((samples * 32767).round().astype("<i2").tobytes())
                    found.append(Speech(clip.language, path, begin, len(samples), copy))
                    begin += len(samples)
    return found


class Clips(Dataset[tuple[list[Tensor], int]]):
    """Clips as ``langaudio.train.fit.fit`` wants its dev side: the segments of each, and its label."""

    def __init__(self, clips: Sequence[Recording], languages: Sequence[str]) -> None:
        self._clips, self._languages = clips, languages

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, number: int) -> tuple[list[Tensor], int]:
        clip = self._clips[number]
        return [torch.from_numpy(segment) for segment in clip.segments], self._languages.index(clip.language)


def say(ask: Ask, segments: Sequence[np.ndarray], window_s: float = WINDOW_S) -> np.ndarray:
    """Return log-probabilities of a clip, by the vote of windows that all systems are heard through."""
    said, weights = [], []
    with torch.inference_mode():
        for segment in segments:
            cut = windows(segment, window_s)
            said.append(ask(torch.from_numpy(cut)).numpy())
            weights += [len(segment) / len(cut)] * len(cut)
    return vote(np.concatenate(said), np.array(weights))


def languages(clips: Iterable[Recording]) -> list[str]:
    return sorted({clip.language for clip in clips})


def _segments(path: Path) -> tuple[np.ndarray, ...]:
    samples = audio.decode(path.read_bytes()).samples
    return tuple(
        samples[round(begin * audio.SAMPLE_RATE) : round(end * audio.SAMPLE_RATE)]
        for begin, end in audio.speech_segments(audio.speech_regions(samples))
    )
