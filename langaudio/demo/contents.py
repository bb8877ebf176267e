"""What a site folder holds: ``site.json``, and the files that it names in ``IMG/mp3/``.

``site.json`` is written last and in one piece, so a folder that has it is complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from langaudio.errors import LangaudioError
from langaudio.speakers import Split

MP3_FOLDER = Path("IMG", "mp3")

TAGS: dict[int, tuple[int, str]] = {
    **{mot: (2, level) for mot, level in enumerate(("A1", "A2", "B1", "B2", "C1", "C2"), start=10)},
    16: (3, "Male voice"),
    17: (3, "Female voice"),
    18: (4, "Child"),
    19: (4, "Adult"),
    20: (4, "Teenager"),
    21: (4, "Senior"),
    22: (5, "0 to 30 s"),
    23: (5, "30 s to 1 min"),
    24: (5, "1 min to 1 min 30"),
    25: (5, "1 min 30 to 2 min"),
    36: (5, "2 to 3 min"),
    37: (5, "over 3 min"),
}
"""Number of a tag ("mot") → its group (2 level, 3 sex, 4 age, 5 length) and its label."""

_LENGTHS = ((30, 22), (60, 23), (90, 24), (120, 25), (180, 36), (float("inf"), 37))

_FIRST_DAY = datetime(2024, 1, 1, 8, tzinfo=UTC)
_STEP = timedelta(hours=7)


@dataclass(frozen=True)
class Entry:
    """One clip of the site, as its pages show it.

    Attributes:
        article: number of its page; a higher number is newer.
        language: tag of the language that lists it.
        section: number of that language's section ("rubrique").
        title: may hold any character.
        summary: the same.
        auteur: number of the speaker.
        speaker: the speaker's name and place.
        side: side of the split that the pipeline puts the speaker on.
        tags: keys of ``TAGS``.
        licence: text of the licence link.
        licence_url: where it points; empty if the clip has no licence that can be linked.
        mp3: name of the file in ``IMG/mp3/``; None if the entry has no audio at all.
        bytes: size that its page announces.
        duration_s: length of the recording; a defect may have left less of it in the file.
        defect: what is wrong with it on purpose; None for a good clip.
    """

    article: int
    language: str
    section: int
    title: str
    summary: str
    auteur: int
    speaker: str
    side: Split
    tags: tuple[int, ...]
    licence: str
    licence_url: str
    mp3: str | None
    bytes: int
    duration_s: float
    defect: str | None = None

    @property
    def date(self) -> datetime:
        """When it was published: entries follow each other at a steady pace."""
        return _FIRST_DAY + self.article * _STEP


def tag(group: int, label: str) -> int:
    """Return the number of the tag with this label, in any case of letters.

    >>> tag(2, "B1"), tag(4, "adult")
    (12, 19)
    """
    return next(mot for mot, (of, name) in TAGS.items() if of == group and name.lower() == label.lower())


def length_tag(duration_s: float) -> int:
    """Return the number of the tag for a clip of this length.

    >>> length_tag(7.5), length_tag(60.0)
    (22, 24)
    """
    return next(mot for limit_s, mot in _LENGTHS if duration_s < limit_s)


def build_once(folder: Path, arguments: dict[str, Any], make: Callable[[Path], Sequence[Entry]]) -> None:
    """Fill a site folder, unless it was filled with the same arguments before.

    Args:
        folder: created if it does not exist; of what is there, only ``site.json`` and MP3s are replaced.
        arguments: everything that decides the result, as JSON knows it.
        make: writes the files into the folder that it is given, and returns the entries.
    """
    if made_with(folder) == arguments:
        return
    listing = folder / "site.json"
    listing.unlink(missing_ok=True)
    mp3s = folder / MP3_FOLDER
    mp3s.mkdir(parents=True, exist_ok=True)
    for stale in mp3s.glob("*.mp3"):
        stale.unlink()
    site = {"made_with": arguments, "entries": [asdict(entry) for entry in make(mp3s)]}
    partial = folder / "site.json.partial"
    partial.write_text(json.dumps(site, ensure_ascii=False, indent=1), "utf-8")
    partial.replace(listing)


def made_with(folder: Path) -> dict[str, Any]:
    """Return the arguments that a site folder was built with; nothing if it is not complete."""
    listing = folder / "site.json"
    if not listing.is_file():
        return {}
    arguments: dict[str, Any] = json.loads(listing.read_text("utf-8")).get("made_with", {})
    return arguments


def read(folder: Path) -> list[Entry]:
    """Return the entries of a site folder, newest first.

    Raises:
        LangaudioError: the folder is not a complete site.
    """
    listing = folder / "site.json"
    if not listing.is_file():
        raise LangaudioError(f"{folder} is not a complete demo site: it has no site.json. Build it first.")
    rows = json.loads(listing.read_text("utf-8"))["entries"]
    entries = [Entry(**{**row, "tags": tuple(row["tags"])}) for row in rows]
    return sorted(entries, key=lambda entry: entry.article, reverse=True)
