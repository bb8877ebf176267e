"""Folders that live as long as a training."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from langaudio.settings import settings


@contextmanager
def scratch() -> Iterator[Path]:
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
