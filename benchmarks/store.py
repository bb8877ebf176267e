"""The store: uploads beside a bare thread pool, a diff against a million rows, the checks of a clip.

Uploads: 2,000 objects of 300 kB by ``put_object`` on a ``ThreadPoolExecutor`` with boto3 as it comes, and by
the store, which also hashes them and compares what the server says it has; the same server, by turns.

The diff: which of 10,000 staged files are in a catalog of 1,000,000 rows, and the rows of those that are.

The checks: decoding, voice activity, fingerprint; beside decoding alone, on real speech where it is at hand
(``SPEECH``, a folder with manifest.csv), or else on the demo's voices.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import soundfile
from _s3 import S3_KEYS, bucket

from langaudio import audio, catalog
from langaudio.demo.site import build_synthetic
from langaudio.examine import examine
from langaudio.memory import peak_mib
from langaudio.settings import settings
from langaudio.store import default_store, keys

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"

OBJECTS, OBJECT_BYTES, ROUNDS = 2_000, 300_000, 4
ROWS, STAGED, PARTS = 1_000_000, 10_000, 12
SEEN = datetime(2026, 11, 1, tzinfo=UTC)

DIFF = "diff"
"""Argument with which this script, started by itself, does nothing but the diff, for its memory."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        uploads = _uploads()
        diff = _diff()
        checks = _checks(Path(folder))
    result = {
        "headline": {
            "upload_vs_bare_boto3": uploads["ratio"],
            "diff_1m_s": diff["seconds"],
            "diff_1m_peak_mib": diff["peak_mib"],
            "check_x_realtime": checks["check_x_realtime"],
        },
        "uploads": uploads,
        "diff": diff,
        "checks": checks,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "store.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "store.md").write_text(_table(result))


def _uploads() -> dict[str, Any]:
    data = random.Random(0).randbytes(OBJECT_BYTES)
    seconds = {"bare": 0.0, "langaudio": 0.0}
    share = OBJECTS // ROUNDS
    # By turns: this machine's clock drifts.
    for turn in range(ROUNDS):
        names = ("bare", "langaudio") if turn % 2 else ("langaudio", "bare")
        for name in names:
            bodies = {f"{name}/{turn}-{number}": b"%6d" % number + data for number in range(share)}
            begin = time.perf_counter()
            (_put_bare if name == "bare" else _put_ours)(bodies)
            seconds[name] += time.perf_counter() - begin
    return {
        "objects": OBJECTS,
        "bytes": OBJECT_BYTES,
        "bare_s": round(seconds["bare"], 2),
        "langaudio_s": round(seconds["langaudio"], 2),
        "ratio": round(seconds["bare"] / seconds["langaudio"], 3),
    }


def _put_bare(bodies: dict[str, bytes]) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=settings().s3_endpoint,
        region_name="us-east-1",
        aws_access_key_id=S3_KEYS[0],
        aws_secret_access_key=S3_KEYS[1],
    )
    bucket_name = settings().bucket
    with ThreadPoolExecutor() as pool:
        put = [
            pool.submit(client.put_object, Bucket=bucket_name, Key=key, Body=data)
            for key, data in bodies.items()
        ]
        for one in put:
            one.result()


def _put_ours(bodies: dict[str, bytes]) -> None:
    with default_store().writing() as writing:
        for key, data in bodies.items():
            writing.put(key, data)


