"""Every object key of a bucket is made here; ``docs/bucket.md`` describes the layout.

Whatever comes from outside (run ids, names, languages) is checked here, so that no input can make a
key outside its prefix.
"""

from __future__ import annotations

import re

from langaudio.errors import LangaudioError

CHECKPOINTS = "models/checkpoints/"
"""The prefix of the checkpoints of all trainings under way."""

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


def run_id(text: str) -> str:
    """Turn a run's name, for example Airflow's, into one that may be part of a key.

    >>> run_id("manual__2026-11-01T02:00:00+00:00")
    'manual__2026-11-01T02-00-00-00-00'
    """
    return _checked("run id", re.sub(r"[^A-Za-z0-9._-]", "-", text).lstrip(".")[:200])


def staging(source: str, run: str, language: str, name: str = "") -> str:
    """Return the key of a staged file (``items.jsonl``, ``audio/NAME``), or the prefix of all of them."""
    folders = _checked("source", source), _checked("run id", run), _checked("language", language)
    parts = [_checked("name", part) for part in name.split("/")] if name else [""]
    return "/".join(("staging", *folders, *parts))


def below(top: str, *folders: str) -> str:
    """Return the prefix of all keys in a folder.

    >>> below("raw", "fr")
    'raw/fr/'
    """
    return "".join(f"{_checked('folder', folder)}/" for folder in (top, *folders))


def raw(language: str, clip_id: str, extension: str) -> str:
    """Return the key of a published clip; its extension is its format (``mp3``, ``flac``)."""
    name = f"{_checked('clip id', clip_id)}.{_checked('extension', extension)}"
    return f"raw/{_checked('language', language)}/{name}"


def quarantine(language: str, clip_id: str = "", extension: str = "") -> str:
    """Return the key of a refused clip (``mp3``) or of the reason (``json``), or the language's prefix."""
    prefix = f"quarantine/{_checked('language', language)}/"
    return prefix + (f"{_checked('clip id', clip_id)}.{_checked('extension', extension)}" if clip_id else "")


def refusals(language: str) -> str:
    """Return the key of the table that repeats all reasons of a language."""
    return quarantine(language, "index", "parquet")


def catalog(language: str = "", part: str = "") -> str:
    """Return the key of a part of the catalog, or the prefix of a language's parts or of all."""
    if not language:
        return "catalog/"
    prefix = f"catalog/{_checked('language', language)}/"
    return prefix + (f"{_checked('run id', part)}.parquet" if part else "")


def crawls(language: str = "", source: str = "") -> str:
    """Return the key of a journal of crawls, or the prefix of a language's journals or of all."""
    if not language:
        return "crawls/"
    prefix = f"crawls/{_checked('language', language)}/"
    return prefix + (f"{_checked('source', source)}.json" if source else "")


def forgotten(what: str = "", name: str = "") -> str:
    """Return the key of a wish to be forgotten (``speaker``, its pseudonym), or the prefix of all."""
    return (
        f"forgotten/{_checked('kind of wish', what)}/{_checked('name', name)}.json" if what else "forgotten/"
    )


def augmented(recipe_id: str, language: str, run: str = "", name: str = "") -> str:
    """Return the key of a shard or index that a run wrote, or the prefix of the language's."""
    prefix = f"augmented/{_checked('recipe id', recipe_id)}/{_checked('language', language)}/"
    return prefix + (f"{_checked('run id', run)}/{_checked('name', name)}" if run else "")


def checkpoint(training: str, run_id: str = "", name: str = "") -> str:
    """Return the key of a checkpoint of a training under way, or the prefix of all of the training's."""
    prefix = f"{CHECKPOINTS}{_checked('training', training)}/"
    return prefix + (f"{_checked('run id', run_id)}/{_checked('name', name)}" if run_id else "")


def _checked(what: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise LangaudioError(
            f"{name!r} cannot be a {what} in a key: use 1 to 200 letters, digits, '.', '_' and '-', "
            "not beginning with '.'."
        )
    return name
