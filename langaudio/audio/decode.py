"""Decode any file that libsndfile reads: MP3, FLAC, Ogg, Opus, WAV."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile

from langaudio.errors import LangaudioError

MAX_CHANNELS = 16


class NotAudio(LangaudioError):
    """The bytes do not decode to the end as audio."""


@dataclass(frozen=True)
class Audio:
    """Decoded audio.

    Attributes:
        samples: float32, shape ``(channels, samples)``, full scale at ±1.
        sample_rate: in Hz.
        format: what the bytes are, whatever the file's name said: ``mp3``, ``flac``, ``wav``, ``ogg``,
            ``opus``, or libsndfile's name of a rarer one.
    """

    samples: np.ndarray
    sample_rate: int
    format: str

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        return float(self.samples.shape[1] / self.sample_rate)


def decode(data: bytes) -> Audio:
    """Decode a whole file.

    Raises:
        NotAudio: it is no audio, has no samples or too many channels, or ends before it should.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.channels > MAX_CHANNELS:
                raise NotAudio(f"It has {file.channels} channels; at most {MAX_CHANNELS} are taken.")
            announced, sample_rate = file.frames, file.samplerate
            kind = _format(file)
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise NotAudio(f"It does not decode as audio: {error.error_string}") from None
    if len(samples) == 0:
        raise NotAudio("It has no samples.")
    if len(samples) < announced:
        raise NotAudio(f"It is cut off: it ends after {len(samples)} of {announced} samples.")
    return Audio(np.ascontiguousarray(samples.T), sample_rate, kind)


def _format(file: soundfile.SoundFile) -> str:
    if file.subtype == "OPUS":
        return "opus"
    # MP3 is a subtype in libsndfile: of a bare file, or of one with a RIFF header.
    if file.subtype.startswith("MPEG"):
        return "mp3"
    return str(file.format).lower().removesuffix("ex")
