"""The spider of Tatoeba: sentences read aloud by volunteers, from the weekly list of a language."""

from __future__ import annotations

import bz2
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from scrapy import Request, signals
from scrapy.http import Response

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import PageChanged
from langaudio.crawl.spiders.base import NOT_MODIFIED, ClipSpider

_MAX_LIST_BYTES = 100 * 2**20
_MAX_UNPACKED_BYTES = 1000 * 2**20
_MAX_LINE_BYTES = 2**16
_CHUNK_BYTES = 2**20

_NO_LICENCE = ("", "\\N")


@dataclass(frozen=True)
class Row:
    """A recording of the list; ``licence`` is None if its speaker gave none."""

    sentence: int
    speaker: str
    licence: str | None


class TatoebaSpider(ClipSpider):
    """Reads the list of a language, and fetches the recordings that have a licence.

    The list is whole and made once a week, so every crawl is a full walk, unless the list has not changed.
    """

    name = "tatoeba"

    async def start(self) -> AsyncIterator[Any]:
        # The list has the sentences of one language, by its ISO 639-3 code.
        address = f"exports/per_language/{self.section}/{self.section}_sentences_with_audio.tsv.bz2"
        yield self.page(
            urljoin(self.roots[0], address),
            self.parse_rows,
            unless_known=True,
            meta={"audio": True, "download_maxsize": _MAX_LIST_BYTES},
        )

    async def parse_rows(self, response: Response) -> AsyncIterator[Any]:
        """Read the list, and ask for its recordings at the rate at which they come."""
        self.harvest.counts["pages"] += 1
        if response.status == NOT_MODIFIED:
            return
        # What the list does not name is gone.
        self.harvest.full = True
        try:
            for row in parse_rows(response.body, response.url):
                if self.harvest.satisfied:
                    return
                for found in self._recording(row):
                    # Hundreds of thousands of requests do not wait in memory.
                    if isinstance(found, Request) and self.crawler.engine.needs_backout():
                        await self.crawler.signals.wait_for(signals.scheduler_empty)
                    yield found
        except PageChanged as error:
            raise self.unreadable(response, error) from None

    def _recording(self, row: Row) -> Iterator[Any]:
        if row.licence is None:
            self.harvest.leave_out("no_licence")
        else:
            yield from self.clip(self._entry(row))

    def _entry(self, row: Row) -> Entry:
        return Entry(
            page_url=f"https://tatoeba.org/sentences/show/{row.sentence}",
            audio_url=urljoin(self.roots[-1], f"sentences/{self.section}/{row.sentence}.mp3"),
            speaker=row.speaker,
            licence=row.licence,
        )


def parse_rows(packed: bytes, url: str) -> Iterator[Row]:
    """Yield the recordings of a list: one a sentence, the first.

    Its lines are tab-separated: sentence, in newer lists the recording, speaker, licence, attribution.

    Raises:
        PageChanged: it is no such list, or unpacks to more than a list can have.
    """
    seen: set[int] = set()
    for line in _lines(packed, url):
        columns = line.rstrip("\r").split("\t")
        if len(columns) not in (4, 5) or not _is_number(columns[0]):
            raise PageChanged(f"{url} has a line that is none of Tatoeba's list: {line[:80]!r}.")
        speaker, licence = columns[-3], columns[-2].strip()
        if int(columns[0]) not in seen:
            seen.add(int(columns[0]))
            yield Row(int(columns[0]), speaker, None if licence in _NO_LICENCE else licence)


def _lines(packed: bytes, url: str) -> Iterator[str]:
    unpacker, unpacked, rest = bz2.BZ2Decompressor(), 0, b""
    try:
        data = packed
        while not unpacker.eof:
            chunk = unpacker.decompress(data, _CHUNK_BYTES)
            data = b""
            if unpacker.eof and unpacker.unused_data:
                # Several streams, one after the other, as parallel packers write them.
                data, unpacker = unpacker.unused_data, bz2.BZ2Decompressor()
            unpacked += len(chunk)
            if unpacked > _MAX_UNPACKED_BYTES:
                raise PageChanged(f"{url} unpacks to more than {_MAX_UNPACKED_BYTES} bytes.")
            if not (chunk or data) and unpacker.needs_input:
                raise PageChanged(f"{url} is cut off.")
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > _MAX_LINE_BYTES:
                raise PageChanged(f"{url} has a line of more than {_MAX_LINE_BYTES} bytes.")
            yield from (line.decode() for line in whole)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise PageChanged(f"{url} is no bzip2 of UTF-8 text: {error}.") from None
    if rest:
        yield rest.decode(errors="replace")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
