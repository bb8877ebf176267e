"""Real speech for measurements: ``SPEECH``, a folder with manifest.csv, by default ../shared/speech."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from langaudio import audio

PROJECT = Path(__file__).resolve().parents[1]
FOLDER = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech"))


@dataclass(frozen=True)
class Recording:
    """A clip of the manifest: its segments of speech are float32 at 16 kHz, shape ``(samples,)`` each."""

    clip_id: str
    language: str
    speaker: str
    segments: tuple[np.ndarray, ...]


def recordings(split: str) -> list[Recording]:
    """Read a split of the manifest, in its order; a clip without speech has no segments."""
    with (FOLDER / "manifest.csv").open() as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["split"] == split]
    return [
        Recording(Path(row["path"]).stem, row["language"], row["speaker"], _segments(FOLDER / row["path"]))
        for row in rows
    ]


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


def languages(clips: Iterable[Recording]) -> list[str]:
    return sorted({clip.language for clip in clips})


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _segments(path: Path) -> tuple[np.ndarray, ...]:
    samples = audio.decode(path.read_bytes()).samples
    return tuple(
        samples[round(begin * audio.SAMPLE_RATE) : round(end * audio.SAMPLE_RATE)]
        for begin, end in audio.speech_segments(audio.speech_regions(samples))
    )
