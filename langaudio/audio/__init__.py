"""From the bytes of an audio file to speech at 16 kHz, and back to bytes."""

from langaudio.audio.decode import Audio, NotAudio, decode
from langaudio.audio.encode import to_flac
from langaudio.audio.resample import SAMPLE_RATE, to_speech_rate
from langaudio.audio.speech import speech_regions, speech_segments

__all__ = [
    "SAMPLE_RATE",
    "Audio",
    "NotAudio",
    "decode",
    "speech_regions",
    "speech_segments",
    "to_flac",
    "to_speech_rate",
]
