"""Spoken-language identification: ours beside its peers, trained from scratch on the same speech.

Real speech (``SPEECH``, by default ../shared/speech). Networks learn from four fifths of the speakers of the
train split, their weights are chosen by the last fifth, and scores are those of the dev split. Every training
has as much time as two cores have in ten minutes, counted in CPU seconds on one thread, so that it makes no
difference what else the machine does. Peers are trained plain, and once more with our augmentation.

One language after the other is left out, for what a network says of a language that it does not know; some of
these are added afterwards, from that network on and from scratch.

A training takes twenty minutes. What stands in ``results/lid.json`` is not measured again; give ``--minutes``
to go on another time, and ``--jobs`` for trainings side by side.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _speech import PROJECT, Recording, folds, languages, recordings, say, spoken, written
from identifying.systems import SYSTEMS, Task, Trained

from langaudio import augment
from langaudio.calibration import Calibration, Heard, calibrate
from langaudio.evaluate.clips import ALL, DURATIONS_S, first_seconds
from langaudio.evaluate.measures import Answers
from langaudio.train.network import LanguageNetwork
from langaudio.voting import normalised

RESULTS = PROJECT / "benchmarks" / "results"
OURS = "langaudio"
PEERS = [system for system in SYSTEMS if system != OURS]
CPU_S, SEEDS, COPIES = 1_200, 3, 4
PLAIN, AUGMENTED = "plain", "our augmentation"
LEFT_OUT_CPU_S, ADDED_CPU_S = 600, 300
ADDED = ("ar", "de", "fr")
HEARD = {f"{seconds:g} s": seconds for seconds in DURATIONS_S} | {ALL: 1e6}
"""How much of the speech of a clip is heard, in seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), help="only these")
    wanted = parser.parse_args()
    until = time.monotonic() + 60 * wanted.minutes
    path = RESULTS / "lid.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {_name(run) for run in runs}
    missing = [one for one in _wanted() if one["system"] in wanted.systems and _name(one) not in done]
    # Spawned: torch's threads do not survive a fork.
    with ProcessPoolExecutor(wanted.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(_measure, one, until) for one in missing]
        for finished in as_completed(waiting):
            if run := finished.result():
                runs.append(run)
                print(run, flush=True)
                result = {"headline": _headline(runs), "runs": runs}
                path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
                (RESULTS / "lid.md").write_text(_table(runs))


def _wanted() -> list[dict[str, Any]]:
    """Return what is to be trained, the most telling first."""
    compared = [
        {"system": system, "speech": speech, "seed": seed, "left_out": None}
        for seed in range(SEEDS)
        for system in SYSTEMS
        for speech in ((AUGMENTED,) if system == OURS else (PLAIN, AUGMENTED))
    ]
    left_out = [{"system": OURS, "speech": AUGMENTED, "seed": 0, "left_out": code} for code in spoken()]
    return compared + left_out


