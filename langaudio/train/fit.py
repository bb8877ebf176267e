"""The training stage: from the shards of some languages to a run in MLflow with a network in it.

The network that is kept is a running average of the weights, from the epoch that did best on the dev
speakers. Batches hold every language equally often, whatever the corpus holds.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassF1Score

import langaudio
from langaudio import registry
from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings
from langaudio.store import Store
from langaudio.train import splits
from langaudio.train.artifact import save_model
from langaudio.train.calibrated import calibrated
from langaudio.train.checkpoints import BEST, LAST, Checkpoints
from langaudio.train.data import Crops, HeldOut, Speech, training_speech
from langaudio.train.features import SpecAugment
from langaudio.train.network import LanguageNetwork, NetworkSettings, clip_log_probabilities
from langaudio.voting import WINDOW_S

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hyperparameters:
    """How the network is fitted.

    Attributes:
        rounds: how often an epoch goes through all speech, in other copies each time.
        batch_size: crops in a batch.
        crop_s: length of a crop, in seconds.
        max_speed_change: how much faster or slower at most a batch is played, as a share.
        peak_lr: highest learning rate of the one-cycle schedule.
        weight_decay: of the weight matrices; biases and normalisation have none.
        label_smoothing: share of the target that is spread over all languages.
        mixup: both parameters of the beta distribution from which the share of another crop is drawn
            that is mixed in; 0 mixes nothing.
        max_gradient: norm at which gradients are clipped.
        averaging: share of the running average that a step keeps, once it runs steadily.
        network: size of the network.
    """

    rounds: int = 3
    batch_size: int = 32
    crop_s: float = WINDOW_S
    max_speed_change: float = 0.1
    peak_lr: float = 3e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    mixup: float = 0.2
    max_gradient: float = 5.0
    averaging: float = 0.99
    network: NetworkSettings = field(default_factory=NetworkSettings)


def train(
    store: Store,
    languages: Sequence[str],
    *,
    recipe_id: str,
    epochs: int = 12,
    seed: int = 0,
    hyperparameters: Hyperparameters | None = None,
) -> str:
    """Train a network on the augmented training clips of some languages.

    Args:
        store: the bucket.
        languages: their tags; two at least.
        recipe_id: whose copies to train on.
        epochs: how many; the length of one depends on the speech in the corpus, not on its copies.
        seed: of weights, batches, masks and mixtures. On one CPU the same seed gives the same weights.
        hyperparameters: the defaults if None.

    Returns:
        The id of the MLflow run, whose artifacts hold the network.

    Raises:
        LangaudioError: the split is broken, a language cannot be scored or has nothing augmented, or
            ``epochs`` is less than one.
        Unavailable: the bucket or MLflow does not answer.
    """
    if epochs < 1:
        raise LangaudioError(f"epochs is {epochs}; it must be 1 or more.")
    languages = sorted(set(languages))
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
    checkpoints = Checkpoints(store, parameters)
    with _scratch() as scratch:
        run_id = _cut_off(checkpoints, scratch) or registry.start_run(
            f"{len(languages)} languages", parameters
        )
        try:
            learned = sorted(clip.clip_id for clip in clips if clip.split != "test")
            registry.log_file(run_id, registry.CLIPS, json.dumps(learned).encode())
            speech = training_speech(store, clips, recipe_id)
            dev = HeldOut(store, [clip for clip in clips if clip.split == "dev"], languages, scratch)
            log.info(
                "run %s: %s; %.1f minutes of training speech with copies, %d dev clips",
                run_id, ", ".join(languages), sum(one.seconds for one in speech) / 60, len(dev),
            )  # fmt: skip
            network = fit(
                languages, speech, dev,
                epochs=epochs, seed=seed, hyper=hyper, scratch=scratch, callbacks=[_Progress(run_id)],
                keep=partial(checkpoints.put, run_id),
            )  # fmt: skip
            save_model(network, calibrated(network, dev), scratch / "model")
            registry.log_model(run_id, scratch / "model")
        except BaseException:
            with suppress(Unavailable):  # what went wrong first is what counts
                registry.finish_run(run_id, failed=True)
            raise
    registry.finish_run(run_id)
    checkpoints.delete(run_id)
    return run_id


def _cut_off(checkpoints: Checkpoints, scratch: Path) -> str | None:
    """Return the run of a training like this one that was cut off, and put its checkpoints into a folder."""
    run_id = checkpoints.fetch(scratch)
    if run_id is None or not registry.resume_run(run_id):
        (scratch / LAST).unlink(missing_ok=True)
        return None
    log.info("run %s was cut off: going on after its last epoch", run_id)
    return run_id


def fit(
    languages: Sequence[str],
    speech: Sequence[Speech],
    dev: Dataset[tuple[list[Tensor], int]],
    *,
    epochs: int,
    seed: int,
    hyper: Hyperparameters,
    scratch: Path,
    callbacks: Sequence[Callback] = (),
    keep: Callable[[Path], None] = lambda _: None,
) -> LanguageNetwork:
    """Fit a network to speech, and return it as it was in the epoch that did best on the dev clips.

    Args:
        languages: tags, in the order of the labels.
        speech: what to learn from; every language must have some.
        dev: the segments of each clip and its label.
        epochs: how many.
        seed: of weights, batches, masks and mixtures.
        hyper: how.
        scratch: a folder for checkpoints. Where those of a fit that was cut off lie in it, this one goes on
            after its last epoch, and ends as the other would have ended.
        callbacks: of Lightning's trainer, beside our own.
        keep: what is done with each checkpoint that has been written.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice on loaders that does not fit ours
        torch.manual_seed(seed)
        fitting = _Fitting(languages, speech, dev, seed, hyper)
        averaging = WeightAveraging(avg_fn=_running_average(hyper.averaging))
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="auto",
            devices=1,
            gradient_clip_val=hyper.max_gradient,
            callbacks=[averaging, *callbacks, _Keeper(scratch, keep)],
            enable_checkpointing=False,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=scratch,
        )
        last = scratch / LAST
        trainer.fit(fitting, ckpt_path=last if last.exists() else None, weights_only=True)
    weights = torch.load(scratch / BEST, map_location="cpu", weights_only=True)["state_dict"]
    fitting.load_state_dict(weights)
    return fitting.network.cpu().eval()


