"""What helps: many trainings, each with every choice drawn, and what each choice is worth over all of them.

Trainings that differ by nothing but their seed score differently too, so to change one thing at a time tells
little for what it costs. Here every training tells of every choice: it is a factorial experiment [1], in
which each level of a choice comes equally often, and so mixed with the levels of others that their effects
can be told apart [2]. Effects are those of least squares, with their standard errors.

Real speech, the train split alone, in five parts by speaker: three to learn from, two to score, in five
divisions; the weights of the last epoch are scored. Scores are macro-F1 and log loss on the speakers left
out, as they were recorded and through other channels. Of two hundred clips a handful decides macro-F1; the
log loss hears all of them.

Last, the default recipe beside none, with the training as it is, in each division: what was chosen by the
effects is confirmed by trainings that took no part in the choice.

A training takes minutes. What is measured stands in ``results/ablation.json``, and is not measured again;
give ``--minutes`` to go on another time.

[1] Box, Hunter and Hunter, "Statistics for Experimenters", 2005.
[2] Cook and Nachtsheim, "A Comparison of Algorithms for Constructing Exact D-Optimal Designs", 1980: designs
    by exchange.
"""

from __future__ import annotations

import argparse
import copy
import itertools
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

import lightning
import numpy as np
import torch
from _speech import PROJECT, Clips, Recording, folds, languages, recordings, say, written
from lightning.pytorch.callbacks import Callback

from langaudio import audio, augment
from langaudio.augment.compose import Compose
from langaudio.augment.transform import Augmenter
from langaudio.calibration import fit_temperature
from langaudio.evaluate.measures import macro_f1
from langaudio.train.fit import Hyperparameters, fit, settle
from langaudio.train.network import LanguageNetwork
from langaudio.voting import WINDOW_S, normalised

RESULTS = PROJECT / "benchmarks" / "results"
TRAININGS, DIVISIONS, EPOCHS = 60, 5, 12
NONE, DEFAULT = "no recipe", "default recipe"

P = 0.5  # of a copy to get a transform that a recipe has
RECIPE: Mapping[str, Mapping[str, Augmenter | None]] = {
    "PitchScale": {
        "none": None,
        "±2 semitones": augment.PitchScale(-2, 2, p=P),
        "±4 semitones": augment.PitchScale(-4, 4, p=P),
    },
    "SpeedPerturbation": {"none": None, "0.9 to 1.1": augment.SpeedPerturbation(p=P)},
    "TimeMask": {
        "none": None,
        "up to 10 %": augment.TimeMask(0.01, 0.1, p=P),
        "up to 30 %": augment.TimeMask(0.05, 0.3, p=P),
    },
    "RoomReverb": {"none": None, "some": augment.RoomReverb(p=P)},
    "HighPassFilter": {
        "none": None,
        "50 to 300 Hz": augment.HighPassFilter(50, 300, p=P),
        "50 to 1000 Hz": augment.HighPassFilter(50, 1_000, p=P),
    },
    "WhiteNoise": {
        "none": None,
        "15 to 40 dB": augment.WhiteNoise(15, 40, p=P),
        "0 to 30 dB": augment.WhiteNoise(0, 30, p=P),
    },
    "TelephoneBand": {"none": None, "some": augment.TelephoneBand(p=P)},
    "LossyCodec": {"none": None, "some": augment.LossyCodec(p=P)},
    "RandomGain": {"none": None, "−15 to 6 dB": augment.RandomGain(-15, 6, p=P)},
    "PolarityInversion": {"none": None, "some": augment.PolarityInversion(p=P)},
}
"""What a recipe may have, in this order, and at what strength."""

COPIES: dict[str, int] = {"2": 2, "6": 6}

