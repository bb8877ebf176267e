"""From the bytes of an audio file to speech at 16 kHz, and back to bytes."""

from langaudio.audio.decode import SAMPLE_RATE, Audio, NotAudio, TooLong, UnusableRate, decode, decode_blocks
from langaudio.audio.encode import to_flac
from langaudio.audio.fingerprint import fingerprint, matches
from langaudio.audio.segments import Segment, speech_in
from langaudio.audio.speech import (
    Region,
    from_samples,
    in_samples,
    regions_of,
    segments_of,
    speech_regions,
    speech_segments,
)

__all__ = [
    "SAMPLE_RATE",
    "Audio",
    "NotAudio",
    "Region",
    "Segment",
    "TooLong",
    "UnusableRate",
    "decode",
    "decode_blocks",
    "fingerprint",
    "from_samples",
    "in_samples",
    "matches",
    "regions_of",
    "segments_of",
    "speech_in",
    "speech_regions",
    "speech_segments",
    "to_flac",
]
