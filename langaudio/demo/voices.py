"""Voices that can be told apart: espeak-ng variants with a pitch, a liveliness and a tempo of their own.

The same voices speak every language. If each language had its own, a classifier could learn the voice
and call it the language.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import espeakng_loader
import numpy as np

from langaudio.demo.espeak import SAMPLE_RATE

__all__ = ["SAMPLE_RATE", "VOICES", "Voice", "speak"]


@dataclass(frozen=True)
class Voice:
    """A synthetic speaker.

    Attributes:
        variant: file of espeak-ng's ``voices/!v`` that shapes the formants.
        sex: what the variant sounds like.
        age: a value of the site's age tag.
        pitch: 0 to 99; 50 is the variant's own.
        pitch_range: 0 (monotone) to 99; 50 is the variant's own.
        words_per_minute: tempo.
    """

    variant: str
    sex: Literal["female", "male"]
    age: Literal["child", "teenager", "adult", "senior"]
    pitch: int
    pitch_range: int
    words_per_minute: int


VOICES = (
    Voice("f1", "female", "adult", 48, 50, 165),
    Voice("m1", "male", "adult", 50, 50, 150),
    Voice("f2", "female", "adult", 50, 45, 150),
    Voice("m2", "male", "adult", 62, 45, 165),
    Voice("f3", "female", "teenager", 64, 60, 175),
    Voice("m8", "male", "senior", 35, 40, 140),
    Voice("grandma", "female", "senior", 40, 50, 140),
    Voice("john", "male", "adult", 55, 55, 170),
    Voice("f4", "female", "adult", 42, 40, 145),
    Voice("m7", "male", "adult", 45, 50, 160),
    Voice("belinda", "female", "adult", 55, 50, 155),
    Voice("m3", "male", "teenager", 72, 60, 175),
    Voice("Annie", "female", "teenager", 52, 55, 170),
    Voice("Mike", "male", "adult", 45, 50, 155),
    Voice("steph", "female", "adult", 50, 50, 160),
    Voice("Michael", "male", "senior", 30, 50, 145),
)
"""Sexes alternate, so that every side of a split of them has both."""

# espeak-ng's name of a language where it is not ours, and its tempo where its unit, the word, is short.
_ESPEAK_NAME = {"zh": "cmn"}
_TEMPO = {"zh": 1.2}


def speak(sentences: Sequence[str], language: str, voice: Voice) -> list[np.ndarray]:
    """Speak sentences; the same call always gives the same samples.

    Args:
        sentences: without line breaks.
        language: tag of a language that espeak-ng speaks.
        voice: who speaks.

    Returns:
        One array a sentence, shape ``(samples,)``, float32 at ``SAMPLE_RATE``, full scale at ±1.

    Raises:
        ValueError: the voice's variant does not exist: espeak-ng itself would silently use another.
    """
    variant = Path(espeakng_loader.get_data_path()) / "voices" / "!v" / voice.variant
    if not variant.is_file():
        raise ValueError(f"espeak-ng has no variant {voice.variant!r}: {variant} does not exist")
    name = f"{_ESPEAK_NAME.get(language, language)}+{voice.variant}"
    tempo = round(voice.words_per_minute * _TEMPO.get(language, 1.0))
    arguments = [name, str(voice.pitch), str(voice.pitch_range), str(tempo)]
    output = subprocess.run(
        [sys.executable, "-m", "langaudio.demo.espeak", *arguments],
        input="\n".join(sentences).encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    spoken = []
    while output:
        size = 4 + int.from_bytes(output[:4], "little")
        spoken.append(np.frombuffer(output[4:size], "<i2").astype(np.float32) / 32768)
        output = output[size:]
    return spoken
