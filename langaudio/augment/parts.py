"""Parts: the clips of a large language shared out among several tasks.

A clip belongs to a part by its id alone, so that tasks need not agree on anything: each does what is missing
of its own clips, and all of them together do what one task would do.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass

import pyarrow as pa

from langaudio.errors import LangaudioError


@dataclass(frozen=True)
class Part:
    """A share of a language's clips.

    Attributes:
        number: 1 to ``of``.
        of: into how many parts the language is divided.

    Example:
        >>> str(Part.named("2/4"))
        '2/4'
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise LangaudioError(f"There is no part {self}: parts are numbered from 1, as in 1/4 … 4/4.")

    @classmethod
    def named(cls, name: str) -> Part:
        """Return the part that a text like ``2/4`` names.

        Raises:
            LangaudioError: it names none.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", name)
        if found is None:
            raise LangaudioError(f"{name!r} is no part of a language: write, for example, 2/4.")
        return cls(int(found[1]), int(found[2]))

    def chosen(self, hours: float) -> Part:
        return self

    def holds(self, clip_ids: pa.ChunkedArray) -> pa.Array:
        """Tell of each clip whether it belongs to this part."""
        if self.of == 1:
            return pa.repeat(True, len(clip_ids))
        # Not the id's own digits: ids may come from elsewhere, and be numbered in steps.
        shares = (zlib.crc32(clip_id.encode()) % self.of for clip_id in clip_ids.to_pylist())
        return pa.array((share == self.number - 1 for share in shares), pa.bool_())

    def others(self) -> list[Part]:
        return [Part(number, self.of) for number in range(1, self.of + 1) if number != self.number]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


@dataclass(frozen=True)
class FirstPart:
    """The first of as many parts as there is work for.

    Attributes:
        part_hours: hours of speech, copies counted, that are work enough for one task.
        max_parts: more parts are not made, however much there is to do.
    """

    part_hours: float
    max_parts: int

    def chosen(self, hours: float) -> Part:
        """Return the part, of a language that lacks so many hours of speech, copies counted.

        >>> str(FirstPart(part_hours=100, max_parts=8).chosen(250))
        '1/3'
        """
        return Part(1, min(self.max_parts, max(1, math.ceil(hours / self.part_hours))))


WHOLE = Part()
