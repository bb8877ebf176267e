"""What a crawl's parent tells its child, and the child its parent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langaudio.crawl.harvest import Harvest

Put = Callable[[str, bytes], str]
"""Takes the name and the bytes of a file to stage; returns its key."""

FAILURE = "failure"
"""Name of the file by which the child says why it failed."""


@dataclass(frozen=True)
class Job:
    """A crawl that the child is to do.

    Attributes:
        spider: dotted path of the spider.
        roots: the source's roots.
        section: where the source keeps the language.
        harvest: takes the entries.
        folder: prefix of the staging folder's keys.
        manners: what ``scrapy_settings`` takes besides the roots.
    """

    spider: str
    roots: list[str]
    section: str
    harvest: Harvest
    folder: str
    manners: dict[str, Any]
