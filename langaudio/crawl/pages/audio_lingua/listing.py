"""What lists and tags of both designs have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from parsel import Selector, SelectorList

from langaudio.crawl.clips import Entry
from langaudio.crawl.pages import absolute

_LEVELS = {10: "A1", 11: "A2", 12: "B1", 13: "B2", 14: "C1", 15: "C2"}
_SEXES = {16: "male", 17: "female"}
_AGES = {18: "child", 19: "adult", 20: "teenager", 21: "senior"}

_LABELS = {level.lower(): tag for tag, level in _LEVELS.items()}
_LABELS |= {"male voice": 16, "voix d'homme": 16, "female voice": 17, "voix de femme": 17}
_LABELS |= {
    "child": 18,
    "enfant": 18,
    "adult": 19,
    "adulte": 19,
    "teenager": 20,
    "adolescent": 20,
    "senior": 21,
}
"""Labels, for a page that links a tag without its number."""

MOST_TAGS = 100
"""Links to tags that are looked at; clips have up to twelve."""

_TAG = re.compile(r"(?<![a-z])mot([0-9]{1,6})(?![0-9])")
_TOTAL = re.compile(r"([0-9][0-9\s]{0,14}?)\s*(?:resources?|ressources?|résultats?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class ListPage:
    """A page of a language's list.

    Attributes:
        total: how many clips the list has in all, if the page tells.
        entries: those of this page.
        next_url: address of the next page, if the page links one.
    """

    total: int | None
    entries: Sequence[Entry]
    next_url: str | None = None


def announced(texts: Iterable[str]) -> int | None:
    """Return the number of clips that a heading announces: "976 Resources", "1 731 ressources"."""
    found = _TOTAL.search(" ".join(texts))
    return int(re.sub(r"\s", "", found[1])) if found else None


def tags_of(links: Iterable[tuple[str, str]]) -> dict[str, str | None]:
    """Return level, sex and age from a clip's links to tags, as address and label.

    A tag counts by its number, which is the same in every language; without one, by its label.
    """
    tags = set()
    for address, label in links:
        number = _TAG.search(address)
        plain = " ".join(label.replace("’", "'").split()).lower()
        tags.add(int(number[1]) if number else _LABELS.get(plain))
    return {
        field: next((name for tag, name in names.items() if tag in tags), None)
        for field, names in (("cefr_level", _LEVELS), ("speaker_sex", _SEXES), ("speaker_age", _AGES))
    }


def article_page(number: str, url: str) -> str:
    """Return the address of a clip's page: always the same one, however it is linked."""
    address = absolute(url, f"spip.php?article{number}")
    assert address is not None
    return address


def text_of(selected: SelectorList[Selector]) -> str | None:
    """Return the text of the first element, with single spaces; None if there is none."""
    return " ".join(" ".join(selected[:1].xpath(".//text()").getall()).split()) or None
