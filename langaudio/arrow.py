"""Arrow without pandas, for processes that do one short thing.

pyarrow imports pandas, if it is installed, as soon as it makes its first array: whatever it is given might be
of pandas. Nothing of ours is, and the import takes longer than a night's work on a language.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


class _NoPandas(MetaPathFinder):
    """Hides pandas from one thread; another one may be importing it for itself."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("hidden from pyarrow, which looks once", name=name)


def leave_pandas_out() -> None:
    """Let pyarrow take it that pandas is absent; ``to_pandas`` and ``from_pandas`` find it all the same."""
    if "pandas" in sys.modules:
        return
    hiding = _NoPandas()
    sys.meta_path.insert(0, hiding)
    try:
        pa.array([])  # it looks now, and not again
    finally:
        sys.meta_path.remove(hiding)
