"""A stage of the chain for all languages, in a process of its own: what it takes, asks and moves, as JSON.

Run as ``python -m scaling.stage STAGE RUN LANGUAGE…``, with this folder's parent on PYTHONPATH.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from _s3 import count_requests

from langaudio import stages

COPIES = 1
EPOCHS = 1


def main(stage: str, run: str, languages: Sequence[str]) -> None:
    counted = count_requests()
    began, used = time.perf_counter(), _used_s()
    reports = list(_WAYS[stage](run, languages))
    measured = {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_s": round(_used_s() - used, 2),
        "peak_rss_mib": max(report["peak_rss_mib"] for report in reports),
        "requests": counted["requests"].total(),
        "bytes": counted["bytes"].total(),
    }
    print(json.dumps(measured | {"run_id": reports[-1].get("run_id")}))


def _used_s() -> float:
    """Return the seconds of processors that this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _crawl(run: str, languages: Sequence[str]) -> Any:
    return (stages.crawl(code, source="demo", run=run) for code in languages)


def _upload(run: str, languages: Sequence[str]) -> Any:
    return (stages.upload(code, source="demo", run=run) for code in languages)


def _augment(run: str, languages: Sequence[str]) -> Any:
    options: Any = {"recipe": "default", "copies": COPIES, "balance_minutes": 0, "seed": 0}
    return (stages.augment(code, run=run, **options) for code in languages)


def _check(run: str, languages: Sequence[str]) -> Any:
    return [stages.check()]


def _train(run: str, languages: Sequence[str]) -> Any:
    return [stages.train(languages, recipe="default", epochs=EPOCHS, seed=0)]


def _evaluate(run: str, languages: Sequence[str]) -> Any:
    return [stages.evaluate(run)]


_WAYS: dict[str, Callable[[str, Sequence[str]], Any]] = {
    "crawl": _crawl,
    "upload": _upload,
    "augment": _augment,
    "check": _check,
    "train": _train,
    "evaluate": _evaluate,
}
STAGES = tuple(_WAYS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
