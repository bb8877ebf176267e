"""What many workers, many languages and many clips cost.

Its parts may be measured one by one, by naming them; the results of the others are kept:

- ``fanout``: a language augmented by one worker, and by two that do a part each.
- ``scheduling``: Airflow's own time for 14, 107 and 1,000 mapped tasks that do nothing.
- ``growth``: every stage on 1, 10 and 100 times the demo's corpus: how time, memory and requests grow, and
  how many bytes go to and from the bucket beside the least that would do.

    make bench-scale
    PYTHONPATH=. .venv/bin/python benchmarks/scale.py fanout
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling import fanout, growth, scheduling, stage

RESULTS = Path(__file__).resolve().parent / "results"
PARTS = {"fanout": fanout.measure, "scheduling": scheduling.measure, "growth": growth.measure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if none")
    wanted = parser.parse_args().parts or list(PARTS)
    if unknown := set(wanted) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    path = RESULTS / "scale.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    for part in wanted:
        print(part, flush=True)
        measured[part] = PARTS[part]()
        path.write_text(json.dumps(measured, indent=1) + "\n")
    if measured.keys() >= PARTS.keys():
        result = {"headline": _headline(measured)} | {part: measured[part] for part in PARTS}
        path.write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / "scale.md").write_text(_table(result))


def _headline(measured: Mapping[str, Any]) -> dict[str, float]:
    most = max(measured["scheduling"]["LocalExecutor"], key=int)
    return {
        "two_worker_speedup": measured["fanout"]["speedup"],
        "scheduling_s_per_task": measured["scheduling"]["LocalExecutor"][most]["seconds_per_task"],
        "growth_exponent_time": max(one["seconds"] for one in measured["growth"]["exponents"].values()),
        "bytes_moved_vs_least": measured["growth"]["moved"]["ratio"],
    }


def _table(result: Mapping[str, Any]) -> str:
    return (
        "\n".join(
            [
                "# Scale",
                *_fanout_lines(result["fanout"]),
                *_scheduling_lines(result["scheduling"]),
                *_growth_lines(result["growth"]),
                *_moved_lines(result["growth"]),
            ]
        )
        + "\n"
    )


def _fanout_lines(measured: Mapping[str, Any]) -> list[str]:
    return [
        "",
        "## One language, one worker and two",
        "",
        f"{measured['clips']:,} clips of {measured['clip_s']} s and a copy of each, from bucket to bucket.",
        "A worker is `langaudio augment` held to one core; two do a part each (`--part 1/2`). Python's start",
        "counts. The S3 server shares the two cores; in the last row it shares the worker's.",
        "",
        "| | s | two workers are faster by |",
        "|---|---:|---:|",
        f"| {fanout.TWO} | {measured['seconds'][fanout.TWO]} | |",
        f"| {fanout.ONE} | {measured['seconds'][fanout.ONE]} | {measured['speedup']} |",
        f"| {fanout.ONE_CORE} | {measured['seconds'][fanout.ONE_CORE]} | "
        f"{measured['speedup_from_one_core']} |",
    ]


def _scheduling_lines(measured: Mapping[str, Any]) -> list[str]:
    return [
        "",
        "## Airflow's own time",
        "",
        "A DAG run of a planning task and so many mapped ones that do nothing, from its trigger to its end.",
        f"All services share two cores; CeleryExecutor has {scheduling.WORKERS} workers of one process each.",
        "",
        "| executor | mapped tasks | s | s a task |",
        "|---|---:|---:|---:|",
        *(
            f"| {executor} | {int(size):,} | {run['seconds']} | {run['seconds_per_task']} |"
            for executor, sizes in measured.items()
            for size, run in sizes.items()
        ),
    ]


def _growth_lines(measured: Mapping[str, Any]) -> list[str]:
    lines = [
        "",
        "## Cost against corpus",
        "",
        f"The demo's corpus in {measured['languages']} languages, once, ten and a hundred times: new clips",
        f"of about {measured['clip_s']:.0f} s, made of the demo's. Copies: {measured['copies']}, epochs:",
        f"{measured['epochs']}. Each stage works on one language after the other, in a process of its own.",
        "Cost grows as clips to the power of the last column, from the second size to the third.",
        "",
    ]
    sizes = measured["sizes"].values()
    header = [f"{size['clips']:,} clips" for size in sizes]
    for what, title in _COSTS.items():
        lines += [" | ".join([f"| {title}", *header, "exponent |"]), "|---|" + "---:|" * (len(header) + 1)]
        for name in stage.STAGES:
            numbers = [f"{size['stages'][name][what]:,}" for size in sizes]
            lines.append(" | ".join([f"| {name}", *numbers, f"{measured['exponents'][name][what]:.2f} |"]))
        lines.append("")
    return lines[:-1]


_COSTS = {
    "seconds": "seconds",
    "cpu_s": "processors' seconds",
    "peak_rss_mib": "peak MiB",
    "requests": "S3 requests",
}


def _moved_lines(measured: Mapping[str, Any]) -> list[str]:
    moved = measured["moved"]
    stages = ", ".join(f"{name} {number:,}" for name, number in moved["by_stage_per_clip"].items())
    return [
        "",
        "## Bytes moved",
        "",
        "To and from the bucket, of the largest corpus, counted at the S3 client. Stages share no disk, so",
        "the least is: each recording up once, down once to be checked, and down once to be augmented or",
        "scored; each shard up once, and down once to be trained on. Within the server a copy moves nothing.",
        "",
        "| bytes a clip | least | ratio |",
        "|---:|---:|---:|",
        f"| {moved['bytes_per_clip']:,} | {moved['least_bytes_per_clip']:,} | {moved['ratio']:.2f} |",
        "",
        f"By stage, bytes a clip: {stages}.",
    ]


if __name__ == "__main__":
    main()
