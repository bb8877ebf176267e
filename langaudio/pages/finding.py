"""The clips of one language: found by filters, page by page; and single ones with their sound.

A child process runs this: tables of clips do not belong into the memory of a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from langaudio import catalog
from langaudio.pages.clips import Clip, ClipPage, Refusal, RefusalPage, Sound, Wanted, media_type, named
from langaudio.pages.errors import NotThere
from langaudio.store import Store, keys

_HIDDEN = ("fingerprint", "speech_regions")
_COLUMNS = [name for name in catalog.SCHEMA.names if name not in _HIDDEN]


def find(store: Store, language: str, wanted: Wanted, page: int, per_page: int) -> ClipPage:
    """Return a page of the clips that are wanted.

    The columns that decide are read first, and whole rows of the page's clips alone.
    """
    named(language)
    column = wanted.sort.removeprefix("-")
    needed = {"clip_id", column, *_filtered_by(wanted)}
    table = catalog.read(store, language, sorted(needed))
    table = table.filter(_matching(table, wanted)) if table.num_rows else table
    order = "descending" if wanted.sort.startswith("-") else "ascending"
    ordered = table.select(["clip_id", column]).sort_by([(column, order), ("clip_id", "ascending")])
    pages = max(1, -(-ordered.num_rows // per_page))
    page = min(page, pages)
    ids = ordered["clip_id"].slice((page - 1) * per_page, per_page).to_pylist()
    found = ordered.num_rows
    rows = {row["clip_id"]: row for row in _rows(store, language, ids)}
    return ClipPage(found, page, pages, [Clip(**rows[one]) for one in ids if one in rows])


def sources(store: Store, language: str) -> list[str]:
    """Return the sources that a language's clips are from."""
    return sorted(pc.unique(catalog.read(store, language, ["source"])["source"]).to_pylist())


def get(store: Store, language: str, clip_id: str) -> Clip:
    """Return a clip.

    Raises:
        NotThere: it is not published.
    """
    named(language)
    for row in _rows(store, language, [clip_id]):
        return Clip(**row)
    raise NotThere(f"{named(language)} has no published clip {clip_id}.")


def refused(store: Store, language: str, reason: str, page: int, per_page: int) -> RefusalPage:
    """Return a page of a language's quarantine."""
    named(language)
    told: list[dict[str, Any]] = catalog.refusals(store, language)
    reasons: dict[str, int] = {}
    for one in told:
        reasons[one["reason"]] = reasons.get(one["reason"], 0) + 1
    ours = [one for one in told if not reason or one["reason"] == reason]
    pages = max(1, -(-len(ours) // per_page))
    page = min(page, pages)
    shown = ours[(page - 1) * per_page : page * per_page]
    return RefusalPage(
        len(ours),
        page,
        pages,
        dict(sorted(reasons.items(), key=lambda one: -one[1])),
        [
            Refusal(
                one["clip_id"],
                one["reason"],
                one["detail"],
                one.get("title"),
                one.get("page_url"),
                one.get("source_url"),
            )
            for one in shown
        ],
    )


def sound(store: Store, language: str, clip_id: str) -> Sound:
    """Return the file of a clip, or of one in quarantine.

    Raises:
        NotThere: there is none.
    """
    named(language)
    for row in _rows(store, language, [clip_id]):
        return Sound(keys.raw(language, clip_id, row["format"]), row["bytes"], media_type(row["format"]))
    prefix = keys.quarantine(language)
    for item in store.list(f"{prefix}{clip_id}."):
        extension = item.key.rpartition(".")[2]
        if extension != "json":
            return Sound(item.key, item.size, media_type(extension))
    raise NotThere(f"There is no sound of clip {clip_id} in {named(language)}.")


def _filtered_by(wanted: Wanted) -> Iterator[str]:
    if wanted.q:
        yield from ("title", "page_url")
    for name, value in (("split", wanted.split), ("source", wanted.source), ("speaker_id", wanted.speaker)):
        if value:
            yield name
    if wanted.gone is not None:
        yield "gone"


def _matching(table: pa.Table, wanted: Wanted) -> Any:
    conditions = [pc.is_valid(table["clip_id"])]
    if wanted.q:
        text = [
            pc.fill_null(pc.match_substring(table[name], wanted.q, ignore_case=True), False)
            for name in ("title", "page_url")
        ]
        conditions.append(pc.or_(pc.or_(*text), pc.starts_with(table["clip_id"], wanted.q)))
    for name, value in (("split", wanted.split), ("source", wanted.source), ("speaker_id", wanted.speaker)):
        if value:
            conditions.append(pc.fill_null(pc.equal(table[name], value), False))
    if wanted.gone is not None:
        conditions.append(pc.equal(table["gone"], wanted.gone))
    matching = conditions[0]
    for condition in conditions[1:]:
        matching = pc.and_(matching, condition)
    return matching


def _rows(store: Store, language: str, ids: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = catalog.read(store, language, _COLUMNS, clip_ids=ids).to_pylist()
    return rows
