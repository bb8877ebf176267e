"""What the synthetic voices say: a file of topics per language, the same topics in every language.

Topics are shared so that no subject belongs to one language, and each belongs to one side of the split,
so that a classifier cannot pass the test by remembering sentences.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from langaudio.errors import LangaudioError, suggest
from langaudio.speakers import Split

LANGUAGES = ("fr", "en", "de", "es", "ru", "zh")

_SIDES: tuple[Split, ...] = ("train", "train", "train", "train", "dev", "test")


@dataclass(frozen=True)
class Topic:
    """A few sentences that follow each other.

    Attributes:
        title: in the language itself.
        level: A1 to C2, of the Common European Framework.
        sentences: each takes the voices 1.5 to 5 s.
        side: the only side of the split whose speakers say them.
    """

    title: str
    level: str
    sentences: tuple[str, ...]
    side: Split


@dataclass(frozen=True)
class Script:
    """Everything that a language's voices need: what they say, and who they pretend to be."""

    topics: tuple[Topic, ...]
    names: dict[str, tuple[str, ...]]
    """``female`` and ``male`` given names."""
    places: tuple[str, ...]

    def topics_of(self, side: Split) -> list[Topic]:
        return [topic for topic in self.topics if topic.side == side]


@lru_cache
def script(language: str) -> Script:
    """Return the script of a language.

    Raises:
        LangaudioError: nothing is written in that language.
    """
    if language not in LANGUAGES:
        raise LangaudioError(
            f"The synthetic voices do not speak {language!r}{suggest(language, LANGUAGES)}; "
            f"they speak {', '.join(LANGUAGES)}."
        )
    data = tomllib.loads(resources.files(__name__).joinpath(f"{language}.toml").read_text("utf-8"))
    topics = tuple(
        Topic(topic["title"], topic["level"], tuple(topic["sentences"]), _SIDES[number % len(_SIDES)])
        for number, topic in enumerate(data["topics"])
    )
    people = data["speakers"]
    names = {sex: tuple(people[sex]) for sex in ("female", "male")}
    return Script(topics, names, tuple(people["places"]))
