"""What helps: each transform beside training with none, and each choice of the training beside what it is.

Real speech, the train split alone, in five parts by speaker: three to learn from, one to choose the epoch
by, one to score. Three such divisions, the same for every trial, so that trials are compared in pairs.
Scores are macro-F1 and log loss on the speakers left out, as they were recorded and through other channels.
Of a hundred clips a handful decides macro-F1; the log loss hears all of them.

A training takes minutes. What is measured stands in ``results/ablation.json``, and is not measured again;
give ``--minutes`` to go on another time.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _speech import PROJECT, Clips, Recording, folds, languages, recordings, written

from langaudio import audio, augment
from langaudio.augment.compose import Compose
from langaudio.augment.transform import Augmenter
from langaudio.calibration import fit_temperature
from langaudio.evaluate.measures import macro_f1
from langaudio.train.data import Noise
from langaudio.train.features import SpecAugment
from langaudio.train.fit import Hyperparameters, fit
from langaudio.train.network import LanguageNetwork, clip_log_probabilities
from langaudio.voting import normalised

RESULTS = PROJECT / "benchmarks" / "results"
DIVISIONS, EPOCHS, COPIES = 3, 12, 4
NONE, DEFAULT = "none", "default recipe"

TRANSFORMS: dict[str, list[Augmenter]] = {
    NONE: [],
    "PitchScale ±2": [augment.PitchScale(-2, 2, p=1)],
    "PitchScale ±4": [augment.PitchScale(-4, 4, p=1)],
    "TimeMask ≤10 %": [augment.TimeMask(0.01, 0.1, p=1)],
    "TimeMask ≤30 %": [augment.TimeMask(0.05, 0.3, p=1)],
    "HighPassFilter ≤300 Hz": [augment.HighPassFilter(50, 300, p=1)],
    "HighPassFilter ≤1000 Hz": [augment.HighPassFilter(50, 1_000, p=1)],
    "WhiteNoise ≥15 dB": [augment.WhiteNoise(15, 40, p=1)],
    "WhiteNoise ≥0 dB": [augment.WhiteNoise(0, 30, p=1)],
    "RandomGain": [augment.RandomGain(-15, 6, p=1)],
    "PolarityInversion": [augment.PolarityInversion(p=0.5)],
    "SpeedPerturbation": [augment.SpeedPerturbation(p=1)],
    "RoomReverb": [augment.RoomReverb(p=1)],
    "TelephoneBand": [augment.TelephoneBand(p=1)],
    "LossyCodec": [augment.LossyCodec(p=1)],
    DEFAULT: [augment.load("default").transform],
}
"""Recipes, and with them the training as it is."""

AS_IT_IS = Hyperparameters()
CHOICES: dict[str, Hyperparameters] = {
    "half the planes": replace(AS_IT_IS, network=replace(AS_IT_IS.network, planes=(8, 16, 16))),
    "twice the planes": replace(AS_IT_IS, network=replace(AS_IT_IS.network, planes=(32, 64, 64))),
    "no slopes": replace(AS_IT_IS, network=replace(AS_IT_IS.network, slopes=False)),
    "96 channels": replace(AS_IT_IS, network=replace(AS_IT_IS.network, channels=96)),
    "256 channels": replace(AS_IT_IS, network=replace(AS_IT_IS.network, channels=256)),
    "six blocks": replace(AS_IT_IS, network=replace(AS_IT_IS.network, kernel_sizes=(5,) * 6)),
    "crops of 2 s": replace(AS_IT_IS, crop_s=2.0),
    "crops of 5 s": replace(AS_IT_IS, crop_s=5.0),
    "no noise": replace(AS_IT_IS, noise=Noise(share=0.0)),
    "no change of speed": replace(AS_IT_IS, max_speed_change=0.0),
    "no narrow bands": replace(AS_IT_IS, spec_augment=SpecAugment(narrowed=0.0)),
    "no masks": replace(AS_IT_IS, spec_augment=SpecAugment(masks=0)),
    "no stretch of bands": replace(AS_IT_IS, spec_augment=SpecAugment(max_stretch=0.0)),
    "no mixup": replace(AS_IT_IS, mixup=0.0),
    "no label smoothing": replace(AS_IT_IS, label_smoothing=0.0),
    "no averaging": replace(AS_IT_IS, averaging=0.0),
}
"""The training with one thing different, and with it the default recipe."""

MEASURES = {"macro_f1": ("macro-F1", 100, "+.1f"), "log_loss": ("log loss", 1, "+.3f")}
"""Title, scale and format of what is measured."""

CHANNELS: dict[str, Augmenter | None] = {
    "as recorded": None,
    "noise of 10 dB": augment.WhiteNoise(10, 10, p=1),
    "bass cut at 400 Hz": augment.HighPassFilter(400, 400, 24, p=1),
    "a room": augment.RoomReverb(p=1),
    "a telephone": augment.TelephoneBand(p=1),
    "a codec": augment.LossyCodec(p=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each")
    wanted = parser.parse_args()
    until = time.monotonic() + 60 * wanted.minutes
    path = RESULTS / "ablation.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(run["trial"], run["division"]) for run in runs}
    missing = [
        (trial, division)
        for division in range(DIVISIONS)
        for trial in (*TRANSFORMS, *CHOICES)
        if (trial, division) not in done
    ]
    # Spawned: torch's threads do not survive a fork.
    with ProcessPoolExecutor(wanted.jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = [pool.submit(_measure, *one, until) for one in missing]
        for finished in as_completed(waiting):
            if run := finished.result():
                runs.append(run)
                print(json.dumps(run, ensure_ascii=False), flush=True)
                result = {"headline": _headline(runs), "runs": runs}
                path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
                (RESULTS / "ablation.md").write_text(_table(runs))


def _measure(trial: str, division: int, until: float) -> dict[str, Any] | None:
    if time.monotonic() > until:
        return None
    torch.set_num_threads(1)
    logging.disable()
    begin = time.process_time()
    clips = [clip for clip in recordings("train") if clip.segments]
    parts = folds(clips)
    tested, chosen_by = parts[division], parts[division + 1]
    learned = [clip for part in parts if part is not tested and part is not chosen_by for clip in part]
    names = languages(clips)
    recipe = TRANSFORMS.get(trial, TRANSFORMS[DEFAULT])
    with tempfile.TemporaryDirectory() as folder:
        network = fit(
            names,
            written(
                learned,
                # Without a copy no recipe is asked, and there is none without transforms.
                augment.Recipe("ablation", Compose(recipe or TRANSFORMS[DEFAULT])),
                COPIES if recipe else 0,
                Path(folder) / "speech",
            ),
            Clips(chosen_by, names),
            epochs=EPOCHS,
            seed=division,
            hyper=CHOICES.get(trial, AS_IT_IS),
            scratch=Path(folder),
        )
    scores = {name: _scores(network, tested, change) for name, change in CHANNELS.items()}
    return {
        "trial": trial,
        "division": division,
        **{measure: {name: both[measure] for name, both in scores.items()} for measure in MEASURES},
        "cpu_s": round(time.process_time() - begin),
    }


def _scores(
    network: LanguageNetwork, clips: Sequence[Recording], change: Augmenter | None
) -> dict[str, float]:
    confusion = np.zeros((len(network.languages),) * 2)
    said, spoken = [], []
    with torch.inference_mode():
        for clip in clips:
            # The same noise for every network.
            rng = np.random.default_rng(int(clip.clip_id, 16))
            segments = [change(one, audio.SAMPLE_RATE, rng) if change else one for one in clip.segments]
            answer = clip_log_probabilities(network, [torch.from_numpy(one) for one in segments]).numpy()
            said.append(answer)
            spoken.append(network.languages.index(clip.language))
            confusion[spoken[-1], int(answer.argmax())] += 1
    together = np.stack(said)
    calm = normalised(together / fit_temperature(together, np.array(spoken)))
    log_loss = -calm[np.arange(len(calm)), spoken].mean()
    return {"macro_f1": round(float(macro_f1(confusion)), 4), "log_loss": round(float(log_loss), 4)}


def _gains(
    runs: Sequence[Mapping[str, Any]], trial: str, against: str, channel: str, measure: str = "macro_f1"
) -> list[float]:
    """Return by how much a measure is higher for one trial than for another, for each division."""
    by = {(run["trial"], run["division"]): run[measure][channel] for run in runs}
    return [
        by[trial, division] - by[against, division]
        for division in range(DIVISIONS)
        if (trial, division) in by and (against, division) in by
    ]


def _headline(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gains = _gains(runs, DEFAULT, NONE, "as recorded")
    return {"default_recipe_gain_points": round(100 * statistics.mean(gains), 1) if gains else None}


def _table(runs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "# What helps",
        "",
        "Macro-F1 in points (more is better) and log loss after temperature scaling in nats (less is",
        "better), on speakers left out, each against what its table is headed by: mean of the divisions,",
        f"and in brackets each of them. {EPOCHS} epochs, {COPIES} copies of each segment. The last column is",
        "the time of a training on one thread, in minutes.",
    ]
    for against, trials in ((NONE, TRANSFORMS), (DEFAULT, CHOICES)):
        for measure, (title, scale, shape) in MEASURES.items():
            heading = " | ".join(CHANNELS)
            lines += ["", f"| {against} | {heading} | minutes |", "|---|" + "---:|" * (len(CHANNELS) + 1)]
            if own := [run for run in runs if run["trial"] == against]:
                scores = [statistics.mean(run[measure][channel] for run in own) for channel in CHANNELS]
                cells = " | ".join(f"{score:.3f}" for score in scores)
                lines.append(f"| {title} | {cells} | {_minutes(own):.1f} |")
            for trial in trials:
                gains = [_gains(runs, trial, against, channel, measure) for channel in CHANNELS]
                if trial != against and all(gains):
                    cells = " | ".join(
                        f"{scale * statistics.mean(each):{shape}} "
                        f"({', '.join(f'{scale * one:{shape}}' for one in each)})"
                        for each in gains
                    )
                    took = _minutes([run for run in runs if run["trial"] == trial])
                    lines.append(f"| {trial} | {cells} | {took:.1f} |")
    return "\n".join(lines) + "\n"


def _minutes(runs: Sequence[Mapping[str, Any]]) -> float:
    return statistics.mean(run["cpu_s"] for run in runs) / 60


if __name__ == "__main__":
    main()
