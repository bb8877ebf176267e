"""Combinations of transforms: all in turn, one of several, some of several."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from langaudio.augment.transform import Audio, Augmenter, BadParameter, Step, check_audio


@dataclass(frozen=True)
class Combination(Augmenter):
    """Several transforms as one. Its own ``p`` comes first; then each chosen transform's ``p`` counts too."""

    transforms: Sequence[Augmenter]

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if not isinstance(self.transforms, Sequence) or not self.transforms:
            raise BadParameter(
                f"{name}: transforms={self.transforms!r} is not a list of at least one transform."
            )
        for transform in self.transforms:
            if not isinstance(transform, Augmenter):
                raise BadParameter(f"{name}: {transform!r} is not a transform.")
        object.__setattr__(self, "transforms", tuple(self.transforms))

    def draw(self, rng: np.random.Generator, samples: Audio, sample_rate: int) -> list[Step]:
        """Return the steps that `render` takes; none where chance leaves the samples alone.

        What a transform draws may depend on its input, so the transforms before it are applied as well:
        to have the samples too, call `render`.

        Raises:
            BadAudio: the samples or their rate are not as `render` wants them.
        """
        check_audio(samples, sample_rate)
        return self._render(samples, sample_rate, rng)[1]

    def _render(self, samples: Audio, sample_rate: int, rng: np.random.Generator) -> tuple[Audio, list[Step]]:
        steps: list[Step] = []
        if rng.random() < self.p:
            for transform in self._pick(rng):
                samples, taken = transform._render(samples, sample_rate, rng)
                steps += taken
        return samples, steps

    @abstractmethod
    def _pick(self, rng: np.random.Generator) -> Sequence[Augmenter]:
        """Return the transforms to take this time, in order."""


@dataclass(frozen=True)
class Compose(Combination):
    """Take all transforms in turn, each with its own probability.

    Args:
        transforms: what to apply, in this order.
        p: probability that anything is applied at all.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> from langaudio.augment import Compose, PolarityInversion, rebuild
        >>> twice = Compose([PolarityInversion(p=1), PolarityInversion(p=0.5)])
        >>> samples = np.linspace(-1, 1, 16_000, dtype=np.float32)
        >>> augmented, steps = twice.render(samples, 16_000, np.random.default_rng(4))
        >>> steps
        [{'transform': 'PolarityInversion'}]
        >>> bool((rebuild(samples, 16_000, steps) == augmented).all())
        True
    """

    p: float = field(default=1.0, kw_only=True)

    def _pick(self, rng: np.random.Generator) -> Sequence[Augmenter]:
        return self.transforms


@dataclass(frozen=True)
class OneOf(Combination):
    """Take one of several transforms, chosen at random.

    Args:
        transforms: what to choose from; give them ``p=1``, else the chosen one may still not be applied.
        weights: how often each is chosen, in proportion; all alike if left out.
        p: probability that one is taken at all.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> from langaudio.augment import OneOf, PolarityInversion, RandomGain
        >>> either = OneOf([PolarityInversion(p=1), RandomGain(-6, -6, p=1)], weights=[3, 1], p=1)
        >>> samples = np.ones(16_000, dtype=np.float32)
        >>> rng = np.random.default_rng(1)
        >>> [either.draw(rng, samples, 16_000)[0]["transform"] for _ in range(4)]
        ['RandomGain', 'PolarityInversion', 'PolarityInversion', 'PolarityInversion']
    """

    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weights is None:
            return
        try:
            weights = tuple(float(weight) for weight in self.weights)
        except (TypeError, ValueError):
            weights = ()
        if len(weights) != len(self.transforms) or min(weights) < 0 or not 0 < sum(weights) < np.inf:
            raise BadParameter(
                f"OneOf: weights={self.weights!r} is not allowed; it is a number of at least 0 for each "
                f"of the {len(self.transforms)} transforms, not all 0."
            )
        object.__setattr__(self, "weights", weights)

    def _pick(self, rng: np.random.Generator) -> Sequence[Augmenter]:
        weights = np.ones(len(self.transforms)) if self.weights is None else np.asarray(self.weights)
        return [self.transforms[rng.choice(len(weights), p=weights / weights.sum())]]


@dataclass(frozen=True)
class SomeOf(Combination):
    """Take some of several transforms, chosen at random, in the order in which they are given.

    Args:
        transforms: what to choose from; give them ``p=1``, else a chosen one may still not be applied.
        num_transforms: how many to take, or the least and the most, ``[1, 3]``.
        p: probability that any is taken at all.

    Raises:
        BadParameter: a parameter is outside its range.

    Example:
        >>> import numpy as np
        >>> from langaudio.augment import PolarityInversion, RandomGain, SomeOf, TimeMask
        >>> two = SomeOf([TimeMask(p=1), RandomGain(p=1), PolarityInversion(p=1)], num_transforms=2, p=1)
        >>> samples = np.ones(16_000, dtype=np.float32)
        >>> [step["transform"] for step in two.draw(np.random.default_rng(0), samples, 16_000)]
        ['TimeMask', 'RandomGain']
    """

    num_transforms: int | Sequence[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            least, most = _ends(self.num_transforms)
            allowed = 0 <= least <= most <= len(self.transforms)
        except (TypeError, ValueError):
            allowed = False
        if not allowed:
            raise BadParameter(
                f"SomeOf: num_transforms={self.num_transforms!r} is not allowed; it is a whole number from 0 "
                f"to {len(self.transforms)}, or the least and the most."
            )
        if not isinstance(self.num_transforms, int):
            object.__setattr__(self, "num_transforms", (least, most))

    def _pick(self, rng: np.random.Generator) -> Sequence[Augmenter]:
        least, most = _ends(self.num_transforms)
        chosen = rng.choice(len(self.transforms), size=rng.integers(least, most + 1), replace=False)
        return [self.transforms[index] for index in sorted(chosen)]


def _ends(num_transforms: int | Sequence[int]) -> tuple[int, int]:
    ends = (num_transforms, num_transforms) if isinstance(num_transforms, int) else tuple(num_transforms)
    if any(isinstance(end, bool) or not isinstance(end, int) for end in ends):
        raise TypeError("not whole numbers")
    least, most = ends
    return least, most
