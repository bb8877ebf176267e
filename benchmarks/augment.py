"""Augmentation: each transform and the chain of six beside its peers, and from MP3 to shard.

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
from augmenting import accuracy, peers
from augmenting.peers import Audio, Parameters, Transform

from langaudio import audio
from langaudio.demo.site import build_synthetic

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results"
SPEECH = Path(os.environ.get("SPEECH", PROJECT.parent / "shared" / "speech"))

LENGTHS_S = (3, 10, 60)
CLIPS, ROUNDS = 10, 3
PEER = "audiomentations"
CHAIN = "chain of six"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", default=["transforms"], help="which parts to measure anew")
    wanted = parser.parse_args().part
    torch.set_num_threads(1)
    path = RESULTS / "augment.json"
    result = json.loads(path.read_text()) if path.exists() else {"headline": {}}
    if "transforms" in wanted:
        result["transforms"] = _transforms()
    _conclude(result)
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "augment.md").write_text(_table(result))


def _transforms() -> dict[str, Any]:
    clips, voices = _clips()
    given = Parameters()
    everybody = {**peers.peers(given), CHAIN: peers.chains(given)}
    measured: dict[str, Any] = {}
    for name, offered in everybody.items():
        print(name, flush=True)
        times = {f"{length} s": _times(offered, clips[length]) for length in LENGTHS_S}
        measure = accuracy.MEASURES.get(name)
        errors = (
            {who: measure(each, clips[10][:5], given) for who, each in offered.items()} if measure else {}
        )
        measured[name] = {"milliseconds": times, "accuracy": errors}
    return {"speech": voices, "given": vars(given), "measured": measured}


def _times(offered: Mapping[str, Transform], clips: Sequence[Audio]) -> dict[str, float]:
    taken: dict[str, list[float]] = {who: [] for who in offered}
    order = list(offered)
    for each in [clips[0], *ROUNDS * list(clips)]:
        random.shuffle(order)
        for who in order:
            float(each.sum())  # whoever comes first would else read it from memory for all
            begin = time.process_time()
            offered[who](each, audio.SAMPLE_RATE)
            taken[who].append(1_000 * (time.process_time() - begin))
    # The first turn compiled and loaded.
    return {who: round(statistics.median(times[1:]), 4) for who, times in taken.items()}


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


def _conclude(result: dict[str, Any]) -> None:
    measured = result["transforms"]["measured"]
    chain = measured[CHAIN]["milliseconds"]["10 s"]
    pitch = measured["PitchScale"]["accuracy"]["langaudio"]
    result["headline"] |= {
        "chain_speedup_vs_audiomentations": round(chain[PEER] / chain["langaudio"], 2),
        "pitch_error_cents": round(
            max(pitch[name] for name in ("tone_error_cents", "voice_error_cents", "speech_error_cents")), 2
        ),
    }


def _table(result: Mapping[str, Any]) -> str:
    measured = result["transforms"]["measured"]
    lines = [
        "# Augmentation",
        "",
        f"Clips of {result['transforms']['speech']} at 16 kHz, one thread, equal parameters, everybody by",
        "turns in one process. CPU time in milliseconds, medians.",
    ]
    for name, one in measured.items():
        lines += ["", f"## {name}", ""]
        errors = one["accuracy"]
        names = list(next(iter(errors.values()))) if errors else []
        header = ["", *(f"{length} s" for length in LENGTHS_S), "peer ÷ ours (10 s)"]
        header += [name.replace("_", " ") for name in names]
        lines += ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
        times = one["milliseconds"]
        for who in times["10 s"]:
            ratio = times["10 s"][who] / times["10 s"]["langaudio"]
            row = [who, *(f"{times[f'{length} s'][who]:.3f}" for length in LENGTHS_S), f"{ratio:.1f}"]
            row += [_number(errors[who][name]) for name in names] if errors else []
            lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.1g}"


if __name__ == "__main__":
    main()
