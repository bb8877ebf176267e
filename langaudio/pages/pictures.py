"""Pictures and sounds that cost a child process something to make: the last ones are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from langaudio.workers import Workers

_T = TypeVar("_T")

_KEPT = 64


class Pictures:
    """The last results of child processes.

    Args:
        workers: the processes.
        kept: how many results are kept.
    """

    def __init__(self, workers: Workers, kept: int = _KEPT) -> None:
        self._workers = workers
        self._kept: OrderedDict[object, object] = OrderedDict()
        self._lock = threading.Lock()
        self._number = kept

    def get(self, what: object, make: Callable[[Workers], _T]) -> _T:
        """Return what is kept under a name, or make it."""
        with self._lock:
            if what in self._kept:
                self._kept.move_to_end(what)
                found: _T = self._kept[what]  # type: ignore[assignment]
                return found
        made = make(self._workers)
        with self._lock:
            self._kept[what] = made
            while len(self._kept) > self._number:
                self._kept.popitem(last=False)
        return made
