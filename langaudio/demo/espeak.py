"""The program that speaks: one voice, one sentence a line on standard input, samples on standard output.

espeak-ng keeps the phase of its oscillators from one call to the next and offers no way to reset it, so
within one process a sentence never sounds the same twice. What must be reproducible is therefore spoken by a
process of its own: ``langaudio.demo.voices.speak`` starts it.

Output: for each sentence a 32-bit little-endian count of bytes, then int16 samples at ``SAMPLE_RATE``.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import espeakng_loader

SAMPLE_RATE = 22_050
"""Hz, of every espeak-ng voice."""

# From speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_RATE, _PITCH, _RANGE = 1, 3, 4

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


def main(voice: str, pitch: str, pitch_range: str, words_per_minute: str) -> None:
    """Speak standard input with the voice ``language+variant``; pitch and range are 0–99."""
    library = espeakng_loader.load_library()
    spoken = bytearray()

    @_Callback
    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            spoken.extend(ctypes.string_at(samples, 2 * count))
        return 0

    sample_rate = library.espeak_Initialize(
        _AUDIO_OUTPUT_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0
    )
    if sample_rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak-ng speaks at {sample_rate} Hz instead of {SAMPLE_RATE} Hz")
    library.espeak_SetSynthCallback(collect)
    # Breath is noise, which is seeded with the time of day.
    _check(library.espeak_ng_SetRandSeed(ctypes.c_long(1)), "a seed")
    _check(library.espeak_SetVoiceByName(voice.encode()), f"voice {voice}")
    for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
        _check(library.espeak_SetParameter(parameter, int(value), 0), f"parameter {parameter}={value}")
    for line in sys.stdin.buffer.read().splitlines():
        spoken.clear()
        _check(_synthesize(library, line), f"line {line.decode()!r}")
        sys.stdout.buffer.write(len(spoken).to_bytes(4, "little") + spoken)


def _synthesize(library: Any, line: bytes) -> int:
    size = ctypes.c_size_t(len(line) + 1)
    status: int = library.espeak_Synth(line, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
    return status


def _check(status: int, what: str) -> None:
    if status != 0:
        raise RuntimeError(f"espeak-ng refused {what}: status {status}")


if __name__ == "__main__":
    main(*sys.argv[1:])
