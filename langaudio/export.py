"""The corpus for other tools: a table of its clips, or a folder with the clips themselves."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from langaudio import catalog
from langaudio.errors import LangaudioError
from langaudio.languages import get
from langaudio.store import Store, keys

_COLUMNS = [name for name in catalog.SCHEMA.names if name != "fingerprint"]
_TABLES = (".csv", ".jsonl")


def export_to(store: Store, target: Path, languages: Sequence[str] | None = None) -> int:
    """Export the clips of some languages; return how many.

    Args:
        store: the bucket.
        target: a file ``….csv`` or ``….jsonl``; or a folder, which becomes a Hugging Face ``audiofolder``:
            ``<split>/<language>/<clip_id>.<format>`` and ``metadata.csv`` with ``file_name``.
        languages: their tags; all of the corpus if none.

    Raises:
        LangaudioError: a language that the corpus lacks, another kind of file, or a folder that is not empty.
    """
    chosen = chosen_languages(store, languages)
    if target.suffix in _TABLES:
        with target.open("w", newline="", encoding="utf-8") as file:
            return _write_rows(file, target.suffix, _rows(store, chosen), _COLUMNS)
    if target.suffix:
        raise LangaudioError(
            f"{target} cannot be exported to: name a .csv or a .jsonl file, or a folder without a suffix."
        )
    if target.exists() and any(target.iterdir()):
        raise LangaudioError(f"{target} is not empty: name a folder that is new.")
    target.mkdir(parents=True, exist_ok=True)
    with (target / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        return _write_rows(file, ".csv", _with_files(store, chosen, target), ["file_name", *_COLUMNS])


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


def _rows(store: Store, languages: Sequence[str]) -> Iterator[dict[str, Any]]:
    for language in languages:
        for batch in catalog.read(store, language, _COLUMNS).to_batches(max_chunksize=1000):
            yield from batch.to_pylist()


def _with_files(store: Store, languages: Sequence[str], target: Path) -> Iterator[dict[str, Any]]:
    for language in languages:
        rows = list(_rows(store, [language]))
        wanted = (keys.raw(language, row["clip_id"], row["format"]) for row in rows)
        for row, (_, data) in zip(rows, store.get_many(wanted), strict=True):
            file = Path(row["split"]) / language / f"{row['clip_id']}.{row['format']}"
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            (target / file).write_bytes(data)
            yield {"file_name": file.as_posix()} | row


def _write_rows(file: TextIO, kind: str, rows: Iterator[dict[str, Any]], columns: Sequence[str]) -> int:
    written = 0
    table = csv.DictWriter(file, columns) if kind == ".csv" else None
    if table:
        table.writeheader()
    for row in rows:
        told = row | {name: row[name].isoformat() for name in ("first_seen", "last_seen")}
        if table:
            table.writerow(told)
        else:
            file.write(json.dumps(told, ensure_ascii=False) + "\n")
        written += 1
    return written
