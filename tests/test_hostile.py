"""Two hundred broken and hostile files: each is published or refused with its reason, in little memory."""

from __future__ import annotations

import io
import json
import resource
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
from langaudio.store import Store
from tests.test_upload import reasons, stage

SAMPLE_RATE = 16_000
CONTAINERS = {"mp3": ("MP3", None), "flac": ("FLAC", None), "wav": ("WAV", None), "ogg": ("OGG", "VORBIS")}
NAMES = ("../../etc/passwd", "a\0b", "a\nb", "C:\\a", "ü ☃ 𝄞", "." * 300, "%2e%2e", "'; --")
MAX_GROWTH_MIB = 500

UPLOAD = """
import json, resource
from dataclasses import asdict
from langaudio import audio
from langaudio.store import default_store
from langaudio.upload import upload
audio.speech_regions(audio.decode(open({spoken!r}, "rb").read()).samples)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = upload(default_store(), "fr", source="demo", run="one")
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps(asdict(report) | {{"grown_mib": grown // 1024}}))
"""


def encoded(samples: np.ndarray, rate: int, container: str, subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


def id3(size: int, payload: bytes) -> bytes:
    """An ID3v2 tag with a picture, that says it has a size."""
    sync_safe = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00\x00" + sync_safe + b"APIC" + payload


def hostile(spoken: bytes) -> Iterator[tuple[str, bytes, set[str] | None]]:
    """Yield name, bytes, and the reasons that may be; None if the file is good."""
    speech = decode(spoken).samples
    whole = {name: encoded(speech, SAMPLE_RATE, *kind) for name, kind in CONTAINERS.items()}
    refused = {"not_audio", "too_short", "too_long", "silent", "little_speech", "clipped", "bad_rate"}
    yield "empty", b"", {"not_audio"}
    for name, data in whole.items():
        yield f"whole {name}", data, None
        for cut in (1, 3, 4, 10, 11, 12, 43, 44, 45, 100, 417, 1000, len(data) // 2, len(data) - 1000):
            # What is cut at its very end may still be whole to its decoder.
            yield f"{name} cut at {cut}", data[:cut], refused
        for at in (0, 1, 4, 8, 20, 22, 24, 28, 34, 40):
            broken = bytearray(data)
            broken[at : at + 4] = b"\xff\xff\xff\xff"
            yield f"{name} with bytes {at} set", bytes(broken), refused | {"published"}
        yield f"{name} as text", b"The recording follows.\r\n" + data, refused | {"published"}
        yield f"{name} twice", data + data, refused | {"published"}
        yield f"{name} and zeros", data + bytes(100_000), refused | {"published"}
        yield f"{name} reversed", data[::-1], refused | {"published"}
    huge = bytearray(whole["wav"])
    huge[40:44] = struct.pack("<I", 0xFFFFFFF0)
    yield "wav of 4 GiB by its header", bytes(huge), refused | {"published"}
    flac = bytearray(whole["flac"])
    flac[21:26] = b"\x0f\xff\xff\xff\xff"
    yield "flac of 2^36 samples by its header", bytes(flac), {"not_audio"}
    yield "an hour of silence in little", encoded(np.zeros(3600 * 8000, np.int16), 8000, "FLAC"), {"too_long"}
    yield "ten minutes of silence", encoded(np.zeros(600 * 8000, np.int16), 8000, "FLAC"), {"silent"}
    picture = id3(2**27, bytes(10 * 2**20))
    yield "mp3 with a picture of 100 MB that is not there", picture + whole["mp3"], refused | {"published"}
    ten = 10 * 2**20
    large = id3(ten + 10, b"\0" * (ten + 6))
    yield (
        "mp3 with a picture of 10 MB",
        large + whole["mp3"],
        refused | {"published"},
    )
    bomb = zlib.compress(bytes(100 * 2**20))
    yield "mp3 with a bomb in its tag", id3(len(bomb) + 4, bomb) + whole["mp3"], refused | {"published"}
    for rate in (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000):
        again = soxr.resample(speech, SAMPLE_RATE, rate)
        yield f"wav at {rate}", encoded(again, rate, "WAV", "PCM_24"), None
    for channels in (2, 6, 16):
        yield f"wav of {channels}", encoded(np.stack([speech] * channels, 1), SAMPLE_RATE, "WAV"), None
    yield "wav of 17", encoded(np.stack([speech] * 17, 1), SAMPLE_RATE, "WAV"), {"not_audio"}
    yield "wav at 1 kHz", encoded(speech, 1_000, "WAV"), {"bad_rate"}
    for subtype in ("PCM_U8", "PCM_16", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "IMA_ADPCM", "GSM610"):
        yield f"wav {subtype}", encoded(speech, SAMPLE_RATE, "WAV", subtype), None
    for container in ("AIFF", "AU", "CAF", "W64", "RF64"):
        yield f"{container}", encoded(speech, SAMPLE_RATE, container), None
    odd = speech.copy()
    odd[1000:1100] = np.nan
    yield "wav of no numbers", encoded(odd, SAMPLE_RATE, "WAV", "FLOAT"), {"not_audio"}
    yield "wav of infinities", encoded(odd * np.inf, SAMPLE_RATE, "WAV", "FLOAT"), {"not_audio"}
    yield "a page", b"<html><body>404</body></html>" * 99, {"not_audio"}
    yield "zeros", bytes(2**20), refused
    for number, name in enumerate(
        ("../../etc/passwd", "a\0b", "a\nb", "C:\\a", "ü ☃ 𝄞", "." * 300, "%2e%2e", "'; --")
    ):
        marked = encoded(np.roll(speech, 100 * (number + 1)), SAMPLE_RATE, "FLAC")
        yield f"named {name}", marked, None
    chance = np.random.default_rng(0)
    for number in range(30):
        kind = list(whole)[number % len(whole)]
        broken = bytearray(whole[kind])
        for at in chance.integers(0, len(broken), 50):
            broken[at] ^= 1 << int(chance.integers(8))
        yield f"{kind} with bits flipped {number}", bytes(broken), refused | {"published"}


def test_each_is_published_or_refused_with_its_reason(store: Store, spoken: bytes, tmp_path: Path) -> None:
    files = list(hostile(spoken))
    assert len(files) >= 180
    stage(store, "one", {name: data for name, data, _ in files}, speaker_id=None)
    (tmp_path / "spoken.mp3").write_bytes(spoken)
    code = UPLOAD.format(spoken=str(tmp_path / "spoken.mp3"))
    result = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(result.stdout)
    assert report["grown_mib"] < MAX_GROWTH_MIB
    assert report["published"] + sum(report["quarantined"].values()) == len(files)
    refused = reasons(store)
    wrong = {
        name: found
        for name, _, expected in files
        if (found := refused.get(name, "published")) not in (expected or {"published"}) | {"duplicate"}
    }
    assert wrong == {}
    assert catalog.read(store, "fr").num_rows == report["published"]
    assert diagnose(store, deep=True).findings == []


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_bytes_make_the_decoder_fail_otherwise_than_in_a_sentence(data: st.DataObject) -> None:
    container, subtype = data.draw(st.sampled_from(list(CONTAINERS.values())))
    whole = bytearray(encoded(np.sin(np.arange(4000) / 9), SAMPLE_RATE, container, subtype))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=20)):
        whole[at] = data.draw(st.integers(0, 255))
    with suppress(NotAudio):
        assert np.isfinite(
            decode(bytes(whole[: data.draw(st.integers(0, len(whole)))]), max_s=60).samples
        ).all()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20
