"""Fitting a network to speech.

The network that is kept is a running average of the weights, from the epoch that did best on the dev
speakers; its statistics of normalisation are of speech as it was spoken. Batches hold every language equally
often, whatever the corpus holds.
"""

from __future__ import annotations

import logging
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Subset
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassF1Score

from langaudio.train.callbacks import STANDING, Keeper
from langaudio.train.checkpoints import BEST, LAST
from langaudio.train.data import Crops, Noise, Speech
from langaudio.train.features import SpecAugment
from langaudio.train.muon import Muon
from langaudio.train.network import LanguageNetwork, NetworkSettings, clip_log_probabilities
from langaudio.train.processes import ALONE, Place, measured_anew
from langaudio.voting import WINDOW_S

_MOST_LOADERS = 8
_WINDOWS_AT_ONCE, _MOST_WINDOWS = 40, 2_000  # means over more would be no others


@dataclass(frozen=True)
class Hyperparameters:
    """How the network is fitted.

    Attributes:
        rounds: how often each member of the network goes through all speech in an epoch, in other copies each
            time.
        batch_size: crops that a member learns from in a step, in all processes together.
        crop_s: length of a crop, in seconds.
        max_speed_change: how much faster or slower at most a batch is played, as a share.
        noise: what is added to some crops.
        spec_augment: how log-mels are shifted and masked.
        peak_lr: highest learning rate of the one-cycle schedule.
        peak_lr_of_known: the same, where training starts from a network that knows some of the languages.
        weight_decay: of the weight matrices; biases and normalisation have none.
        label_smoothing: share of the target that is spread over all languages.
        mixup: both parameters of the beta distribution from which the share of another crop is drawn
            that is mixed in; 0 mixes nothing.
        max_gradient: norm at which the gradients of a member are clipped.
        averaging: share of the running average that a step keeps, once it runs steadily.
        patience: share of the epochs that may pass without a better one before training ends, five at least.
        network: size of the network.
    """

    rounds: int = 2
    batch_size: int = 32
    crop_s: float = 3.0
    max_speed_change: float = 0.1
    noise: Noise = field(default_factory=Noise)
    spec_augment: SpecAugment = field(default_factory=SpecAugment)
    peak_lr: float = 3e-3
    peak_lr_of_known: float = 1e-3
    weight_decay: float = 0.5
    label_smoothing: float = 0.1
    mixup: float = 0.2
    max_gradient: float = 5.0
    averaging: float = 0.99
    patience: float = 0.5
    network: NetworkSettings = field(default_factory=NetworkSettings)

    @property
    def whole_batch(self) -> int:
        """Crops in a batch: those of all members."""
        return self.batch_size * self.network.members

    def crops(self, seconds: float) -> int:
        """Return how many crops an epoch has, of so much speech."""
        return round(self.network.members * self.rounds * seconds / self.crop_s)


