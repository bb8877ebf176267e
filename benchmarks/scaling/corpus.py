"""A site as large as wanted, of new clips made from the demo's: real MP3 files that sound different.

Each is joined of pieces of a speaker's clips, each played faster or slower, and encoded anew. That
takes a few milliseconds, where a synthetic voice takes a hundred; what the pipeline does to it is the same.
Speakers grow with the clips, as they do on a real site.
"""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr

from langaudio import audio
from langaudio.audio import mp3
from langaudio.demo import casting, contents
from langaudio.demo.contents import Entry
from langaudio.demo.site import build_synthetic

CLIP_S = 3.0
_PIECES = 5
_KBPS = 64
_SPEEDS = (0.7, 1.4)


def build(folder: Path, demo: Path, times: int) -> int:
    """Build a site of so many times the good clips of the demo's site; return their number.

    Args:
        folder: of the site.
        demo: folder of the demo's site, which is built if it is not there.
        times: how often each clip of the demo is made into another one.
    """
    build_synthetic(demo)
    good = [entry for entry in contents.read(demo) if entry.mp3 and entry.defect is None]
    cast = {entry.auteur: entry for entry in good}
    numbers = casting.numbers()
    speakers = [{auteur: next(numbers[one.side]) for auteur, one in cast.items()} for _ in range(times)]
    spoken: dict[int, list[np.ndarray]] = {auteur: [] for auteur in cast}
    for entry in good:
        spoken[entry.auteur].append(
            audio.decode((demo / contents.MP3_FOLDER / str(entry.mp3)).read_bytes()).samples
        )

    def make(mp3s: Path) -> list[Entry]:
        def one(turn: int, number: int) -> Entry:
            entry = good[number]
            rng = np.random.default_rng([turn, number])
            return _made(mp3s, turn * 10_000 + number + 1, entry, speakers[turn], spoken[entry.auteur], rng)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wanted = itertools.product(range(times), range(len(good)))
            return list(pool.map(lambda which: one(*which), wanted))

    contents.build_once(folder, {"kind": "scale", "times": times}, make)
    return times * len(good)


def _made(
    mp3s: Path,
    article: int,
    like: Entry,
    speakers: dict[int, int],
    spoken: list[np.ndarray],
    rng: np.random.Generator,
) -> Entry:
    """Write a clip of a speaker, and return its entry, which is that of another clip but for what differs."""
    samples = np.concatenate([_piece(spoken[int(rng.integers(len(spoken)))], rng) for _ in range(_PIECES)])
    data = mp3.encode(samples, audio.SAMPLE_RATE, _KBPS)
    name = f"{like.language}_{article:07}.mp3"
    (mp3s / name).write_bytes(data)
    return replace(
        like,
        article=article,
        auteur=speakers[like.auteur],
        mp3=name,
        bytes=len(data),
        duration_s=round(len(samples) / audio.SAMPLE_RATE, 3),
    )


def _piece(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    speed = rng.uniform(*_SPEEDS)
    length = round(CLIP_S / _PIECES * speed * audio.SAMPLE_RATE)
    begin = int(rng.integers(len(samples) - length))
    resampled: np.ndarray = soxr.resample(
        samples[begin : begin + length], audio.SAMPLE_RATE * speed, audio.SAMPLE_RATE
    )
    return resampled
