"""From the bytes of an audio file to speech at 16 kHz, and back to bytes."""

from langaudio.audio.decode import SAMPLE_RATE, Audio, NotAudio, TooLong, UnusableRate, decode
from langaudio.audio.encode import to_flac
from langaudio.audio.fingerprint import fingerprint, matches
from langaudio.audio.speech import speech_regions, speech_segments

__all__ = [
    "SAMPLE_RATE",
    "Audio",
    "NotAudio",
    "TooLong",
    "UnusableRate",
    "decode",
    "fingerprint",
    "matches",
    "speech_regions",
    "speech_segments",
    "to_flac",
]