def fit(
    languages: Sequence[str],
    speech: Sequence[Speech],
    dev: Dataset[tuple[list[Tensor], int]],
    *,
    epochs: int,
    seed: int,
    hyper: Hyperparameters,
    scratch: Path,
    known: LanguageNetwork | None = None,
    place: Place = ALONE,
    callbacks: Sequence[Callback] = (),
    keep: Callable[[Path], None] = lambda _: None,
) -> LanguageNetwork:
    """Fit a network to speech; return it as it was in the epoch that did best on the dev clips, and settled.

    Args:
        languages: tags, in the order of the labels.
        speech: what to learn from; every language must have some.
        dev: the segments of each clip and its label.
        epochs: how many, at most.
        seed: of weights, batches, masks and mixtures.
        hyper: how.
        scratch: a folder for checkpoints. Where those of a fit that was cut off lie in it, this one goes on
            after its last epoch, and ends as the other would have ended.
        known: a network to start from, which knows some of the languages.
        place: which of several processes this one is.
        callbacks: of Lightning's trainer, beside our own.
        keep: what is done with each checkpoint that has been written.

    Returns:
        The network. Processes other than the first have it as it was in the last epoch, not settled.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")  # advice on loaders that does not fit ours
        torch.manual_seed(seed)
        fitting = _Fitting(languages, speech, dev, seed, hyper, known, place)
        trainer = lightning.Trainer(
            max_epochs=epochs,
            **_devices(place),
            callbacks=[
                WeightAveraging(multi_avg_fn=_running_average(hyper.averaging)),
                EarlyStopping(STANDING, mode="min", patience=max(5, math.ceil(hyper.patience * epochs))),
                *callbacks,
                Keeper(scratch, keep),
            ],
            enable_checkpointing=False,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=scratch,
        )
        last = scratch / LAST
        trainer.fit(fitting, ckpt_path=last if last.exists() else None, weights_only=True)
    if place.is_first:
        weights = torch.load(scratch / BEST, map_location="cpu", weights_only=True)["state_dict"]
        fitting.load_state_dict(weights)
        settle(fitting.network.cpu().eval(), speech)
    return fitting.network.cpu().eval()


def settle(network: LanguageNetwork, speech: Sequence[Speech]) -> None:
    """Measure a network's statistics of normalisation again, on windows of speech as it was spoken.

    In training they are of crops with noise, masks and mixtures, as nobody sends them (compare Touvron et
    al., "Fixing the train-test resolution discrepancy", 2019).

    Args:
        network: in evaluation mode.
        speech: what it has learned from; copies are left out.
    """
    spoken = [one for one in speech if one.copy == 0]
    windows = Crops(
        spoken,
        network.languages,
        number=min(round(sum(one.seconds for one in spoken) / WINDOW_S), _MOST_WINDOWS),
        crop_s=WINDOW_S,
        batch_size=_WINDOWS_AT_ONCE,
        max_speed_change=0.0,
        noise=Noise(share=0.0),
        seed=0,
        epoch=0,
    )
    with torch.no_grad(), measured_anew(network):
        for batch in range(len(windows)):
            network(windows[batch][0])


class _Fitting(lightning.LightningModule):
    def __init__(
        self,
        languages: Sequence[str],
        speech: Sequence[Speech],
        dev: Dataset[tuple[list[Tensor], int]],
        seed: int,
        hyper: Hyperparameters,
        known: LanguageNetwork | None,
        place: Place,
    ) -> None:
        super().__init__()
        self.network = LanguageNetwork(list(languages), hyper.network)
        if known is not None:
            self.network.start_from(known)
        self._loss = torch.nn.CrossEntropyLoss(label_smoothing=hyper.label_smoothing, reduction="sum")
        self._f1 = MulticlassF1Score(len(languages), average="macro")
        self._dev_loss = MeanMetric()
        self._languages, self._speech, self._dev = languages, speech, dev
        self._seed, self._hyper, self._place = seed, hyper, place
        self._peak_lr = hyper.peak_lr if known is None else hyper.peak_lr_of_known

    def on_train_batch_start(self, _: Any, number: int) -> None:
        # Dropout of a batch is the same, whether or not those before were drawn in this process.
        torch.manual_seed(hash((self._seed, self.current_epoch, number, self._place.rank)))

    def train_dataloader(self) -> DataLoader:
        spoken_s = sum(one.seconds for one in self._speech if one.copy == 0)
        crops = Crops(
            self._speech,
            self._languages,
            number=self._hyper.crops(spoken_s),
            crop_s=self._hyper.crop_s,
            batch_size=self._hyper.whole_batch,
            max_speed_change=self._hyper.max_speed_change,
            noise=self._hyper.noise,
            seed=self._seed,
            epoch=self.current_epoch,
            place=self._place,
        )
        # A GPU waits for nobody if others read ahead for it; a CPU is busy with either.
        loaders = min(_MOST_LOADERS, len(os.sched_getaffinity(0)) // self._place.on_this_node)
        on_gpu = self.trainer.accelerator.__class__.__name__ == "CUDAAccelerator"
        return DataLoader(crops, batch_size=None, num_workers=loaders if on_gpu else 0, pin_memory=on_gpu)

    def val_dataloader(self) -> DataLoader:
        own = range(self._place.rank, len(self._dev), self._place.processes)  # type: ignore[arg-type]
        return DataLoader(Subset(self._dev, own), batch_size=None)

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        waveforms, labels = batch
        own, whole = len(labels), self._hyper.whole_batch
        # The same for a batch whoever works on it, and whether or not those before were drawn here.
        rng = np.random.default_rng((self._seed, self.current_epoch, number))
        share = self._place.share(whole)
        targets = torch.nn.functional.one_hot(labels, len(self._languages)).float()
        if self._hyper.mixup:
            shares = rng.beta(self._hyper.mixup, self._hyper.mixup, (whole, 1))[share]
            kept = torch.from_numpy(np.maximum(shares, 1 - shares)).float().to(self.device)
            waveforms, targets = _mixed(waveforms, targets, kept)
        draws = torch.from_numpy(self._hyper.spec_augment.draw(whole, rng)[share]).to(self.device)
        log_mel = self._hyper.spec_augment(self.network.log_mel(waveforms), draws)
        log_probabilities = self.network.classify_apart(log_mel, begin=share.start)
        # What processes find is averaged; so scaled, it is the mean of the whole batch.
        loss: Tensor = self._loss(log_probabilities, targets) * self._place.processes / whole
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=own, sync_dist=True)
        # Each member learns from the mean of its own examples.
        return loss * len(self.network.members)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        # One by one, so that members learn as if there were no others.
        for member in self.network.members:
            torch.nn.utils.clip_grad_norm_(member.parameters(), self._hyper.max_gradient)

    def validation_step(self, clip: tuple[list[Tensor], int], _: int) -> None:
        segments, label = clip
        log_probabilities = clip_log_probabilities(self.network, segments)
        self._f1.update(log_probabilities.unsqueeze(0), torch.tensor([label], device=self.device))
        self._dev_loss.update(-log_probabilities[label])

    def on_validation_epoch_end(self) -> None:
        for name, metric in (("dev_loss", self._dev_loss), ("dev_macro_f1", self._f1)):
            self.log(name, metric.compute())
            metric.reset()

    def configure_optimizers(self) -> Any:
        optimizer = Muon(self.network.parameters(), lr=self._peak_lr, weight_decay=self._hyper.weight_decay)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share_of_peak(step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _devices(place: Place) -> dict[str, Any]:
    """Return on what Lightning trains: a device for each process, and in bfloat16 where that is fast."""
    precision = "bf16-mixed" if _multiplies_bfloat16() else "32-true"
    told: dict[str, Any] = {"accelerator": "auto", "precision": precision}
    if place.processes == 1:
        return told | {"devices": 1}
    nodes = place.processes // place.on_this_node
    return told | {"devices": place.on_this_node, "num_nodes": nodes, "strategy": "ddp"}


def _multiplies_bfloat16() -> bool:
    """Return whether the device that trains has instructions for it; emulated, it is slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return able.get("avx512_bf16", False) or able.get("amx_bf16", False)


