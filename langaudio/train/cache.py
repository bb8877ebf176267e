"""The local cache of shards: a folder for each shard, named as in the bucket."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from langaudio.settings import settings
from langaudio.store import Store, keys


def root(store: Store) -> Path:
    """Return the folder that has the cached shards of a bucket."""
    return settings().home / "cache" / "shards" / store.bucket


def folder_of(store: Store, shard: str) -> Path:
    """Return the folder of a shard, which is there if the shard is cached."""
    return root(store) / Path(shard).with_suffix("")


def drop(store: Store, shard: str) -> None:
    """Drop a shard from the cache of this machine, if it is there."""
    shutil.rmtree(folder_of(store, shard), ignore_errors=True)


def keep_only(store: Store, recipe_id: str, language: str, shards: Collection[str]) -> None:
    """Drop the cached shards of a recipe and language that are not among those of the bucket.

    What is forgotten in the bucket is so forgotten by every machine that trains.
    """
    kept = {folder_of(store, shard) for shard in shards}
    for folder in (root(store) / keys.augmented(recipe_id, language)).glob("*/*"):
        if folder not in kept:
            shutil.rmtree(folder, ignore_errors=True)
