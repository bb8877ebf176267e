"""Loops that NumPy cannot express, compiled by Numba and kept on disk.

Without the liberties of Numba's ``fastmath``: sums are added up in the order that is written down, so that a
copy has the same bytes on all machines. Compiling takes some seconds once for each machine.
"""

from __future__ import annotations

import numba
import numpy as np

compiled = numba.njit(cache=True, nogil=True)
"""Decorates a function that takes numbers and arrays alone. What it calls must be compiled too."""


def compile_all() -> None:
    """Compile what the transforms use, so that no task has to."""
    from langaudio.augment.registry import TRANSFORMS

    rng = np.random.default_rng(0)
    samples = rng.standard_normal(16_000, dtype=np.float32) / np.float32(8)
    for transform in TRANSFORMS.values():
        transform(p=1)(samples, 16_000, rng)
