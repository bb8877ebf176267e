"""What happens after each epoch, beside the training itself."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from langaudio import registry
from langaudio.errors import Unavailable
from langaudio.train.checkpoints import BEST, LAST

log = logging.getLogger(__name__)

STANDING = "dev_loss"
"""The metric by which epochs are compared; lower is better.

Of a hundred clips a handful decides which epoch has the best macro-F1; the loss hears all of them.
"""


class Keeper(Callback):
    """Writes a checkpoint after each epoch, and keeps that of the best.

    Args:
        folder: where they lie.
        keep: what the first process does with each that has been written.
    """

    def __init__(self, folder: Path, keep: Callable[[Path], None]) -> None:
        self._folder, self._keep = folder, keep
        self._best = math.inf

    def on_train_epoch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        standing = float(trainer.callback_metrics[STANDING])
        is_best = not standing >= self._best  # the first is the best even where its loss is no number
        self._best = standing if is_best else self._best
        trainer.save_checkpoint(self._folder / LAST)
        if not trainer.is_global_zero:
            return
        if is_best:
            shutil.copyfile(self._folder / LAST, self._folder / BEST)
            self._keep(self._folder / BEST)
        self._keep(self._folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._best = state["best"]


class Progress(Callback):
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