class _Fitting(lightning.LightningModule):
    def __init__(
        self,
        languages: Sequence[str],
        speech: Sequence[Speech],
        dev: Dataset[tuple[list[Tensor], int]],
        seed: int,
        hyper: Hyperparameters,
    ) -> None:
        super().__init__()
        self.network = LanguageNetwork(list(languages), hyper.network)
        self.spec_augment = SpecAugment()
        self._loss = torch.nn.CrossEntropyLoss(label_smoothing=hyper.label_smoothing)
        self._f1 = MulticlassF1Score(len(languages), average="macro")
        self._languages, self._speech, self._dev = languages, speech, dev
        self._seed, self._hyper = seed, hyper

    def on_train_batch_start(self, _: Any, number: int) -> None:
        # Masks and mixtures of a batch are the same, whether or not those before were drawn in this process.
        torch.manual_seed(hash((self._seed, self.current_epoch, number)))

    def train_dataloader(self) -> DataLoader:
        spoken_s = sum(one.seconds for one in self._speech if one.copy == 0)
        crops = Crops(
            self._speech,
            self._languages,
            number=round(self._hyper.rounds * spoken_s / self._hyper.crop_s),
            crop_s=self._hyper.crop_s,
            batch_size=self._hyper.batch_size,
            max_speed_change=self._hyper.max_speed_change,
            seed=self._seed,
            epoch=self.current_epoch,
        )
        return DataLoader(crops, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self._dev, batch_size=None)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        waveforms, labels = batch
        targets = torch.nn.functional.one_hot(labels, len(self._languages)).float()
        if self._hyper.mixup:
            waveforms, targets = _mixed(waveforms, targets, self._hyper.mixup)
        log_probabilities = self.network.classify(self.spec_augment(self.network.log_mel(waveforms)))
        loss: Tensor = self._loss(log_probabilities, targets)
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, clip: tuple[list[Tensor], int], _: int) -> None:
        segments, label = clip
        log_probabilities = clip_log_probabilities(self.network, segments)
        self._f1.update(log_probabilities.unsqueeze(0), torch.tensor([label], device=self.device))
        self.log("dev_loss", -log_probabilities[label], on_epoch=True, batch_size=1)

    def on_validation_epoch_end(self) -> None:
        macro_f1 = self._f1.compute()
        self._f1.reset()
        self.log("dev_macro_f1", macro_f1)
        # Few dev clips mean many ties; of two equal epochs the one that is surer of itself is better.
        self.log("dev_standing", macro_f1 - 1e-4 * self.trainer.callback_metrics["dev_loss"])

    def configure_optimizers(self) -> Any:
        matrices = [weights for weights in self.network.parameters() if weights.ndim > 1]
        others = [weights for weights in self.network.parameters() if weights.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self._hyper.weight_decay},
                {"params": others, "weight_decay": 0},
            ],
            lr=self._hyper.peak_lr,
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_peak(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Keeper(Callback):
    """Writes a checkpoint after each epoch, and keeps that of the best."""

    def __init__(self, folder: Path, keep: Callable[[Path], None]) -> None:
        self._folder, self._keep = folder, keep
        self._best = -math.inf

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        standing = float(trainer.callback_metrics["dev_standing"])
        is_best = not standing <= self._best  # the first is the best even where its loss is no number
        self._best = standing if is_best else self._best
        trainer.save_checkpoint(self._folder / LAST)
        if is_best:
            shutil.copyfile(self._folder / LAST, self._folder / BEST)
            self._keep(self._folder / BEST)
        self._keep(self._folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best = state["best"]


class _Progress(Callback):
    """Tells each epoch to the log, which is all that a task shows, and to MLflow."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._began = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        names = ("loss", "dev_loss", "dev_macro_f1")
        metrics = {name: float(trainer.callback_metrics[name]) for name in names}
        metrics["epoch_s"] = time.monotonic() - self._began
        epoch = trainer.current_epoch + 1
        log.info(
            "epoch %d of %d: loss %.3f, dev loss %.3f, dev macro-F1 %.3f, %.1f s",
            epoch, trainer.max_epochs, *metrics.values(),
        )  # fmt: skip
        try:
            registry.log_metrics(self._run_id, metrics, epoch)
        except Unavailable as error:
            log.warning("epoch %d is missing on the curves: %s", epoch, error)  # no reason to lose the others


def share_of_peak(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of the highest: up for a fifth of the way, then down.

    One cycle (Smith and Topin, "Super-Convergence", 2018), of which nothing is left at the end. It holds for
    any number of steps; torch's own divides by zero where there are five.
    """
    rise = steps / 5
    if step < rise:
        return 0.1 + 0.9 * step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def _mixed(waveforms: Tensor, targets: Tensor, concentration: float) -> tuple[Tensor, Tensor]:
    """Mix each crop with another of the batch, and its target alike (Zhang et al., "mixup", 2018)."""
    beta = torch.distributions.Beta(concentration, concentration)
    share = beta.sample((len(waveforms), 1)).to(waveforms.device)
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(len(waveforms), device=waveforms.device)
    return (
        share * waveforms + (1 - share) * waveforms[other],
        share * targets + (1 - share) * targets[other],
    )


def _running_average(steady: float) -> Any:
    """Return an average that forgets its first steps soon, so that it serves short trainings too."""

    def average(averaged: Tensor, current: Tensor, steps: Tensor) -> Tensor:
        keep = min(steady, (1 + int(steps)) / (10 + int(steps)))
        return averaged + (1 - keep) * (current - averaged) if current.is_floating_point() else current

    return average


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give a folder for as long as it is needed; remove those of trainings that were killed.

    A folder is locked by who uses it, and the lock goes with its process, however that ends.
    """
    cache = settings().home / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with ExitStack() as in_use:
        with _locked(cache):
            for left in cache.glob(".training-*"):
                with suppress(BlockingIOError), _locked(left, fcntl.LOCK_NB):
                    shutil.rmtree(left)
            folder = Path(in_use.enter_context(tempfile.TemporaryDirectory(dir=cache, prefix=".training-")))
            in_use.enter_context(_locked(folder))
        yield folder


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(descriptor)


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
