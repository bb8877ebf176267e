"""The optimizer: Muon for convolutions, AdamW for all else.

Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024) takes the running mean
of the gradients of a layer for a matrix, and steps by the nearest orthogonal one: all directions are learned
equally fast, those too of which a gradient has little. A step is as large as AdamW's would be, so both share
one learning rate (Liu et al., "Muon is scalable for LLM training", 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_MOMENTUM = 0.95
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_RMS_OF_ADAMW = 0.2


class Muon(torch.optim.AdamW):
    """Muon for weights of more than two axes, AdamW for the others.

    Args:
        parameters: of a network.
        lr: learning rate of both.
        weight_decay: of weights of two axes or more; others have none.
    """

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, weight_decay: float) -> None:
        axes: dict[int, list[Tensor]] = {}
        for weights in parameters:
            axes.setdefault(min(weights.ndim, 3), []).append(weights)
        groups = [
            {"params": own, "weight_decay": weight_decay if number > 1 else 0.0, "orthogonal": number > 2}
            for number, own in sorted(axes.items())
        ]
        super().__init__(groups, lr=lr)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["orthogonal"]:
                for weights in group["params"]:
                    self._step(weights, group["lr"], group["weight_decay"])
                    weights.grad = None  # so that AdamW passes it over
        super().step()
        return loss

    def _step(self, weights: Tensor, lr: float, weight_decay: float) -> None:
        if weights.grad is None:
            return
        state = self.state[weights]
        if not state:
            # AdamW wants a number of steps of all that is loaded.
            state.update(mean=torch.zeros_like(weights), step=torch.zeros(()))
        mean: Tensor = state["mean"]
        mean.lerp_(weights.grad, 1 - _MOMENTUM)
        update = weights.grad.lerp(mean, _MOMENTUM).flatten(1)  # a step ahead, as Nesterov has it
        size = _RMS_OF_ADAMW * max(update.shape) ** 0.5
        weights.mul_(1 - lr * weight_decay)
        weights.add_(orthogonal(update).view_as(weights), alpha=-lr * size)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix whose singular values are one.

    They come as near as 0.5 to 1.5, but for those that are next to nothing, which is near enough to learn by.
    By five iterations of Newton and Schulz, with the coefficients of Jordan et al. Each multiplies the matrix
    by a polynomial of its Gram matrix; so only these are multiplied with each other, which are square and
    small, and the matrix once by what comes of them.

    Shape: ``(rows, columns)`` → ``(rows, columns)``.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    a, b, c = _COEFFICIENTS
    gram = matrix @ matrix.T
    product = torch.eye(len(matrix), device=matrix.device)
    for _ in range(_ITERATIONS):
        factor = b * gram + c * gram @ gram
        factor.diagonal().add_(a)
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ matrix
