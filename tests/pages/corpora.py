"""Corpora to look at: one of synthetic speech, and a generated one of many languages."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from langaudio import catalog, languages, registry
from langaudio.augment.shards import INDEX_SCHEMA
from langaudio.crawl import journal
from langaudio.evaluate import EVALUATION, Estimate, Evaluation, LanguageScores, Scores
from langaudio.evaluate.measures import Bin
from langaudio.store import Store, keys
from tests.train import spoken

RECIPE = "0123456789ab"
_WORDS = [
    "market",
    "river",
    "school",
    "bread",
    "winter",
    "letter",
    "garden",
    "window",
    "music",
    "train",
    "holiday",
    "kitchen",
    "island",
]


EVIL = '"><script>window.hurt = true</script><img src=x onerror="window.hurt = true">'
"""What a hostile site may call a clip."""


def small(store: Store) -> None:
    """Write three languages of four speakers, with hostile words, quarantine, copies and a crawl."""
    clips = spoken.corpus(["de", "fr", "ru"])
    for number, clip in enumerate(clips):
        clip |= {
            "title": EVIL if number == 0 else f"Recording {number}",
            "page_url": "javascript:window.hurt=true" if number == 0 else f"https://site.example/{number}",
            "licence": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
            "speaker_sex": "female" if number % 2 else "male",
            "cefr_level": "A2",
        }
    spoken.publish(store, clips)
    spoken.augment(store, clips)
    reason = {
        "clip_id": "ab" * 10,
        "reason": "little_speech",
        "detail": f"It has 0.4 s of speech. {EVIL}",
        "title": EVIL,
        "page_url": "javascript:window.hurt=true",
    }
    store.put(keys.quarantine("fr", reason["clip_id"], "json"), json.dumps(reason).encode())
    for code in ("de", "fr"):
        with journal.noted(store, code, "demo", "manual__2026-11-20") as counts:
            counts |= {"seen": 8, "new": 8, "changed": 0, "gone": 0, "requests": 11}


def log_curves(run_id: str) -> None:
    """Give a run the curves of a training."""
    for epoch in range(1, 9):
        losses = {"loss": 2 / epoch, "dev_loss": 2.2 / epoch + 0.1, "dev_macro_f1": 1 - 0.8 / epoch}
        registry.log_metrics(run_id, losses, epoch)


def register_evaluated(codes: Sequence[str]) -> None:
    """Register a champion that was tested on many languages, without a network."""
    rng = np.random.default_rng(0)
    run_id = registry.start_run("generated", {"epochs": 8, "seed": 0})
    log_curves(run_id)
    right = rng.uniform(0.5, 0.97, len(codes))
    counts = rng.multinomial(2, np.full(len(codes), 1 / len(codes)), len(codes))
    np.fill_diagonal(counts, (40 * right).astype(int))

    def estimate(value: float) -> Estimate:
        return Estimate(round(value, 4), round(max(0.0, value - 0.04), 4), round(min(1.0, value + 0.04), 4))

    summed = [estimate(value) for value in (0.74, 0.73, 0.12, 0.03)]
    scores = Scores(int(counts.sum()), 900, *summed)
    per_language = {
        code: LanguageScores(estimate(share * 0.98), estimate(share), estimate(share * 0.99), int(row.sum()))
        for code, row, share in zip(codes, counts, right.tolist(), strict=True)
    }
    evaluation = Evaluation(
        run_id=run_id,
        languages=list(codes),
        clips_without_speech=3,
        scores=scores,
        per_language=per_language,
        confusion_matrix=counts.tolist(),
        reliability=[Bin(20 * n, n / 10 - 0.05, n / 10 - 0.07) for n in range(1, 11)],
        by_duration={"all": scores},
        by_source={},
        by_sex={},
        rejected=0.05,
        accuracy_of_accepted=0.77,
        latency_ms=21.0,
        comparison=None,
    )
    registry.log_file(run_id, EVALUATION, TypeAdapter(Evaluation).dump_json(evaluation))
    registry.finish_run(run_id)
    registry.set_alias(registry.CHAMPION, registry.register(run_id))


def generated(store: Store, number: int = 107, clips: int = 100_000) -> list[str]:
    """Write a catalog of languages of very different size, with quarantine, crawls and augmentation.

    Returns:
        their tags, the largest first.
    """
    codes = list(languages.LANGUAGES)[:number]
    weights = 1 / np.arange(1, number + 1) ** 0.8
    sizes = np.maximum(1, np.round(weights / weights.sum() * clips)).astype(int)
    sizes[0] += clips - sizes.sum()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: _language(store, *pair), zip(codes, sizes.tolist(), strict=True)))
    return codes


def _language(store: Store, code: str, clips: int) -> None:
    rng = np.random.default_rng(int.from_bytes(code.encode(), "big"))
    ids = [hashlib.sha256(f"{code} {one}".encode()).hexdigest() for one in range(clips)]
    now = datetime.now(UTC).replace(microsecond=0)
    speakers = [f"{one:020x}" for one in rng.integers(0, 2**60, max(1, clips // 12)).tolist()]
    spoken = rng.integers(0, len(speakers), clips)
    seconds = rng.gamma(4.0, 8.0, clips) + 2
    seen = [now - timedelta(hours=int(hours)) for hours in rng.integers(1, 8000, clips)]
    words = rng.choice(_WORDS, (clips, 3))
    columns: dict[str, Any] = {
        "clip_id": [one[:20] for one in ids],
        "language": [code] * clips,
        "source": ["tatoeba" if one % 3 else "audio_lingua" for one in range(clips)],
        "source_url": [f"https://audio.example/{one[:24]}.mp3" for one in ids],
        "page_url": [f"https://audio.example/{code}/{one}" for one in range(clips)],
        "title": [" ".join(one).capitalize() for one in words.tolist()],
        "speaker_id": [speakers[one] for one in spoken.tolist()],
        "speaker_sex": [("female", "male", None)[one % 3] for one in spoken.tolist()],
        "speaker_age": [("adult", "child", "teenager")[one % 3] for one in spoken.tolist()],
        "cefr_level": ["A2" if one % 2 else "B1" for one in range(clips)],
        "licence": ["https://creativecommons.org/licenses/by-nc-sa/4.0/"] * clips,
        "permission": [None] * clips,
        "duration_s": seconds,
        "sample_rate": [44_100] * clips,
        "channels": [1] * clips,
        "bitrate": [128_000] * clips,
        "speech_s": seconds * 0.8,
        "sha256": ids,
        "bytes": (seconds * 16_000).astype(int),
        "split": [("train", "train", "train", "dev", "test")[one % 5] for one in spoken.tolist()],
        "first_seen": seen,
        "last_seen": seen,
        "gone": (rng.random(clips) < 0.01).tolist(),
        "format": ["mp3"] * clips,
        "fingerprint": [bytes.fromhex(one) * 4 for one in ids],
        "speech_regions": [[0, 16_000, 20_000, 48_000]] * clips,
    }
    table = pa.table(columns, schema=catalog.SCHEMA).sort_by("clip_id")
    store.put(keys.catalog(code, "scheduled__2026-11-20"), catalog._parquet(table))
    refused = min(20, clips // 50)
    for one in range(refused):
        reason = {
            "clip_id": hashlib.sha256(f"{code} refused {one}".encode()).hexdigest()[:20],
            "language": code,
            "reason": ("little_speech", "too_short", "not_audio")[one % 3],
            "detail": "It has 0.4 s of speech; 1 s is the least.",
            "source": "tatoeba",
            "title": "A refused clip",
            "page_url": f"https://audio.example/{code}/refused/{one}",
        }
        store.put(keys.quarantine(code, reason["clip_id"], "json"), json.dumps(reason).encode())
    if refused:
        catalog.index_refusals(store, code)
    _crawls(store, code, now - timedelta(hours=int(rng.integers(1, 200))), clips, int(rng.integers(0, 12)))
    _copies(store, code, [one[:20] for one in ids[: min(clips, 2000)]])


def _crawls(store: Store, code: str, ended: datetime, clips: int, kind: int) -> None:
    lines: list[dict[str, Any]] = [
        {
            "source": "tatoeba",
            "run": f"scheduled__{ended - timedelta(days=day):%Y-%m-%dT%H-%M-%S}",
            "began": (ended - timedelta(days=day, minutes=3)).isoformat(),
            "ended": (ended - timedelta(days=day)).isoformat(),
            "outcome": "done",
            "detail": "",
            "counts": {
                "seen": clips,
                "new": 2 * day,
                "changed": 0,
                "gone": 0,
                "requests": 3,
                "seconds": 180.0,
            },
        }
        for day in (3, 2, 1, 0)
    ]
    if kind in (0, 1):
        told = {
            0: ("refused", "https://audio.example/robots.txt says 'Disallow: /' to everybody."),
            1: ("failed", "https://audio.example does not answer: try later."),
        }
        lines[-1] |= {"outcome": told[kind][0], "detail": told[kind][1], "counts": {}}
    store.put(keys.crawls(code, "tatoeba"), json.dumps(lines).encode())


def _copies(store: Store, code: str, ids: list[str]) -> None:
    rows = [
        {"clip_id": one, "segment": 0, "copy": copy, "begin_s": 0.0, "end_s": 4.0, "shard": "shard"}
        for one in ids
        for copy in range(3)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX_SCHEMA), buffer)
    store.put(keys.augmented(RECIPE, code, "run", "index.parquet"), buffer.getvalue())
