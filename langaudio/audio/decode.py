"""Decode any file that libsndfile reads (MP3, FLAC, Ogg, Opus, WAV) to the one rate that all else works at.

A file is decoded piece by piece, and mixed down and resampled as it comes: whatever its header says, it takes
no more memory than the speech in it.
"""

from __future__ import annotations

import io
import mmap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from langaudio.errors import LangaudioError

SAMPLE_RATE = 16_000
"""Hz."""

MAX_CHANNELS = 16
MIN_RATE, MAX_RATE = 4_000, 192_000  # Hz

_PIECE = 2**16  # samples of all channels together: what the processor's cache holds is resampled faster


class NotAudio(LangaudioError):
    """The bytes do not decode to the end as audio."""


class TooLong(NotAudio):
    """The recording is longer than is wanted."""


class UnusableRate(NotAudio):
    """Its sample rate is none that speech is recorded at."""


@dataclass(frozen=True)
class Audio:
    """Decoded audio.

    Attributes:
        samples: its channels averaged, at ``SAMPLE_RATE``: float32, shape ``(samples,)``, full scale at ±1.
        sample_rate: of the file, in Hz.
        channels: of the file.
        duration_s: in seconds.
        format: what the bytes are, whatever the file's name said: ``mp3``, ``flac``, ``wav``, ``ogg``,
            ``opus``, or libsndfile's name of a rarer one.
    """

    samples: np.ndarray
    sample_rate: int
    channels: int
    duration_s: float
    format: str


def decode(data: bytes, max_s: float | None = None) -> Audio:
    """Decode a whole file.

    Args:
        data: its bytes.
        max_s: duration (seconds) at which it is given up; None for no limit.

    Raises:
        NotAudio: it is no audio, has no samples or too many channels, or ends before it should.
        TooLong: it is longer than ``max_s``.
        UnusableRate: its sample rate is below 4 or above 192 kHz.
    """
    with _opened(data) as file:
        samples = np.concatenate(list(_blocks(file, max_s)))
        return Audio(samples, file.samplerate, file.channels, len(samples) / SAMPLE_RATE, _format(file))


def decode_blocks(recording: bytes | Path) -> Iterator[np.ndarray]:
    """Yield the samples of ``decode`` in blocks of some seconds, as the recording is read.

    Raises:
        NotAudio: as ``decode``. If a file ends before it should, what there is of it was yielded before.
        OSError: the file cannot be read.
    """
    with _opened(recording) as file:
        yield from _blocks(file)


@contextmanager
def _opened(recording: bytes | Path) -> Iterator[soundfile.SoundFile]:
    with ExitStack() as stack:
        if isinstance(recording, Path) and not recording.is_file():
            recording = recording.read_bytes()  # a pipe; or it tells that nothing is there
        if isinstance(recording, bytes):
            handle: BinaryIO = io.BytesIO(recording)
            whole: bytes | mmap.mmap = recording
        else:
            handle = stack.enter_context(recording.open("rb"))
            empty = recording.stat().st_size == 0
            whole = b"" if empty else mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        if _is_cut_off(whole):
            raise NotAudio("It is cut off: its header or its last page tells of more.")
        try:
            yield stack.enter_context(soundfile.SoundFile(handle))
        except soundfile.LibsndfileError as error:
            raise NotAudio(f"It does not decode as audio: {error.error_string}") from None


def _blocks(file: soundfile.SoundFile, max_s: float | None = None) -> Iterator[np.ndarray]:
    if file.channels > MAX_CHANNELS:
        raise NotAudio(f"It has {file.channels} channels; at most {MAX_CHANNELS} are taken.")
    if not MIN_RATE <= file.samplerate <= MAX_RATE:
        raise UnusableRate(f"Its sample rate is {file.samplerate} Hz; {MIN_RATE} to {MAX_RATE} are taken.")
    resampler = soxr.ResampleStream(file.samplerate, SAMPLE_RATE, 1, quality="HQ")
    frames, as_it_is = 0, file.samplerate == SAMPLE_RATE
    while len(piece := file.read(_PIECE // file.channels, dtype="float32", always_2d=True)):
        frames += len(piece)
        if max_s is not None and frames > max_s * file.samplerate:
            raise TooLong(f"It is longer than {max_s:g} s.")
        mono = piece[:, 0] if file.channels == 1 else piece.mean(axis=1)
        yield _finite(mono if as_it_is else resampler.resample_chunk(np.ascontiguousarray(mono)))
    if frames == 0:
        raise NotAudio("It has no samples.")
    if frames < file.frames:
        raise NotAudio(f"It is cut off: it ends after {frames} of {file.frames} samples.")
    if not as_it_is:
        yield _finite(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def _finite(samples: np.ndarray) -> np.ndarray:
    if not np.isfinite(samples).all():
        raise NotAudio("It has samples that are no numbers.")
    return samples


def _is_cut_off(data: bytes | mmap.mmap) -> bool:
    """Tell of the formats whose cut files libsndfile takes for whole ones."""
    if data[:4] == b"RIFF":
        size = int.from_bytes(data[4:8], "little")
        # What was written to a pipe does not know its size. Some writers do not count a byte of padding.
        return size not in (0, 2**32 - 1) and size > len(data) - 8 + 1
    if data[:4] == b"OggS":
        last = data.rfind(b"OggS")
        ends = len(data) > last + 5 and data[last + 5] & 4
        segments = data[last + 27 : last + 27 + data[last + 26]] if len(data) > last + 26 else b""
        return not ends or last + 27 + len(segments) + sum(segments) > len(data)
    return False


def _format(file: soundfile.SoundFile) -> str:
    if file.subtype == "OPUS":
        return "opus"
    # MP3 is a subtype in libsndfile: of a bare file, or of one with a RIFF header.
    if file.subtype.startswith("MPEG"):
        return "mp3"
    return str(file.format).lower().removesuffix("ex")
