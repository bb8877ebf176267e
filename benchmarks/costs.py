"""What a corpus costs by its size: requests and bytes measured here, CPU time taken from the other results.

The chain runs in this process on two sizes of a synthetic site, and every request to S3 is counted; what
grows with the clips is told apart from what does not. There is no peer to stand beside: this is the
arithmetic behind docs/operations.md.

    make bench-costs
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from _s3 import bucket, count_requests, forget

from langaudio import catalog, stages
from langaudio.demo.site import app, build_synthetic
from langaudio.store import default_store
from tests.conftest import served

RESULTS = Path(__file__).resolve().parent / "results"
SIZES = (60, 240)
COPIES = 2
CLIP_S = 60.0
"""Seconds of a clip, and of its speech, in the model."""
RAW_BYTES_S = 16_000
"""Bytes of a second of MP3: 128 kbit/s."""
EPOCHS = 24
"""As the form proposes."""
_TRAINING = 0.65
"""The share of the speakers who train."""
_AUGMENTED_CLIP_S = 10.0
"""Seconds of the clips that the cost of augmentation was measured on."""
_CORES = 2
"""Of the machine that the other results come from."""
_DEMO_EPOCHS = 20
"""Of the demo on recordings."""
_CATALOG_BYTES = 600
"""Of a row in memory: a comparison with a million of them took 603 MiB (store.md)."""
CORPORA = (10_000, 1_000_000, 100_000_000)

WRITING = ("PutObject", "CopyObject", "ListObjectsV2", "CreateMultipartUpload", "UploadPart")
"""What S3 counts as the dear kind of request; deleting is free, everything else is of the cheap kind."""

PRICES = {
    "storage_gb_month": 0.023,
    "dear_requests_1000": 0.005,
    "cheap_requests_1000": 0.0004,
    "egress_gb": 0.09,
    "core_hour": 0.04,
}
"""US dollars, of a large cloud in 2025. They change; the amounts that they are multiplied with do not."""


def main() -> None:
    small, large = (_measure(size) for size in SIZES)
    per_clip = _slopes(small, large)
    units = per_clip | _cpu()
    result = {
        "headline": {
            "s3_requests_per_clip": round(units["dear_requests"] + units["cheap_requests"], 2),
            "bytes_moved_per_raw_byte": round(units["bytes_moved"] / units["raw_bytes"], 2),
            "cpu_s_per_clip": units["cpu_s"],
        },
        "measured": {"small": small, "large": large},
        "units": units,
        "prices": PRICES,
        "corpora": {str(clips): _costs(clips, units) for clips in CORPORA},
    }
    (RESULTS / "costs.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "costs.md").write_text(_table(result))


def _measure(clips: int) -> dict[str, Any]:
    """Run crawl, upload and augment on a site of so many clips of one language; count what goes to S3."""
    with tempfile.TemporaryDirectory() as scratch, bucket(Path(scratch)):
        site = Path(scratch) / "site"
        build_synthetic(site, ["fr"], clips=clips)
        with served(app(site)) as url:
            os.environ["LANGAUDIO_DEMO_URL"] = url
            forget()
            counted = count_requests()
            stages.crawl("fr", source="demo", run="costs")
            stages.upload("fr", source="demo", run="costs")
            augmented = stages.augment(
                "fr", run="costs", recipe="default", copies=COPIES, balance_minutes=0, seed=0
            )
        rows = catalog.read(default_store(), "fr", ["speech_s", "bytes", "split"]).to_pylist()
        stored: dict[str, int] = defaultdict(int)
        for item in default_store().list(""):
            stored[item.key.partition("/")[0]] += item.size
        training = sum(row["speech_s"] for row in rows if row["split"] == "train")
        return {
            "clips": len(rows),
            "speech_s": round(sum(row["speech_s"] for row in rows), 1),
            "training_speech_s": round(training, 1),
            "copies": augmented["copies"],
            "requests": dict(counted["requests"]),
            "bytes_moved": counted["bytes"].total(),
            "stored": dict(stored),
            "raw_bytes": sum(row["bytes"] for row in rows),
        }


def _slopes(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """Return what one more clip of CLIP_S takes: requests by number of clips, bytes by their length."""
    more = large["clips"] - small["clips"]

    def requests(kinds: tuple[str, ...], *, others: bool = False) -> float:
        def of(measured: dict[str, Any]) -> int:
            free = ("DeleteObject", "DeleteObjects")
            counted = measured["requests"].items()
            return sum(number for name, number in counted if name not in free and (name in kinds) != others)

        return (of(large) - of(small)) / more

    augmented = large["stored"]["augmented"] - small["stored"]["augmented"]
    rendered_s = (large["training_speech_s"] - small["training_speech_s"]) * (1 + COPIES)
    shard_bytes_s = augmented / rendered_s
    raw = RAW_BYTES_S * CLIP_S
    shards = shard_bytes_s * CLIP_S * _TRAINING * (1 + COPIES)
    # A clip goes to staging, is read to be checked, goes to raw, and is read to be augmented.
    times_raw = (large["bytes_moved"] - small["bytes_moved"] - augmented) / (
        large["raw_bytes"] - small["raw_bytes"]
    )
    staged = large["stored"].get("staging", 0) > large["raw_bytes"] / 2
    return {
        "dear_requests": round(requests(WRITING), 3),
        "cheap_requests": round(requests(WRITING, others=True), 3),
        "raw_bytes": raw,
        "staged_bytes": raw if staged else 0.0,
        "shard_bytes": round(shards),
        "shard_bytes_s": round(shard_bytes_s),
        "times_raw_is_moved": round(times_raw, 2),
        "bytes_moved": round(times_raw * raw + shards),
        "training_share": _TRAINING,
    }


def _cpu() -> dict[str, float]:
    """Return CPU seconds of a clip of CLIP_S, from the results of the other measurements."""
    augment, store, crawl, demo = (
        json.loads((RESULTS / f"{name}.json").read_text()) for name in ("augment", "store", "crawl", "demo")
    )
    _, some, many, *_ = augment["growth"]["runs"]
    a_clip = (many["cpu_s"] - some["cpu_s"]) / (many["clips"] - some["clips"])
    trained = demo["recordings"]
    hours = sum(row["minutes"] for row in trained["languages"].values()) / 60 * _TRAINING * (1 + COPIES)
    once = {
        "crawl_cpu_s": _CORES * crawl["full"]["langaudio_s"] / crawl["full"]["clips"],
        "check_cpu_s": CLIP_S / store["headline"]["check_x_realtime"],
        "augment_cpu_s": a_clip * CLIP_S / _AUGMENTED_CLIP_S * _TRAINING,
    }
    return {name: round(value, 4) for name, value in once.items()} | {
        "cpu_s": round(sum(once.values()), 3),
        "train_core_s_per_hour_and_epoch": round(
            _CORES * trained["stages"]["train"]["seconds"] / (hours * _DEMO_EPOCHS), 1
        ),
    }


def _costs(clips: int, units: dict[str, float]) -> dict[str, float]:
    """Return what a corpus of so many clips takes once, by the month, and by the training."""
    prices, gigabyte = PRICES, 1e9
    stored_gb = clips * (units["raw_bytes"] + units["staged_bytes"] + units["shard_bytes"]) / gigabyte
    rendered_hours = clips * CLIP_S / 3600 * _TRAINING * (1 + COPIES)
    cpu_hours = clips * units["cpu_s"] / 3600
    train_core_hours = rendered_hours * EPOCHS * units["train_core_s_per_hour_and_epoch"] / 3600
    requests = (
        clips * units["dear_requests"] / 1000 * prices["dear_requests_1000"]
        + clips * units["cheap_requests"] / 1000 * prices["cheap_requests_1000"]
    )
    shards_gb = clips * units["shard_bytes"] / gigabyte
    return {
        "hours_of_speech": clips * CLIP_S / 3600,
        "days_of_crawl_at_a_request_a_second": clips / 86_400,
        "stored_gb": stored_gb,
        "shards_gb": shards_gb,
        "requests": clips * (units["dear_requests"] + units["cheap_requests"]),
        "core_hours_once": cpu_hours,
        "core_hours_a_training": train_core_hours,
        "storage_usd_a_month": stored_gb * prices["storage_gb_month"],
        "requests_usd_once": requests,
        "cpu_usd_once": cpu_hours * prices["core_hour"],
        "training_usd_on_cores": train_core_hours * prices["core_hour"],
        "egress_usd_a_training_elsewhere": shards_gb * prices["egress_gb"],
        "catalog_memory_gib": clips * _CATALOG_BYTES / 2**30,
    }


_ROWS = {
    "hours_of_speech": "hours of speech",
    "days_of_crawl_at_a_request_a_second": "days of crawl, if one host has all, at a request a second",
    "stored_gb": "stored, GB",
    "shards_gb": "of it shards, GB",
    "requests": "S3 requests, once",
    "core_hours_once": "core hours, once: crawl, checks, augmentation",
    "core_hours_a_training": f"core hours of a training of {EPOCHS} epochs",
    "catalog_memory_gib": "memory to compare with the whole catalog, GiB",
    "storage_usd_a_month": "storage, $ a month",
    "requests_usd_once": "requests, $ once",
    "cpu_usd_once": "cores, $ once",
    "training_usd_on_cores": "a training on cores, $",
    "egress_usd_a_training_elsewhere": "egress of a training in another cloud, $",
}


def _table(result: dict[str, Any]) -> str:
    units, prices = result["units"], result["prices"]
    lines = [
        "# What a corpus costs",
        "",
        f"Clips of {CLIP_S:.0f} s of speech at 128 kbit/s, {_TRAINING:.0%} of them for training, with",
        f"{COPIES} copies. Requests and bytes come from {SIZES[0]} and {SIZES[1]} clips, CPU time from",
        "[crawl](crawl.md), [store](store.md), [augment](augment.md) and [demo](demo.md).",
        "",
        "| a clip takes | |",
        "|---|---:|",
        f"| S3 requests of the dear kind (put, list) | {units['dear_requests']:.2f} |",
        f"| S3 requests of the cheap kind (get, head) | {units['cheap_requests']:.2f} |",
        f"| bytes moved, for each byte of the recording | {units['bytes_moved'] / units['raw_bytes']:.2f} |",
        f"| bytes stored: recording, staged copy, shards | {units['raw_bytes'] / 1e3:,.0f} kB, "
        f"{units['staged_bytes'] / 1e3:,.0f} kB, {units['shard_bytes'] / 1e3:,.0f} kB |",
        f"| CPU of crawl, checks, augmentation | {units['crawl_cpu_s'] * 1e3:.0f}, "
        f"{units['check_cpu_s'] * 1e3:.0f}, {units['augment_cpu_s'] * 1e3:.0f} ms |",
        "| core seconds of training, an hour of speech and epoch | "
        f"{units['train_core_s_per_hour_and_epoch']:.0f} |",
        "",
        "| | " + " | ".join(f"{int(clips):,} clips" for clips in result["corpora"]) + " |",
        "|---|" + "---:|" * len(result["corpora"]),
    ]
    for key, title in _ROWS.items():
        numbers = " | ".join(_number(corpus[key]) for corpus in result["corpora"].values())
        lines.append(f"| {title} | {numbers} |")
    lines += [
        "",
        "Prices: " + ", ".join(f"{name.replace('_', ' ')} ${price}" for name, price in prices.items()) + ".",
        "They change; the amounts do not.",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
