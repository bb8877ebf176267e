"""Augmentation of one language by one worker, and by two that do a part each.

A worker is ``langaudio augment`` held to one core, as in a container of one: it fetches, renders and puts on
it. The S3 server shares the two cores, so that with one worker it has a core to itself; it is also told how
one worker does on whose core the server runs as well. Airflow is left out: its services would take from two
cores what they have of their own in a deployment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _s3 import bucket
from augmenting import pipeline

from langaudio.store import default_store

CLIPS, RECORDINGS, CLIP_S, ROUNDS = 3_000, 100, 10, 3
ONE, TWO, ONE_CORE = "one worker", "two workers", "one worker and the server on one core"


def measure() -> dict[str, Any]:
    """Augment by one worker and by two, in turn, each time from the same bucket."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    ways = {ONE: (cores[:1], cores), TWO: (cores, cores), ONE_CORE: (cores[:1], cores[:1])}
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)) as server:
        recordings = pipeline.recordings(Path(folder), CLIP_S, RECORDINGS)
        pipeline.publish(default_store(), recordings, range(CLIPS))
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(ROUNDS):
            for way in reversed(ways) if turn % 2 else ways:
                workers, servers = ways[way]
                _hold(server, servers)
                times[way].append(_augmented(workers))
                _throw_away_shards()
    medians = {way: statistics.median(taken) for way, taken in times.items()}
    return {
        "clips": CLIPS,
        "clip_s": CLIP_S,
        "seconds": {way: round(median, 2) for way, median in medians.items()},
        "all_s": {way: [round(taken, 2) for taken in each] for way, each in times.items()},
        "speedup": round(medians[ONE] / medians[TWO], 2),
        "speedup_from_one_core": round(medians[ONE_CORE] / medians[TWO], 2),
    }


def _hold(process: int, cores: Sequence[int]) -> None:
    """Let all threads of a process run on these cores only."""
    named = ",".join(map(str, cores))
    command = ["taskset", "--all-tasks", "--cpu-list", "--pid", named, str(process)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _throw_away_shards() -> None:
    # They would fill memory, as the disk's cache, and each turn would find less of it than the one before.
    store = default_store()
    for item in list(store.list("augmented/")):
        store.delete(item.key)


def _augmented(cores: Sequence[int]) -> float:
    """Return the seconds from the start of the workers, one on each core, to the end of the last."""
    begin = time.perf_counter()
    workers = [
        subprocess.Popen(
            [
                *("taskset", "--cpu-list", str(core), sys.executable, "-m", "langaudio.cli", "augment"),
                *(pipeline.LANGUAGE, "--part", f"{number}/{len(cores)}"),
                *("--copies", "1", "--balance-minutes", "0", "--workers", "1"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number, core in enumerate(cores, 1)
    ]
    assert [worker.wait() for worker in workers] == [0] * len(cores)
    return time.perf_counter() - begin
