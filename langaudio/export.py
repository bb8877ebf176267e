"""The corpus for other tools: a table of its clips, or a folder with the clips themselves."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from langaudio import catalog
from langaudio.errors import LangaudioError
from langaudio.languages import get
from langaudio.store import Store, keys

_COLUMNS = [name for name in catalog.SCHEMA.names if name not in ("fingerprint", "speech_regions")]
_TABLES = (".csv", ".jsonl")
_Write = Callable[[dict[str, Any]], object]


def export_to(store: Store, target: Path, languages: Sequence[str] | None = None) -> int:
    """Export the clips of some languages; return how many.

    Args:
        store: the bucket.
        target: a file ``….csv`` or ``….jsonl``; or a folder, which becomes a Hugging Face ``audiofolder``:
            ``<split>/<language>/<clip_id>.<format>``, and ``<split>/metadata.csv`` with ``file_name``. Its
            ``manifest.csv`` has the rows of all sides with ``path``, for ``langaudio import``.
        languages: their tags; all of the corpus if none.

    Raises:
        LangaudioError: a language that the corpus lacks, another kind of file, a folder that is not empty, or
            a place that cannot be written to.
    """
    chosen = chosen_languages(store, languages)
    if target.suffix and target.suffix not in _TABLES:
        raise LangaudioError(
            f"{target} cannot be exported to: name a .csv or a .jsonl file, or a folder without a suffix."
        )
    try:
        if target.suffix:
            return _export_table(store, chosen, target)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise LangaudioError(f"{target} is there and not empty: name a folder that is new.")
        return _export_folder(store, chosen, target)
    except OSError as error:
        raise LangaudioError(f"{error.filename or target} cannot be written: {error.strerror}.") from None


def chosen_languages(store: Store, languages: Sequence[str] | None) -> list[str]:
    """Return the languages that are meant: those named, or all of the corpus.

    Raises:
        LangaudioError: the corpus has no clips of one.
    """
    known = catalog.languages(store)
    lacking = [code for code in languages or () if get(code).code not in known]
    if lacking:
        raise LangaudioError(f"The corpus has no {lacking[0]!r}; it has {', '.join(known) or 'nothing yet'}.")
    return list(dict.fromkeys(languages or known))


def _export_table(store: Store, languages: Sequence[str], target: Path) -> int:
    written = 0
    with target.open("w", newline="", encoding="utf-8") as file:
        write = _csv(file, _COLUMNS) if target.suffix == ".csv" else _json_lines(file)
        for row in _rows(store, languages):
            write(row)
            written += 1
    return written


def _export_folder(store: Store, languages: Sequence[str], target: Path) -> int:
    target.mkdir(parents=True, exist_ok=True)
    written = 0
    with ExitStack() as files:

        def table(path: Path, column: str) -> _Write:
            path.parent.mkdir(exist_ok=True)
            file = files.enter_context(path.open("w", newline="", encoding="utf-8"))
            return _csv(file, [column, *_COLUMNS])

        manifest = table(target / "manifest.csv", "path")
        metadata: dict[str, _Write] = {}
        for row, data in _with_bytes(store, languages):
            side, name = row["split"], f"{row['language']}/{row['clip_id']}.{row['format']}"
            # Hugging Face reads a side's table beside its clips, and none above them.
            if side not in metadata:
                metadata[side] = table(target / side / "metadata.csv", "file_name")
            clip = target / side / name
            clip.parent.mkdir(exist_ok=True)
            clip.write_bytes(data)
            metadata[side](row | {"file_name": name})
            manifest(row | {"path": f"{side}/{name}"})
            written += 1
    return written


def _rows(store: Store, languages: Sequence[str]) -> Iterator[dict[str, Any]]:
    for language in languages:
        for batch in catalog.read(store, language, _COLUMNS).to_batches(max_chunksize=1000):
            for row in batch.to_pylist():
                yield row | {name: row[name].isoformat() for name in ("first_seen", "last_seen")}


def _with_bytes(store: Store, languages: Sequence[str]) -> Iterator[tuple[dict[str, Any], bytes]]:
    rows, again = itertools.tee(_rows(store, languages))
    files = store.get_many(keys.raw(row["language"], row["clip_id"], row["format"]) for row in again)
    for row, (_, data) in zip(rows, files, strict=True):
        yield row, data


def _csv(file: TextIO, columns: Sequence[str]) -> _Write:
    table = csv.DictWriter(file, columns)
    table.writeheader()
    return table.writerow


def _json_lines(file: TextIO) -> _Write:
    return lambda row: file.write(json.dumps(row, ensure_ascii=False) + "\n")
