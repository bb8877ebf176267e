"""Two hundred broken and hostile files: each is published or refused with its reason, in little memory."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from langaudio import catalog
from langaudio.audio import NotAudio, decode
from langaudio.doctor import diagnose
from langaudio.memory import peak_mib
from langaudio.store import Store
from tests.test_upload import reasons, stage

SAMPLE_RATE = 16_000
CONTAINERS = {
    "mp3": ("MP3", None),
    "flac": ("FLAC", None),
    "wav": ("WAV", None),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
}
NAMES = ("../../etc/passwd", "a\0b", "a\nb", "C:\\a", "ü ☃ 𝄞", "." * 300, "%2e%2e", "'; --")
MAX_GROWTH_MIB = 450
"""The largest of the files has 100 MB: it is once in memory, and once in what sends it."""

UPLOAD = """
import json
from dataclasses import asdict
from langaudio import audio
from langaudio.memory import peak_mib
from langaudio.store import default_store
from langaudio.upload import upload

audio.speech_regions(audio.decode(open({spoken!r}, "rb").read()).samples)
before = peak_mib()
report = upload(default_store(), "fr", source="demo", run="one")
print(json.dumps(asdict(report) | {{"grown_mib": peak_mib() - before}}))
"""


def encoded(samples: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def id3(frame: bytes, payload: bytes, *, declared: int | None = None, flags: int = 0) -> bytes:
    """An ID3v2.4 tag with one frame; ``declared`` is the size that it says it has."""
    size = len(payload) if declared is None else declared
    header = frame + _sync_safe(size) + bytes((0, flags))
    return b"ID3\x04\x00\x00" + _sync_safe(size + len(header)) + header + payload


def _sync_safe(size: int) -> bytes:
    return bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))


BOMB = zlib.compress(bytes(100 * 2**20))
COMPRESSED = 0x09
"""Flags of an ID3 frame: it is compressed, and says how large it was."""

Case = tuple[str, bytes, set[str]]
"""A name, bytes, and what may become of them: a reason, or ``published``."""

GOOD, BAD, EITHER = {"published"}, {"not_audio"}, {"published", "not_audio"}


def hostile(spoken: bytes) -> Iterator[Case]:
    speech = decode(spoken).samples
    whole = {name: encoded(speech, SAMPLE_RATE, *kind) for name, kind in CONTAINERS.items()}
    yield "empty", b"", BAD
    for name, data in whole.items():
        yield from _damaged(name, data)
    yield from _lying(speech, whole)
    yield from _tagged(whole)
    yield from _unusual(speech)
    for number, name in enumerate(NAMES):
        yield name, encoded(np.roll(speech, 100 * (number + 1)), SAMPLE_RATE, "FLAC"), GOOD


def _damaged(name: str, data: bytes) -> Iterator[Case]:
    yield f"whole {name}", data, GOOD
    # Within magic numbers, headers, the first frame, and frames.
    cuts = (1, 3, 4, 10, 11, 12, 43, 44, 45, 100, 417, 1000, len(data) // 2, len(data) - 1000)
    for cut in cuts[6:] if name == "opus" else cuts:  # Opus begins as Vorbis does
        yield f"{name} cut at {cut}", data[:cut], BAD
    for at in (0, 1, 4, 8, 20, 22, 24, 28, 34, 40):
        broken = bytearray(data)
        broken[at : at + 4] = b"\xff\xff\xff\xff"
        yield f"{name} with bytes {at} set", bytes(broken), EITHER if at > 1 else BAD
    yield f"{name} as text", b"The recording follows.\r\n" + data, BAD
    yield f"{name} reversed", data[::-1], BAD
    yield f"{name} twice", data + data, EITHER
    yield f"{name} and zeros", data + bytes(100_000), EITHER
    chance = np.random.default_rng(0)
    for number in range(6):
        broken = bytearray(data)
        for at in chance.integers(0, len(broken), 50):
            broken[at] ^= 1 << int(chance.integers(8))
        yield f"{name} with bits flipped {number}", bytes(broken), EITHER


def _lying(speech: np.ndarray, whole: dict[str, bytes]) -> Iterator[Case]:
    huge = bytearray(whole["wav"])
    huge[40:44] = struct.pack("<I", 0xFFFFFFF0)
    yield "wav of 4 GiB by its header", bytes(huge), GOOD
    flac = bytearray(whole["flac"])
    flac[21:26] = b"\x0f\xff\xff\xff\xff"
    yield "flac of 2^36 samples by its header", bytes(flac), BAD
    yield "an hour of silence in little", encoded(np.zeros(3600 * 8000, np.int16), 8000, "FLAC"), {"too_long"}
    yield "ten minutes of silence", encoded(np.zeros(600 * 8000, np.int16), 8000, "FLAC"), {"silent"}
    yield "half a second", encoded(speech[:8000], SAMPLE_RATE, "WAV"), {"too_short"}
    tone = 0.5 * np.sin(np.arange(80_000) / 5)
    yield "a tone", encoded(tone, SAMPLE_RATE, "WAV"), {"little_speech"}
    loud = np.clip(60 * speech / np.abs(speech).max(), -1, 1)
    yield "clipped", encoded(loud, SAMPLE_RATE, "FLAC"), {"clipped"}
    odd = speech.copy()
    odd[1000:1100] = np.nan
    yield "wav of no numbers", encoded(odd, SAMPLE_RATE, "WAV", "FLOAT"), BAD
    odd[1000:1100] = np.inf
    yield "wav of infinities", encoded(odd, SAMPLE_RATE, "WAV", "FLOAT"), BAD
    yield "a page", b"<html><body>404</body></html>" * 99, BAD
    yield "zeros", bytes(2**20), BAD
    yield "a bomb", BOMB, BAD


def _tagged(whole: dict[str, bytes]) -> Iterator[Case]:
    jpeg = b"\0image/jpeg\0\3\0\xff\xd8\xff\xe0"
    yield "mp3 with a picture of 100 MB", id3(b"APIC", jpeg + bytes(100 * 10**6)) + whole["mp3"], GOOD
    missing = id3(b"APIC", jpeg + bytes(10 * 2**20), declared=2**27)
    yield "mp3 with a picture of 128 MiB of which 10 are there", missing + whole["mp3"], BAD
    for frame in (b"APIC", b"TIT2", b"COMM"):
        bomb = id3(frame, _sync_safe(100 * 2**20) + BOMB, flags=COMPRESSED)
        yield f"mp3 with a bomb in {frame.decode()}", bomb + whole["mp3"], GOOD
    pixels = 2**24 - 100
    picture = struct.pack(">II9sIIIIII", 3, 9, b"image/png", 0, 9, 9, 24, 0, pixels) + bytes(pixels)
    block = b"\x06" + len(picture).to_bytes(3, "big") + picture
    flac = whole["flac"]
    yield "flac with a picture of 16 MiB", flac[:42] + block + flac[42:], GOOD
    yield "flac with a picture that is not there", flac[:42] + b"\x06\xff\xff\xff", BAD


def _unusual(speech: np.ndarray) -> Iterator[Case]:
    for rate in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000):
        again = soxr.resample(speech, SAMPLE_RATE, rate)
        yield f"wav of 24 bit at {rate}", encoded(again, rate, "WAV", "PCM_24"), GOOD
    for channels in (2, 6, 16):
        yield f"wav of {channels}", encoded(np.stack([speech] * channels, 1), SAMPLE_RATE, "WAV"), GOOD
    surround = np.stack([soxr.resample(speech, SAMPLE_RATE, 192_000)] * 6, 1)
    yield "flac of 6 at 192 kHz", encoded(surround, 192_000, "FLAC", "PCM_24"), GOOD
    yield "wav of 17", encoded(np.stack([speech] * 17, 1), SAMPLE_RATE, "WAV"), BAD
    yield "wav at 1 kHz", encoded(speech, 1_000, "WAV"), {"bad_rate"}
    for subtype in ("PCM_U8", "PCM_16", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM", "GSM610"):
        yield f"wav {subtype}", encoded(speech[100:], SAMPLE_RATE, "WAV", subtype), GOOD
    for container in ("AIFF", "AU", "CAF", "W64", "RF64"):
        yield container, encoded(speech, SAMPLE_RATE, container), GOOD


def test_each_is_published_or_refused_with_its_reason(store: Store, spoken: bytes, tmp_path: Path) -> None:
    files = list(hostile(spoken))
    assert len(files) >= 200
    stage(store, "one", {name: data for name, data, _ in files}, speaker_id=None)
    (tmp_path / "spoken.mp3").write_bytes(spoken)
    code = UPLOAD.format(spoken=str(tmp_path / "spoken.mp3"))
    result = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(result.stdout)
    assert 100 < report["grown_mib"] < MAX_GROWTH_MIB
    assert report["published"] + sum(report["quarantined"].values()) == len(files)
    refused = reasons(store)
    wrong = {
        name: found
        for name, _, expected in files
        if (found := refused.get(name, "published")) not in expected
    }
    assert wrong == {}
    assert catalog.read(store, "fr").num_rows == report["published"]
    assert diagnose(store, deep=True).findings == []


@given(st.data())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_no_bytes_make_the_decoder_fail_otherwise_than_in_a_sentence(data: st.DataObject) -> None:
    container, subtype = data.draw(st.sampled_from(list(CONTAINERS.values())))
    whole = bytearray(encoded(np.sin(np.arange(4000) / 9), SAMPLE_RATE, container, subtype))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)):
        whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: earlier tests had theirs
    before = peak_mib()
    with suppress(NotAudio):
        assert np.isfinite(decode(cut, max_s=60).samples).all()
    # A minute of 16 channels at 192 kHz is 700 MiB, and never there at once.
    assert peak_mib() - before < 200