TRAINING: dict[str, dict[str, dict[str, Any]]] = {
    "members": {"3": {}, "1, of three times as many crops": {"rounds": 6, "network": {"members": 1}}},
    "planes": {"16, 32, 32": {}, "8, 16, 16": {"network": {"planes": (8, 16, 16)}}},
    "bands": {"40": {}, "64": {"network": {"features": {"mels": 64}}}},
    "slopes": {"told": {}, "not told": {"network": {"slopes": False}}},
    "channels": {"160": {}, "96": {"network": {"channels": 96}}},
    "blocks": {"4": {}, "6": {"network": {"kernel_sizes": (5,) * 6}}},
    "dropout": {"0.3": {}, "0.1": {"network": {"dropout": 0.1}}},
    "crops": {"3 s": {}, "5 s": {"crop_s": 5.0}},
    "batches": {"32 crops": {}, "16 crops": {"batch_size": 16}},
    "peak learning rate": {"0.003": {}, "0.006": {"peak_lr": 6e-3}},
    "noise in training": {"some": {}, "none": {"noise": {"share": 0.0}}},
    "change of speed": {"up to 10 %": {}, "none": {"max_speed_change": 0.0}},
    "narrow bands": {"some": {}, "none": {"spec_augment": {"narrowed": 0.0}}},
    "masks": {"2 each way": {}, "none": {"spec_augment": {"masks": 0}}},
    "stretch of bands": {"up to 8 %": {}, "none": {"spec_augment": {"max_stretch": 0.0}}},
    "mixup": {"0.2": {}, "none": {"mixup": 0.0}},
    "label smoothing": {"0.1": {}, "none": {"label_smoothing": 0.0}},
    "averaging": {"0.99": {}, "none": {"averaging": 0.0}},
    "weight decay": {"0.5": {}, "0.05": {"weight_decay": 0.05}},
}
"""What is changed of the hyperparameters; the first of each is how they are."""

FACTORS: dict[str, Sequence[str]] = {
    "division": [str(division) for division in range(DIVISIONS)],
    **{name: list(levels) for name, levels in RECIPE.items()},
    "copies": list(COPIES),
    **{name: list(levels) for name, levels in TRAINING.items()},
}
"""All choices with their levels."""

EFFECTS = [(name, level) for name, levels in FACTORS.items() for level in levels[1:]]
"""What is measured: each level against the first of its choice."""

MEASURES = {"macro_f1": ("macro-F1, points", 100, 1), "log_loss": ("log loss, nats", 1, 3)}
"""Title, scale and decimals of what is measured."""

CHANNELS: dict[str, Augmenter | None] = {
    "as recorded": None,
    "noise of 10 dB": augment.WhiteNoise(10, 10, p=1),
    "bass cut at 400 Hz": augment.HighPassFilter(400, 400, 24, p=1),
    "a room": augment.RoomReverb(p=1),
    "a telephone": augment.TelephoneBand(p=1),
    "a codec": augment.LossyCodec(p=1),
}
RECORDED = next(iter(CHANNELS))
OTHER_WINDOWS_S = (3.0, 8.0)

Levels = Mapping[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no training after so many")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, one thread each")
    wanted = parser.parse_args()
    until = time.monotonic() + 60 * wanted.minutes
    path = RESULTS / "ablation.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {run["training"] for run in runs}
    missing = [(name, levels) for name, levels in _wanted().items() if name not in done]
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


def _wanted() -> dict[str, Levels]:
    """Return the trainings by name: those of the design, then those that confirm."""
    confirming: dict[str, Levels] = {
        f"{recipe}, division {division}": {"division": str(division), "recipe": recipe}
        for division in range(DIVISIONS)
        for recipe in (NONE, DEFAULT)
    }
    return {f"{number}": levels for number, levels in enumerate(design())} | confirming


