"""What a training needs in order to go on where it was killed, kept in the bucket until it has ended.

The bucket, because the worker that goes on need not be the one that began. A checkpoint holds tensors,
numbers and names, and is read without unpickling anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from langaudio.store import MissingObject, Store, keys

BEST, LAST = "best.ckpt", "last.ckpt"
"""The network of the epoch that did best on the dev clips, and all that there is after the last epoch."""


class Checkpoints:
    """The checkpoints of one training.

    Args:
        store: the bucket.
        parameters: all that decides what comes out of the training: it is known again by them.
    """

    def __init__(self, store: Store, parameters: Mapping[str, object]) -> None:
        self._store = store
        described = json.dumps(parameters, sort_keys=True, default=str)
        self._training = hashlib.sha256(described.encode()).hexdigest()[:20]

    def fetch(self, folder: Path) -> str | None:
        """Put the checkpoints into a folder; return the MLflow run that they are of, None without any."""
        for run_id in self._store.folders(keys.checkpoint(self._training)):
            try:
                # The last is written after the best.
                for name in (LAST, BEST):
                    (folder / name).write_bytes(self._store.get(self._key(run_id, name)))
            except MissingObject:
                (folder / LAST).unlink(missing_ok=True)
                continue
            return run_id
        return None

    def put(self, run_id: str, file: Path) -> None:
        self._store.put(self._key(run_id, file.name), file.read_bytes())

    def delete(self, run_id: str) -> None:
        for name in (LAST, BEST):
            self._store.delete(self._key(run_id, name))

    def _key(self, run_id: str, name: str) -> str:
        return keys.checkpoint(self._training, run_id, name)
