"""One training on several devices: a process for each, started by torchrun.

Every process takes its share of each batch, and they agree on gradients and on the statistics of batch
normalisation. So the result is that of one process with the whole batch, but for rounding.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor, nn

from langaudio.errors import LangaudioError


@dataclass(frozen=True)
class Place:
    """Which of how many processes this one is; torchrun says so in the environment.

    Attributes:
        rank: number of this process, from 0.
        processes: how many there are, on all nodes.
        on_this_node: how many there are on this machine.
    """

    rank: int = 0
    processes: int = 1
    on_this_node: int = 1

    @classmethod
    def of_this_process(cls) -> Place:
        told = os.environ.get
        return cls(int(told("RANK", 0)), int(told("WORLD_SIZE", 1)), int(told("LOCAL_WORLD_SIZE", 1)))

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, number: int) -> slice:
        """Return which of so many examples are this process's: whole pairs, because neighbours are mixed."""
        pairs = -(-number // 2)
        return slice(
            2 * (pairs * self.rank // self.processes), 2 * (pairs * (self.rank + 1) // self.processes)
        )


ALONE = Place()


def devices() -> int:
    """Return how many processes a training on this machine is to have: one a visible GPU, one without any."""
    return max(1, torch.cuda.device_count())


def run_on(number: int, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a command of langaudio in so many processes; return the report that the first of them prints.

    Raises:
        LangaudioError: it ended with an error, which it has told.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    command += ["-m", "langaudio.cli", *arguments]
    # Cores are shared evenly: torchrun would give each process one.
    threads = str(max(1, len(os.sched_getaffinity(0)) // number))
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={"OMP_NUM_THREADS": threads} | os.environ
    )
    if ran.returncode:
        raise LangaudioError(
            f"The training on {number} devices ended with exit status {ran.returncode}: its log says why."
        )
    report: dict[str, Any] = json.loads(ran.stdout)
    return report


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation by the statistics of all processes' shares of a batch, on a CPU too.

    torch's own ``SyncBatchNorm`` is for GPUs alone.

    Attributes:
        alone: whether this process is asked by itself, while the others do something else.
    """

    alone = False

    def forward(self, values: Tensor) -> Tensor:
        together = torch.distributed.is_available() and torch.distributed.is_initialized() and not self.alone
        if not (self.training and together):
            return super().forward(values)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        # In float32 whatever the precision of the rest: squares are summed.
        wide = values.float()
        over = [axis for axis in range(values.ndim) if axis != 1]
        number = torch.tensor([wide.numel() / wide.shape[1]], device=values.device)
        sums = torch.cat([wide.sum(over), wide.square().sum(over), number])
        sums = torch.distributed.nn.functional.all_reduce(sums)
        count = sums[-1]
        mean, square = (sums[:-1] / count).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            self.num_batches_tracked += 1
        shape = [1, -1] + [1] * (values.ndim - 2)
        scale = self.weight / (variance + self.eps).sqrt()
        normalised: Tensor = wide * scale.view(shape) + (self.bias - mean * scale).view(shape)
        return normalised.to(values.dtype)


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` over the whole batch."""


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """``torch.nn.BatchNorm2d`` over the whole batch."""


@contextmanager
def measured_anew(module: nn.Module) -> Iterator[None]:
    """Let all normalisation in a module forget its statistics, and take the mean of the batches that follow.

    Other processes take no part in it.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    before = [(layer.momentum, layer.training, layer.alone) for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum, layer.alone = None, True
        layer.train()
    try:
        yield
    finally:
        for layer, (momentum, training, alone) in zip(layers, before, strict=True):
            layer.momentum, layer.alone = momentum, alone
            layer.train(training)
