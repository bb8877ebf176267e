"""What the corpus knows of one source's language: clips that were published, and entries that were refused.

Both are asked for by address, without the source's root: a site that moves to another host has no new clips.
A crawl's child process is handed this by its parent, which has read it from the bucket.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langaudio.store import Store

_COLUMNS = [
    *("clip_id", "page_url", "source_url", "title", "speaker_sex", "speaker_age"),
    *("cefr_level", "licence", "permission", "gone"),
]


@dataclass(frozen=True)
class KnownClip:
    """A published clip, or an entry that was refused.

    Attributes:
        clip_id: its id in the catalog, or in quarantine.
        source_url: address of its file, if it had one.
        gone: whether the source had lost it when it was last looked for.
        reason: why it is in quarantine; None if it is published.
        row: what the catalog says of a published clip.
    """

    clip_id: str
    source_url: str | None
    gone: bool
    reason: str | None
    row: dict[str, Any]


class KnownClips:
    """The clips of a source's language, by address.

    Args:
        published: columns of the catalog, with ``last_seen``; of several files that one page had, the present
            one comes last.
        refused: reasons of quarantine.
        roots: the source's roots; an address below one is the same below another.

    Attributes:
        present: how many pages the source had when it was last looked at.
        first_sighting: when the clip that was not seen for longest was seen, of those that are not gone;
            so since then the list was not walked in full.
        last_sighting: when any of them was seen last.
    """

    def __init__(
        self, published: dict[str, list[Any]], refused: Sequence[dict[str, Any]], roots: Sequence[str]
    ) -> None:
        self._published = {name: published[name] for name in _COLUMNS}
        self._roots = tuple(map(_without_scheme, roots))
        self._clips: dict[str, int | KnownClip] = {}
        seen, gone = published["last_seen"], published["gone"]
        for number, (page, file) in enumerate(
            zip(published["page_url"], published["source_url"], strict=True)
        ):
            self._clips[self.address(page or file)] = number
        present = sum(not gone[number] for number in self._clips.values() if isinstance(number, int))
        for reason in refused:
            page = reason.get("page_url") or reason.get("source_url")
            if page and self.address(page) not in self._clips:
                self._clips[self.address(page)] = clip = _refused(reason)
                present += not clip.gone
        self.present = present
        self.first_sighting: datetime | None = min(
            (time for time, lost in zip(seen, gone, strict=True) if not lost), default=None
        )
        self.last_sighting: datetime | None = max(seen, default=None)

    def address(self, url: str) -> str:
        """Return what of an address is compared."""
        plain = _without_scheme(url)
        for root in self._roots:
            if plain.startswith(root):
                return plain.removeprefix(root)
        return url

    def find(self, url: str) -> KnownClip | None:
        """Return what is known of the clip with this page."""
        found = self._clips.get(self.address(url))
        return self._from_catalog(found) if isinstance(found, int) else found

    def missing_from(self, met: Collection[str], scope: str = "") -> Iterator[KnownClip]:
        """Yield the clips below ``scope`` that are not gone and whose address is not among those met."""
        for address in self._clips.keys() - met:
            clip = self.find(address) if address.startswith(scope) else None
            if clip and not clip.gone:
                yield clip

    def _from_catalog(self, number: int) -> KnownClip:
        row = {name: values[number] for name, values in self._published.items()}
        return KnownClip(row["clip_id"], row["source_url"], row["gone"], None, row)


def read(store: Store, language: str, source: str, roots: Sequence[str]) -> KnownClips:
    """Return what the corpus knows of a source's language."""
    # Not at the top: a child does not read, and starts faster without Arrow.
    import pyarrow.compute as pc

    from langaudio import catalog

    table = catalog.read(store, language, [*_COLUMNS, "source", "last_seen"])
    table = table.filter(pc.equal(table["source"], source)).drop_columns("source")
    table = table.sort_by([("gone", "descending"), ("last_seen", "ascending")])
    refused = [reason for reason in catalog.refusals(store, language) if reason.get("source") == source]
    return KnownClips(table.to_pydict(), refused, roots)


def _without_scheme(url: str) -> str:
    return url.removeprefix("https:").removeprefix("http:")


def _refused(reason: dict[str, Any]) -> KnownClip:
    return KnownClip(
        reason["clip_id"], reason.get("source_url"), reason.get("gone", False), reason["reason"], {}
    )
