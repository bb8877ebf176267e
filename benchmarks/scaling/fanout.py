"""Augmentation of one language by one worker, and by two that do a part each.

A worker is ``langaudio augment`` held to one core, as in a container of one: it fetches, renders and puts on
it. The S3 server shares the cores with the workers, as it does not where it is a machine of its own. Airflow
is left out: its services would take from two cores what they have of their own in a deployment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from _s3 import bucket
from augmenting import pipeline

from langaudio.store import default_store

CLIPS, RECORDINGS, CLIP_S, ROUNDS = 6_000, 100, 10, 2


def measure() -> dict[str, Any]:
    """Augment by one worker and by two, in turn; each time under another seed, so that all is made anew."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        recordings = pipeline.recordings(Path(folder), CLIP_S, RECORDINGS)
        pipeline.publish(default_store(), recordings, range(CLIPS))
        seeds = count()
        times: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(ROUNDS):
            for workers in (1, 2) if turn % 2 else (2, 1):
                times[workers].append(_augmented(cores[:workers], next(seeds)))
    one, two = (statistics.median(times[workers]) for workers in (1, 2))
    return {
        "clips": CLIPS,
        "clip_s": CLIP_S,
        "cores": len(cores),
        "one_worker_s": round(one, 2),
        "two_workers_s": round(two, 2),
        "all_s": {str(workers): [round(taken, 2) for taken in each] for workers, each in times.items()},
        "speedup": round(one / two, 2),
    }


def _augmented(cores: Sequence[int], seed: int) -> float:
    """Return the seconds from the start of the workers, one on each core, to the end of the last."""
    begin = time.perf_counter()
    workers = [
        subprocess.Popen(
            [
                *("taskset", "--cpu-list", str(core), sys.executable, "-m", "langaudio.cli", "augment"),
                *(pipeline.LANGUAGE, "--part", f"{number}/{len(cores)}", "--seed", str(seed)),
                *("--copies", "1", "--balance-minutes", "0", "--workers", "1"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number, core in enumerate(cores, 1)
    ]
    assert [worker.wait() for worker in workers] == [0] * len(cores)
    return time.perf_counter() - begin
