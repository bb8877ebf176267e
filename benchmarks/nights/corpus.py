"""A corpus that has all of what the replica has, and a model that was trained on all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
from nights.source import REPLICA, SECTIONS

from langaudio import audio, catalog, registry
from langaudio.augment.stage import augment, seeded_id
from langaudio.store import default_store, keys

SECONDS = 2
"""Of noise in each clip: nothing decodes a known clip at night."""


def fill(url: str, codes: Sequence[str], clips: int) -> dict[str, list[str]]:
    """Put clips of each language into the bucket, with rows and shards; return their ids by language."""
    store, learned = default_store(), dict[str, list[str]]()
    with ThreadPoolExecutor(4) as pool, store.writing() as writing:
        for code in codes:
            files = list(pool.map(_noise, [(code, number) for number in range(1, clips + 1)]))
            rows = [_row(code, url, number, data) for number, data in enumerate(files, 1)]
            for row, data in zip(rows, files, strict=True):
                writing.put(keys.raw(code, row["clip_id"], row["format"]), data)
            learned[code] = [row["clip_id"] for row in rows]
            writing.wait()
            catalog.write_part(store, code, "first", rows)
            augment(store, code, run="first", copies=0, balance_minutes=0)
    return learned


def learn(learned: dict[str, list[str]], codes: Sequence[str]) -> None:
    """Make a model champion that was trained on what there is of these languages."""
    trained = {"languages": " ".join(codes), "recipe_id": seeded_id("default", 0)}
    run_id = registry.start_run(f"{len(codes)} languages", trained)
    clips = [clip_id for code in codes for clip_id in learned[code]]
    registry.log_file(run_id, registry.CLIPS, json.dumps(clips).encode())
    registry.finish_run(run_id)
    registry.set_alias(registry.CHAMPION, registry.register(run_id))


def _noise(which: tuple[str, int]) -> bytes:
    code, number = which
    generator = np.random.default_rng([int(SECTIONS[code]), number])
    samples = generator.normal(0, 0.1, SECONDS * audio.SAMPLE_RATE).astype(np.float32)
    return audio.to_flac(samples, audio.SAMPLE_RATE)


def _row(code: str, url: str, number: int, data: bytes) -> dict[str, Any]:
    now, sha256 = datetime.now(UTC), hashlib.sha256(data).hexdigest()
    article = 1_000_000 * int(SECTIONS[code]) + number
    return {
        "clip_id": sha256[:20], "language": code, "source": REPLICA.name, "title": f"Recording {article}",
        "source_url": f"{url}IMG/mp3/{article}.mp3", "page_url": f"{url}spip.php?article{article}",
        "speaker_id": f"{article % 97:020x}", "speaker_sex": "male", "speaker_age": "adult",
        "cefr_level": "B1", "licence": "https://creativecommons.org/licenses/by-nc-sa/3.0/",
        "permission": None, "duration_s": float(SECONDS), "sample_rate": audio.SAMPLE_RATE, "channels": 1,
        "bitrate": 8 * len(data) // SECONDS, "speech_s": float(SECONDS),
        "speech_regions": [0, SECONDS * audio.SAMPLE_RATE], "sha256": sha256, "bytes": len(data),
        "split": "train", "first_seen": now, "last_seen": now, "gone": False, "format": "flac",
    }  # fmt: skip
