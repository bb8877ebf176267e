"""The training stage: from the shards of some languages to a run in MLflow with a network in it."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import langaudio
from langaudio import registry
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import Store
from langaudio.train import splits
from langaudio.train.artifact import load_model, save_model
from langaudio.train.calibrated import calibrated
from langaudio.train.callbacks import Progress
from langaudio.train.checkpoints import LAST, Checkpoints
from langaudio.train.data import HeldOut, training_speech
from langaudio.train.fit import Hyperparameters, fit
from langaudio.train.processes import Place
from langaudio.train.scratch import scratch

log = logging.getLogger(__name__)

Start = Literal["champion", "scratch"]

STARTED_FROM, SCRATCH = "started_from", "scratch"
"""The parameter of a run that says whose weights it began with: a run's, or none."""


def train(
    store: Store,
    languages: Sequence[str],
    *,
    recipe_id: str,
    epochs: int = 12,
    seed: int = 0,
    start: Start = "champion",
    hyperparameters: Hyperparameters | None = None,
) -> str | None:
    """Train a network on the augmented training clips of some languages.

    Args:
        store: the bucket.
        languages: their tags; two at least.
        recipe_id: whose copies to train on.
        epochs: how many at most; the length of one depends on the speech in the corpus, not on its copies.
        seed: of weights, batches, masks and mixtures. On one CPU the same seed gives the same weights.
        start: with ``champion``, a training that adds languages to those of the champion starts from its
            weights; all others, and with ``scratch`` that one too, start from weights that are drawn.
        hyperparameters: the defaults if None.

    Returns:
        The id of the MLflow run, whose artifacts hold the network. Of several processes that torchrun has
        started, only the first returns it; the others return None.

    Raises:
        LangaudioError: the split is broken, a language cannot be scored or has nothing augmented, or
            ``epochs`` is less than one.
        Unavailable: the bucket or MLflow does not answer.
    """
    if epochs < 1:
        raise LangaudioError(f"epochs is {epochs}; it must be 1 or more.")
    languages, place = sorted(set(languages)), Place.of_this_process()
    hyper = hyperparameters or Hyperparameters()
    clips = splits.read(store, languages)
    splits.verify(clips, languages)
    parameters = {
        "languages": " ".join(languages),
        "recipe_id": recipe_id,
        registry.FINGERPRINT: splits.corpus_fingerprint(store, languages, recipe_id),
        "epochs": epochs,
        "seed": seed,
        "langaudio": langaudio.__version__,
        "git_revision": _git_revision() or "unknown",
        **_flat(asdict(hyper)),
    }
    checkpoints = Checkpoints(store, parameters | {"start": start})
    with scratch() as folder:
        run_id = _cut_off(checkpoints, folder)
        if run_id:
            # There may be another champion by now.
            began = registry.parameters(run_id)[STARTED_FROM]
        else:
            began = (start == "champion" and _champion(languages, hyper)) or SCRATCH
            if place.is_first:
                run_id = registry.start_run(f"{len(languages)} languages", parameters | {STARTED_FROM: began})
        try:
            speech = training_speech(store, clips, recipe_id)
            dev = HeldOut(store, [clip for clip in clips if clip.split == "dev"], languages, folder)
            if run_id and place.is_first:
                learned = sorted(clip.clip_id for clip in clips if clip.split != "test")
                registry.log_file(run_id, registry.CLIPS, json.dumps(learned).encode())
                log.info(
                    "run %s: %s; %.1f minutes of training speech with copies, %d dev clips; from %s",
                    run_id, ", ".join(languages), sum(one.seconds for one in speech) / 60, len(dev),
                    began if began == SCRATCH else f"the champion, run {began}",
                )  # fmt: skip
            network = fit(
                languages, speech, dev,
                epochs=epochs, seed=seed, hyper=hyper, scratch=folder, place=place,
                known=None if began == SCRATCH else load_model(registry.model_folder(began)),
                callbacks=[Progress(run_id)] if run_id and place.is_first else [],
                keep=partial(checkpoints.put, run_id or ""),
            )  # fmt: skip
            if run_id is None or not place.is_first:
                return None
            save_model(network, calibrated(network, dev), folder / "model")
            registry.log_model(run_id, folder / "model")
        except BaseException:
            if run_id and place.is_first:
                with suppress(Unavailable):  # what went wrong first is what counts
                    registry.finish_run(run_id, failed=True)
            raise
    registry.finish_run(run_id)
    checkpoints.delete(run_id)
    return run_id


def _champion(languages: Sequence[str], hyper: Hyperparameters) -> str | None:
    """Return the champion's run, if a training is to add languages to its own and to keep its size."""
    champion = registry.aliased(registry.CHAMPION)
    if champion is None:
        return None
    folder = registry.model_folder(champion.run_id)
    try:
        theirs = load_model(folder)
    except LangaudioError as error:
        log.warning("Training begins from scratch, because the champion is of no use for it: %s", error)
        return None
    adds = set(theirs.languages) < set(languages)
    return champion.run_id if adds and theirs.settings == hyper.network else None


def _cut_off(checkpoints: Checkpoints, folder: Path) -> str | None:
    """Return the run of a training like this one that was cut off, and put its checkpoints into a folder."""
    run_id = checkpoints.fetch(folder)
    if run_id is None or not registry.resume_run(run_id):
        (folder / LAST).unlink(missing_ok=True)
        return None
    log.info("run %s was cut off: going on after its last epoch", run_id)
    return run_id


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return ``{"network.channels": 192, …}`` of nested settings."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _git_revision() -> str | None:
    """Return the commit that this package is checked out at; None if it is installed otherwise."""
    checkout = Path(langaudio.__file__).parents[1]
    if not (checkout / ".git").exists():
        return None
    result = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True)
    return result.stdout.strip() or None