def _diff() -> dict[str, Any]:
    for part in range(PARTS):
        share = range(part * ROWS // PARTS, (part + 1) * ROWS // PARTS)
        table = pa.Table.from_pylist([_row(number) for number in share], schema=catalog.SCHEMA)
        default_store().put(keys.catalog("fr", f"run-{part}"), catalog._parquet(table.sort_by("clip_id")))
    told = subprocess.run(
        [sys.executable, __file__, DIFF], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found: dict[str, Any] = json.loads(told)
    assert found["known"] == STAGED // 2
    assert found["rows_found"] == STAGED // 2
    return {"rows": ROWS, "staged": STAGED, **found}


def _only_diff() -> None:
    staged = [_clip_id(number) for number in range(ROWS - STAGED // 2, ROWS + STAGED // 2)]
    begin = time.perf_counter()
    known = catalog.ids(default_store(), "fr").intersection(staged)
    rows = catalog.read(default_store(), "fr", clip_ids=known).to_pylist()
    seconds = time.perf_counter() - begin
    found = {"seconds": round(seconds, 2), "peak_mib": peak_mib()}
    print(json.dumps(found | {"known": len(known), "rows_found": len(rows)}))


def _row(number: int) -> dict[str, Any]:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "clip_id": _clip_id(number), "language": "fr", "source": "demo", "title": f"Recording {digest[:9]}",
        "source_url": f"http://site.example/IMG/mp3/{digest[:24]}.mp3",
        "page_url": f"http://site.example/spip.php?article{number}", "speaker_id": digest[20:40],
        "speaker_sex": "male", "speaker_age": "adult", "cefr_level": "B1",
        "licence": "https://creativecommons.org/licenses/by-nc-sa/3.0/", "permission": None,
        "duration_s": 60.0 + number % 97, "sample_rate": 44100, "channels": 1, "bitrate": 128000,
        "speech_s": 50.0, "sha256": digest, "bytes": 900_000 + number, "split": "train", "first_seen": SEEN,
        "last_seen": SEEN, "gone": False, "format": "mp3",
        "fingerprint": hashlib.shake_128(digest.encode()).digest(256),
    }  # fmt: skip


def _clip_id(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:20]


def _checks(folder: Path) -> dict[str, Any]:
    name, clips = _clips(folder)
    seconds = {"decode": 0.0, "check": 0.0, "ours": 0.0, "vad": 0.0, "fingerprint": 0.0}
    speech_s = 0.0
    examine(clips[0])
    for data in clips:
        begin = time.perf_counter()
        samples, rate = soundfile.read(io.BytesIO(data))
        decoded = time.perf_counter()
        examine(data)
        checked = time.perf_counter()
        ours = audio.decode(data)
        seconds["ours"] += time.perf_counter() - checked
        speaking = time.perf_counter()
        audio.speech_regions(ours.samples)
        heard = time.perf_counter()
        audio.fingerprint(ours.samples)
        seconds["fingerprint"] += time.perf_counter() - heard
        seconds["vad"] += heard - speaking
        seconds["decode"] += decoded - begin
        seconds["check"] += checked - decoded
        speech_s += len(samples) / rate
    return {
        "clips": name,
        "number": len(clips),
        "hours": round(speech_s / 3600, 3),
        "check_x_realtime": round(speech_s / seconds["check"]),
        "soundfile_read_x_realtime": round(speech_s / seconds["decode"]),
        "decode_to_16_khz_x_realtime": round(speech_s / seconds["ours"]),
        "vad_x_realtime": round(speech_s / seconds["vad"]),
        "fingerprint_x_realtime": round(speech_s / seconds["fingerprint"]),
    }


def _clips(folder: Path) -> tuple[str, list[bytes]]:
    speech = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech")).resolve()
    if speech.is_dir():
        with (speech / "manifest.csv").open(newline="") as file:
            paths = [speech / row["path"] for row in csv.DictReader(file)][:150]
        return "real speech", [path.read_bytes() for path in paths]
    os.environ["LANGAUDIO_SPEAKER_KEY"] = "a key for measurements"
    build_synthetic(folder / "site", ["fr", "en"], speakers=3, clips=9)
    return "synthetic speech", [path.read_bytes() for path in sorted((folder / "site").rglob("*.mp3"))]


def _table(result: dict[str, Any]) -> str:
    uploads, diff, checks = result["uploads"], result["diff"], result["checks"]
    return f"""# The store

Uploads of {uploads["objects"]:,} objects of {uploads["bytes"] // 1000} kB, in seconds:

| bare ThreadPoolExecutor | langaudio, hashed and compared | throughput, ratio |
|---:|---:|---:|
| {uploads["bare_s"]} | {uploads["langaudio_s"]} | {uploads["ratio"]:.2f} |

Which of {diff["staged"]:,} staged files are in a catalog of {diff["rows"]:,} rows, and their rows:
{diff["seconds"]} s, {diff["peak_mib"]} MiB.

The checks of a clip, times realtime on one core ({checks["number"]} clips of {checks["clips"]}):

| soundfile.read alone | decode to 16 kHz | voice activity | fingerprint | all checks |
|---:|---:|---:|---:|---:|
| {checks["soundfile_read_x_realtime"]:,} | {checks["decode_to_16_khz_x_realtime"]:,} \
| {checks["vad_x_realtime"]:,} | {checks["fingerprint_x_realtime"]:,} | {checks["check_x_realtime"]:,} |
"""


if __name__ == "__main__":
    if sys.argv[1:] == [DIFF]:
        _only_diff()
    else:
        main()