def _name(run: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(run[part] for part in ("system", "speech", "seed", "left_out"))


def _measure(wanted: Mapping[str, Any], until: float) -> dict[str, Any] | None:
    if time.monotonic() > until:
        return None
    torch.set_num_threads(1)
    logging.disable()
    warnings.simplefilter("ignore")
    left_out = wanted["left_out"]
    with tempfile.TemporaryDirectory() as folder:
        task = _task(wanted, Path(folder))
        trained = SYSTEMS[wanted["system"]](task)
        measured = dict(wanted) | _scores(trained, task, left_out)
        if left_out in ADDED:
            measured["added"] = _added(wanted, trained, Path(folder))
    return measured


def _task(
    wanted: Mapping[str, Any], folder: Path, cpu_s: float | None = None, known: LanguageNetwork | None = None
) -> Task:
    """Return what is to be learned; with a time of its own it is of all languages."""
    left_out = wanted["left_out"] if cpu_s is None else None
    clips = [clip for clip in recordings("train") if clip.segments and clip.language != left_out]
    chosen_by, *learned = folds(clips)
    copies = COPIES if wanted["speech"] == AUGMENTED else 0
    scratch = Path(tempfile.mkdtemp(dir=folder))
    speech = written(list(itertools.chain(*learned)), augment.load("default"), copies, scratch / "speech")
    time_s = cpu_s or (LEFT_OUT_CPU_S if left_out else CPU_S)
    return Task(languages(clips), speech, chosen_by, time_s, wanted["seed"], scratch, known)


def _scores(trained: Trained, task: Task, left_out: str | None) -> dict[str, Any]:
    """Return what a system is worth on the dev speakers."""
    names = task.languages
    tested = [clip for clip in recordings("dev") if clip.segments]
    said = [say(trained.ask, clip.segments) for clip in task.chosen_by]
    calibration = calibrate(
        [Heard(one[None], np.ones(1)) for one in said],
        [names.index(clip.language) for clip in task.chosen_by],
    )

    def answer(clip: Recording, seconds: float) -> np.ndarray:
        segments = list(first_seconds(clip.segments, seconds))
        return normalised(say(trained.ask, segments) / calibration.temperature)

    known = [clip for clip in tested if clip.language != left_out]
    answers = {
        heard: Answers(
            np.stack([answer(clip, seconds) for clip in known]),
            [names.index(clip.language) for clip in known],
            [clip.speaker for clip in known],
        ).scores()
        for heard, seconds in HEARD.items()
    }
    measured: dict[str, Any] = {
        "cpu_s": task.cpu_s,
        "took_s": round(trained.took_s),
        "examples_per_s": round(trained.examples / trained.took_s, 1),
        "parameters": trained.parameters,
        "temperature": round(calibration.temperature, 3),
        "macro_f1": {heard: round(scores.macro_f1.value, 4) for heard, scores in answers.items()},
        "macro_f1_interval": [round(answers[ALL].macro_f1.low, 4), round(answers[ALL].macro_f1.high, 4)],
        "accuracy": round(answers[ALL].accuracy.value, 4),
        "c_avg": round(answers[ALL].c_avg.value, 4),
        "calibration_error": round(answers[ALL].calibration_error.value, 4),
        # Beside the accuracy, it tells which way the calibration errs.
        "confidence": round(
            statistics.mean(float(np.exp(answer(clip, HEARD[ALL]).max())) for clip in known), 4
        ),
    }
    if left_out:
        strangers = [clip for clip in tested if clip.language == left_out]
        measured["unknown"] = {
            name: round(
                statistics.mean(not _is_known(answer(clip, HEARD[ALL]), calibration) for clip in own), 4
            )
            for name, own in (("recall", strangers), ("false_alarm", known))
        }
    return measured


def _added(wanted: Mapping[str, Any], before: Trained, folder: Path) -> dict[str, Any]:
    """Add the language that was left out, from the network on and from scratch; return mean recalls."""
    assert isinstance(before.ask, LanguageNetwork)
    code = wanted["left_out"]
    tested = [clip for clip in recordings("dev") if clip.segments]
    others = [clip for clip in tested if clip.language != code]
    own = [clip for clip in tested if clip.language == code]
    found: dict[str, Any] = {"before": {"others": _recall(before, before.ask.languages, others)}}
    for name, known in (("from the champion", before.ask), ("from scratch", None)):
        task = _task(wanted, folder, ADDED_CPU_S, known)
        trained = SYSTEMS[OURS](task)
        found[name] = {
            "others": _recall(trained, task.languages, others),
            "own": _recall(trained, task.languages, own),
        }
    return found


def _recall(trained: Trained, names: Sequence[str], clips: Sequence[Recording]) -> float:
    """Return the mean of the languages' recalls."""
    right: dict[str, list[bool]] = {}
    for clip in clips:
        heard = names[int(say(trained.ask, clip.segments).argmax())]
        right.setdefault(clip.language, []).append(heard == clip.language)
    return round(statistics.mean(statistics.mean(each) for each in right.values()), 4)


def _is_known(answer: np.ndarray, calibration: Calibration) -> bool:
    return calibration.accepts(Heard(answer[None], np.ones(1)))


def _headline(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over seeds of what has been measured; None stands for what has not."""
    ours = _mean(runs, OURS, AUGMENTED, lambda run: run["macro_f1"][ALL])
    best = {
        speech: max((_mean(runs, peer, speech, lambda run: run["macro_f1"][ALL]) or 0.0) for peer in PEERS)
        or None
        for speech in (PLAIN, AUGMENTED)
    }
    speed, their_speed = (
        _mean(runs, *which, lambda run: run["examples_per_s"])
        for which in ((OURS, AUGMENTED), ("ECAPA-TDNN", AUGMENTED))
    )
    unknown = [run["unknown"] for run in runs if run["left_out"]]
    served = json.loads((RESULTS / "serve.json").read_text())["headline"]
    return {
        "macro_f1": ours,
        "macro_f1_best_peer": best[PLAIN],
        "macro_f1_best_peer_augmented": best[AUGMENTED],
        "margin_points": _margin(ours, list(best.values())),
        "margin_points_over_plain": _margin(ours, [best[PLAIN]]),
        "ece": _mean(runs, OURS, AUGMENTED, lambda run: run["calibration_error"]),
        "train_speedup_vs_ecapa": round(speed / their_speed, 1) if speed and their_speed else None,
        "identify_10s_ms": served["identify_10s_ms"],
        "cli_start_s": served["cli_start_s"],
        "unknown_recall": round(statistics.mean(one["recall"] for one in unknown), 3) if unknown else None,
        "unknown_false_alarm": (
            round(statistics.mean(one["false_alarm"] for one in unknown), 3) if unknown else None
        ),
    }


def _margin(ours: float | None, peers: Sequence[float | None]) -> float | None:
    measured = [peer for peer in peers if peer is not None]
    return round(100 * (ours - max(measured)), 1) if ours and measured else None


def _mean(
    runs: Sequence[Mapping[str, Any]], system: str, speech: str, value: Callable[[Mapping[str, Any]], float]
) -> float | None:
    found = [value(run) for run in _of(runs, system, speech)]
    return round(statistics.mean(found), 4) if found else None


def _of(runs: Sequence[Mapping[str, Any]], system: str, speech: str) -> list[Mapping[str, Any]]:
    return [run for run in runs if (run["system"], run["speech"], run["left_out"]) == (system, speech, None)]


def _table(runs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "# Naming languages",
        "",
        f"Macro-F1 on the dev speakers, each system trained from scratch for {CPU_S} CPU seconds; means",
        "of the seeds. ECE is the calibration error after temperature scaling.",
        "",
        "| system | learned from | " + " | ".join(HEARD) + " | seeds | ECE | examples/s | parameters |",
        "|---|---|" + "---:|" * (len(HEARD) + 4),
    ]
    for system in SYSTEMS:
        for speech in (PLAIN, AUGMENTED):
            if own := _of(runs, system, speech):
                means = [statistics.mean(run["macro_f1"][heard] for run in own) for heard in HEARD]
                cells = [
                    *(f"{mean:.3f}" for mean in means),
                    ", ".join(f"{run['macro_f1'][ALL]:.3f}" for run in own),
                    f"{statistics.mean(run['calibration_error'] for run in own):.3f}",
                    f"{statistics.mean(run['examples_per_s'] for run in own):.0f}",
                    f"{own[0]['parameters']:,}",
                ]
                lines.append(f"| {system} | {speech} | " + " | ".join(cells) + " |")
    if left_out := [run for run in runs if run["left_out"]]:
        lines += [
            "",
            "## Languages that are none of ours",
            "",
            f"Each left out of a training of {LEFT_OUT_CPU_S} CPU seconds once.",
            "",
            "| left out | called unknown | of the others | macro-F1 of the others |",
            "|---|---:|---:|---:|",
            *(
                f"| {run['left_out']} | {run['unknown']['recall']:.2f} | "
                f"{run['unknown']['false_alarm']:.2f} | {run['macro_f1'][ALL]:.3f} |"
                for run in sorted(left_out, key=lambda run: str(run["left_out"]))
            ),
        ]
    if added := [run for run in runs if "added" in run]:
        lines += [
            "",
            "## A language more",
            "",
            "Mean recall of the other languages, and the recall of the one that is added in",
            f"{ADDED_CPU_S} CPU seconds: from the network that lacks it on, or from scratch.",
            "",
            "| added | others before | others, from the network | from scratch | "
            "added, from the network | from scratch |",
            "|---|---:|---:|---:|---:|---:|",
            *(_added_row(run) for run in added),
        ]
    return "\n".join(lines) + "\n"


def _added_row(run: Mapping[str, Any]) -> str:
    found = run["added"]
    ways = ("from the champion", "from scratch")
    cells = [found["before"]["others"], *(found[way][which] for which in ("others", "own") for way in ways)]
    return f"| {run['left_out']} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"


if __name__ == "__main__":
    main()