def share_of_peak(step: int, steps: int) -> float:
    """Return the learning rate of a step as a share of the highest: up for a fifth of the way, then down.

    One cycle (Smith and Topin, "Super-Convergence", 2018), of which nothing is left at the end. It holds for
    any number of steps; torch's own divides by zero where there are five.
    """
    rise = steps / 5
    if step < rise:
        return 0.1 + 0.9 * step / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


def _mixed(waveforms: Tensor, targets: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Mix each crop with its neighbour, and its target alike (Zhang et al., "mixup", 2018).

    Args:
        waveforms: shape ``(batch, samples)``.
        targets: shape ``(batch, languages)``.
        kept: how much of itself each crop keeps, shape ``(batch, 1)``.
    """
    # Crops come in an order that was drawn, so a neighbour is any other.
    other = torch.arange(len(waveforms), device=waveforms.device).bitwise_xor(1).clamp(max=len(waveforms) - 1)
    return (
        kept * waveforms + (1 - kept) * waveforms[other],
        kept * targets + (1 - kept) * targets[other],
    )


def _running_average(steady: float) -> Any:
    """Return an average that forgets its first steps soon, so that it serves short trainings too."""

    def average(averaged: Any, current: Any, steps: Any) -> None:
        keep = min(steady, (1 + int(steps)) / (10 + int(steps)))
        get_ema_multi_avg_fn(keep)(averaged, current, steps)

    return average
