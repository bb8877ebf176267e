"""Augmentation: each transform and the chain of six beside its peers, and from MP3 to shard.

Its parts may be measured one by one, by naming them: times, accuracy, pipeline, stage, growth.

Same clips of real speech where it is at hand (``SPEECH``, a folder with manifest.csv), or else the demo's
voices; 3 s, 10 s and 60 s at 16 kHz, float32, one thread, equal parameters. Everybody works by turns, in an
order that is drawn anew each time, on a clip that has just been read; times are the process's CPU time, which
other work on the machine disturbs least, and medians.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _s3 import bucket
from augmenting import accuracy, peers, pipeline
from augmenting.peers import Audio, Parameters, Transform

from langaudio import audio
from langaudio.demo.site import build_synthetic
from langaudio.store import default_store

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
SPEECH = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech"))

LENGTHS_S = (3, 10, 60)
CLIPS, ROUNDS = 10, 3
ENOUGH_MS = 10_000
"""Who has taken so long for the clips of a length is not asked again: a peer takes 13 s for 10 s of sound."""

SHARD_CLIPS, PIPELINE_CLIPS, GROWTH_CLIPS = 20, 200, 20
PEER = "audiomentations"
CHAIN = "chain of six"


def main() -> None:
    measures = (_times, _accuracy, _pipeline, _flac, _stage, _growth)
    parts = {measure.__name__.lstrip("_"): measure for measure in measures}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", choices=[*parts, []], help="which parts to measure anew")
    wanted = parser.parse_args().part or list(parts)
    torch.set_num_threads(1)
    path = RESULTS / "augment.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    RESULTS.mkdir(exist_ok=True)
    for part in wanted:
        print(part, flush=True)
        measured[part] = parts[part]()
        path.write_text(json.dumps(measured, indent=1) + "\n")
    if measured.keys() >= parts.keys() - {"growth", "flac"}:
        result = {"headline": _headline(measured)} | {
            part: measured[part] for part in parts if part in measured
        }
        path.write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / "augment.md").write_text(_table(result))


def _times() -> dict[str, Any]:
    clips, voices = _clips()
    given = Parameters()
    everybody = {**peers.peers(given), CHAIN: peers.chains(given)}
    milliseconds = {}
    for name, offered in everybody.items():
        print(name, flush=True)
        milliseconds[name] = {f"{length} s": _by_turns(offered, clips[length]) for length in LENGTHS_S}
    return {"speech": voices, "given": vars(given), "milliseconds": milliseconds}


def _accuracy() -> dict[str, Any]:
    clips, _ = _clips()
    given = Parameters()
    measured: dict[str, Any] = {}
    for name, offered in peers.peers(given).items():
        print(name, flush=True)
        measure = accuracy.MEASURES[name]
        measured[name] = {who: measure(each, clips[10][:5], given) for who, each in offered.items()}
    return measured


def _by_turns(offered: Mapping[str, Transform], clips: Sequence[Audio]) -> dict[str, float]:
    taken: dict[str, list[float]] = {who: [] for who in offered}
    order = list(offered)
    for each in [clips[0], *ROUNDS * list(clips)]:
        random.shuffle(order)
        for who in order:
            if sum(taken[who]) > ENOUGH_MS:
                continue
            float(each.sum())  # whoever comes first would else read it from memory for all
            begin = time.process_time()
            offered[who](each, audio.SAMPLE_RATE)
            taken[who].append(1_000 * (time.process_time() - begin))
    # The first turn compiled and loaded, which makes no difference to who takes seconds.
    return {who: round(statistics.median(times[1:] or times), 4) for who, times in taken.items()}


def _clips() -> tuple[dict[int, list[Audio]], str]:
    if (SPEECH / "manifest.csv").exists():
        with (SPEECH / "manifest.csv").open() as manifest:
            paths = [SPEECH / row["path"] for row in csv.DictReader(manifest)]
        voices = "real speech"
        spoken = _speech(paths)
    else:
        voices = "the demo's voices"
        with tempfile.TemporaryDirectory() as folder:
            build_synthetic(Path(folder))
            spoken = _speech(sorted(Path(folder).rglob("*.mp3")))
    return {
        length: [
            np.ascontiguousarray(spoken[at : at + length * audio.SAMPLE_RATE])
            for at in np.linspace(0, len(spoken) - length * audio.SAMPLE_RATE, CLIPS).astype(int)
        ]
        for length in LENGTHS_S
    }, voices


def _speech(paths: Sequence[Path]) -> Audio:
    """Return ten minutes of many speakers, pauses and all, one after the other."""
    chosen = random.Random(0).sample(list(paths), min(80, len(paths)))
    decoded = []
    for path in chosen:
        try:
            decoded.append(audio.decode(path.read_bytes()).samples)
        except audio.NotAudio:  # the demo's site has some that are bad on purpose
            continue
    return np.concatenate(decoded)[: 600 * audio.SAMPLE_RATE]


def _pipeline() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder:
        clips = pipeline.recordings(Path(folder), 10, PIPELINE_CLIPS)
    return pipeline.mp3_to_shard(clips[:SHARD_CLIPS]) | {"processes": pipeline.two_processes(clips)}


def _flac() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder:
        return pipeline.flac_levels(pipeline.recordings(Path(folder), 10, SHARD_CLIPS))


def _stage() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        clips = pipeline.recordings(Path(folder), 10, PIPELINE_CLIPS)
        return pipeline.two_processes_of_the_stage(default_store(), clips)


def _growth() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder, bucket(Path(folder)):
        return pipeline.cost_against_work(default_store(), pipeline.recordings(Path(folder), 3, GROWTH_CLIPS))


def _headline(measured: Mapping[str, Any]) -> dict[str, float]:
    chain = measured["times"]["milliseconds"][CHAIN]["10 s"]
    pitch = measured["accuracy"]["PitchScale"]["langaudio"]
    errors = ("tone_error_cents", "voice_error_cents", "speech_error_cents")
    return {
        "chain_speedup_vs_audiomentations": round(chain[PEER] / chain["langaudio"], 2),
        "pitch_error_cents": round(max(pitch[name] for name in errors), 2),
        "mp3_to_shard_speedup": measured["pipeline"]["speedup"],
        "two_process_speedup": measured["pipeline"]["processes"]["speedup"],
    }


def _table(result: Mapping[str, Any]) -> str:
    lines = [
        "# Augmentation",
        "",
        f"Clips of {result['times']['speech']} at 16 kHz, one thread, equal parameters, everybody by",
        "turns in one process. CPU time in milliseconds, medians.",
    ]
    for name, times in result["times"]["milliseconds"].items():
        lines += ["", f"## {name}", ""]
        errors = result["accuracy"].get(name, {})
        names = list(next(iter(errors.values()))) if errors else []
        header = ["", *(f"{length} s" for length in LENGTHS_S), "peer ÷ ours (10 s)"]
        header += [name.replace("_", " ") for name in names]
        lines += ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
        for who in times["10 s"]:
            ratio = times["10 s"][who] / times["10 s"]["langaudio"]
            row = [who, *(f"{times[f'{length} s'][who]:.3f}" for length in LENGTHS_S), f"{ratio:.1f}"]
            row += [_number(errors[who][name]) for name in names] if errors else []
            lines.append("| " + " | ".join(row) + " |")
    lines += [
        *_pipeline_lines(result),
        *_flac_lines(result.get("flac")),
        *_growth_lines(result.get("growth")),
    ]
    return "\n".join(lines) + "\n"


def _pipeline_lines(result: Mapping[str, Any]) -> list[str]:
    measured, stage = result["pipeline"], result["stage"]
    times, parts = measured["ms_per_10_s"], measured["parts_ms_per_10_s"]
    processes = measured["processes"]
    floor = parts["decode_mp3"] + parts["resample"]
    return [
        "",
        "## From MP3 to shard",
        "",
        "Decode, resample, cut into segments, one augmented copy beside each segment, FLAC, tar: CPU time of",
        f"one thread in milliseconds for 10 s of MP3 (44.1 kHz), {measured['clips']} clips, by turns.",
        "",
        "| way | ms | straightforward ÷ this |",
        "|---|---:|---:|",
        *(
            f"| {name.replace('_', ' ')} | {value:.1f} | {times['straightforward'] / value:.2f} |"
            for name, value in times.items()
        ),
        "",
        "Where our time goes: "
        + ", ".join(f"{name.replace('_', ' ')} {ms}" for name, ms in parts.items())
        + " ms.",
        f"Decoding and resampling alone, which nothing can do without, take {floor:.1f} ms: we take",
        f"{times['langaudio'] / floor:.1f} times as long. The straightforward way is librosa,",
        "audiomentations and soundfile. Without regions, speech is found anew, as where the catalog does not",
        "say where it is.",
        "",
        f"The stage's processes on {processes['clips']} MP3 files in memory, to shards in memory:",
        f"{processes['one_process_s']} s on one, {processes['two_processes_s']} s on two,",
        f"{processes['speedup']} times as fast. The whole stage on {stage['clips']} clips, from bucket to",
        f"bucket on one machine of two cores, which the S3 server shares: {stage['one_process_s']} s on one,",
        f"{stage['two_processes_s']} s on two, {stage['speedup']} times as fast.",
    ]


def _flac_lines(measured: Mapping[str, Any] | None) -> list[str]:
    if measured is None:
        return []
    return [
        "",
        "## Levels of FLAC",
        "",
        "Of 10 s of speech, by libsndfile's libFLAC; shards have level 3.",
        "",
        "| level | ms | kilobytes |",
        "|---:|---:|---:|",
        *(f"| {level} | {one['ms']} | {one['kilobytes']} |" for level, one in measured.items()),
    ]


def _growth_lines(measured: Mapping[str, Any] | None) -> list[str]:
    if measured is None:
        return []
    return [
        "",
        "## Cost against work",
        "",
        "| clips to augment | clips known | samples written | s | CPU s | CPU ms a clip | peak MiB |",
        "|---:|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {run['clips']:,} | {run['known_clips']:,} | {run['written']:,} | {run['seconds']} | "
            f"{run['cpu_s']} | {1_000 * run['cpu_s'] / run['clips'] if run['clips'] else 0:.1f} | "
            f"{run['peak_rss_mib']} |"
            for run in measured["runs"]
        ),
    ]


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.1g}"


if __name__ == "__main__":
    main()