def design() -> list[dict[str, str]]:
    """Return the level of every factor in every training.

    Each level of a factor comes as often as the others. Two trainings exchange their levels of a factor as
    long as that makes the variances of the effects smaller.
    """
    rng = np.random.default_rng(0)
    columns = {name: rng.permutation(np.resize(levels, TRAININGS)) for name, levels in FACTORS.items()}

    def badness() -> float:
        rows = _dummies([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
        # Rounded, so that another machine's last bits do not lead to another design.
        return round(float(np.trace(np.linalg.inv(rows.T @ rows))), 9)

    least = badness()
    for _ in range(6_000):
        column = columns[rng.choice(list(columns))]
        pair = rng.choice(TRAININGS, 2, replace=False)
        if column[pair[0]] == column[pair[1]]:
            continue
        column[pair] = column[pair[::-1]]
        if (now := badness()) < least:
            least = now
        else:
            column[pair] = column[pair[::-1]]
    return [
        {name: str(level) for name, level in zip(columns, row, strict=True)}
        for row in zip(*columns.values(), strict=True)
    ]


def _dummies(trainings: Sequence[Levels]) -> np.ndarray:
    """Shape: → ``(trainings, 1 + effects)``: ones, then whether a training has each level but the first."""
    return np.array([[1, *(levels[name] == level for name, level in EFFECTS)] for levels in trainings], float)


def _measure(name: str, levels: Levels, until: float) -> dict[str, Any] | None:
    if time.monotonic() > until:
        return None
    torch.set_num_threads(1)
    logging.disable()
    begin = time.process_time()
    clips = [clip for clip in recordings("train") if clip.segments]
    parts, division = folds(clips, DIVISIONS), int(levels["division"])
    first, second, *rest = parts[division:] + parts[:division]
    learned, tested, names = list(itertools.chain(*rest)), first + second, languages(clips)
    recipe, copies, hyper = _chosen(levels)
    last = _Last()
    with tempfile.TemporaryDirectory() as folder:
        speech = written(learned, recipe, copies, Path(folder) / "speech")
        fit(
            names,
            speech,
            Clips(tested[:1], names),  # by which fit chooses; we do not
            epochs=EPOCHS,
            seed=division if "recipe" in levels else int(name),
            hyper=replace(hyper, patience=1.0),
            scratch=Path(folder),
            callbacks=[last],
        )
        network = last.network
        settle(network, speech)
    heard = {channel: _scores(network, tested, change) for channel, change in CHANNELS.items()}
    heard |= {f"{window_s:g} s": _scores(network, tested, None, window_s) for window_s in OTHER_WINDOWS_S}
    return {
        "training": name,
        "levels": dict(levels),
        **{measure: {how: both[measure] for how, both in heard.items()} for measure in MEASURES},
        "cpu_s": round(time.process_time() - begin),
    }


class _Last(Callback):
    """Keeps the network as it is at the end of the training, when the averaged weights are in it."""

    network: LanguageNetwork

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module.network, LanguageNetwork)
        self.network = copy.deepcopy(pl_module.network).eval()


def _chosen(levels: Levels) -> tuple[augment.Recipe, int, Hyperparameters]:
    """Return the recipe, the copies and the hyperparameters of a training."""
    default = augment.load("default")
    if "recipe" in levels:
        return default, 4 if levels["recipe"] == DEFAULT else 0, Hyperparameters()
    transforms = [one for name, strengths in RECIPE.items() if (one := strengths[levels[name]])]
    hyper = Hyperparameters()
    for name, changes in TRAINING.items():
        hyper = _changed(hyper, changes[levels[name]])
    if not transforms:
        return default, 0, hyper
    return augment.Recipe("ablation", Compose(transforms)), COPIES[levels["copies"]], hyper


def _changed(settings: Any, changes: Mapping[str, Any]) -> Any:
    """Return settings with some changed, and some of those within them."""
    return replace(
        settings,
        **{
            name: _changed(getattr(settings, name), value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    )


def _scores(
    network: LanguageNetwork,
    clips: Sequence[Recording],
    change: Augmenter | None,
    window_s: float = WINDOW_S,
) -> dict[str, float]:
    confusion = np.zeros((len(network.languages),) * 2)
    said, spoken = [], []
    for clip in clips:
        # The same noise for every network.
        rng = np.random.default_rng(int(clip.clip_id, 16))
        segments = [change(one, audio.SAMPLE_RATE, rng) if change else one for one in clip.segments]
        said.append(say(network, segments, window_s))
        spoken.append(network.languages.index(clip.language))
        confusion[spoken[-1], int(said[-1].argmax())] += 1
    together = np.stack(said)
    calm = normalised(together / fit_temperature(together, np.array(spoken)))
    log_loss = -calm[np.arange(len(calm)), spoken].mean()
    return {"macro_f1": round(float(macro_f1(confusion)), 4), "log_loss": round(float(log_loss), 4)}


def _effects(
    runs: Sequence[Mapping[str, Any]], measure: str, channels: Sequence[str]
) -> dict[tuple[str, str], tuple[float, float]]:
    """Return what each level does to the mean of channels, and its standard error; nothing from too few."""
    own = [run for run in runs if "recipe" not in run["levels"]]
    rows = _dummies([run["levels"] for run in own]) if own else np.empty((0, 1))
    spare = len(own) - rows.shape[1]
    if spare < 1 or np.linalg.matrix_rank(rows) < rows.shape[1]:
        return {}
    scores = np.array([statistics.mean(run[measure][channel] for channel in channels) for run in own])
    found, *_ = np.linalg.lstsq(rows, scores, rcond=None)
    variance = ((scores - rows @ found) ** 2).sum() / spare
    errors = np.sqrt(variance * np.diag(np.linalg.inv(rows.T @ rows)))
    return {
        effect: (float(value), float(error))
        for effect, value, error in zip(EFFECTS, found[1:], errors[1:], strict=True)
    }


def _gains(runs: Sequence[Mapping[str, Any]], measure: str, channels: Sequence[str]) -> list[float]:
    """Return what the default recipe adds to none, in each division."""
    by = {run["training"]: statistics.mean(run[measure][channel] for channel in channels) for run in runs}
    pairs = [
        (f"{DEFAULT}, division {division}", f"{NONE}, division {division}") for division in range(DIVISIONS)
    ]
    return [by[one] - by[other] for one, other in pairs if one in by and other in by]


def _headline(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    gains = {measure: _gains(runs, measure, [RECORDED]) for measure in MEASURES}
    return {
        "trainings": len(runs),
        "default_recipe_gain_points": _mean(gains["macro_f1"], 100, 1),
        "default_recipe_log_loss": _mean(gains["log_loss"], 1, 3),
    }


def _mean(values: Sequence[float], scale: float, decimals: int) -> float | None:
    return round(scale * statistics.mean(values), decimals) if values else None


def _table(runs: Sequence[Mapping[str, Any]]) -> str:
    others = [channel for channel in CHANNELS if channel != RECORDED]
    heard = {RECORDED: [RECORDED], "other channels": others} | {channel: [channel] for channel in others}
    own = [run for run in runs if "recipe" not in run["levels"]]
    lines = [
        "# What helps",
        "",
        "What a choice adds to macro-F1 (more is better) and to the log loss after temperature scaling (less",
        f"is better) on speakers left out, ± its standard error, from {len(own)} trainings of",
        f"{EPOCHS} epochs, in which all choices differ. A transform changes a copy with probability {P}.",
    ]
    for measure, (title, scale, decimals) in MEASURES.items():
        effects = {how: _effects(runs, measure, channels) for how, channels in heard.items()}
        lines += ["", f"| {title} | against | {' | '.join(heard)} |", "|---|---|" + "---:|" * len(heard)]
        for name, level in effects[RECORDED]:
            if name != "division":
                cells = [
                    f"{scale * value:+.{decimals}f} ± {scale * error:.{decimals}f}"
                    for value, error in (effects[how][name, level] for how in heard)
                ]
                lines.append(f"| {name}: {level} | {FACTORS[name][0]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Windows beside those of {WINDOW_S:g} s, of the same trainings:",
        "",
        "| windows | " + " | ".join(title for title, *_ in MEASURES.values()) + " |",
        "|---|" + "---:|" * len(MEASURES),
    ]
    for window_s in OTHER_WINDOWS_S:
        cells = []
        for measure, (_, scale, decimals) in MEASURES.items():
            differences = [run[measure][f"{window_s:g} s"] - run[measure][RECORDED] for run in runs]
            cells.append(_spread(differences, scale, decimals))
        lines.append(f"| {window_s:g} s | {' | '.join(cells)} |")
    lines += [
        "",
        "The default recipe beside none, the training as it is; in brackets each division:",
        "",
        "| default recipe | " + " | ".join(heard) + " |",
        "|---|" + "---:|" * len(heard),
    ]
    for measure, (title, scale, decimals) in MEASURES.items():
        cells = []
        for channels in heard.values():
            gains = _gains(runs, measure, channels)
            each = ", ".join(f"{scale * gain:+.{decimals}f}" for gain in gains)
            cells.append(f"{_spread(gains, scale, decimals)} ({each})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], scale: float, decimals: int) -> str:
    """Return the mean with its standard error."""
    if len(values) < 2:
        return "–"
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{scale * statistics.mean(values):+.{decimals}f} ± {scale * error:.{decimals}f}"


if __name__ == "__main__":
    main()
