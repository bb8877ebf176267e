"""Whether a site wants us: robots.txt for our own name, Crawl-delay, and its wishes on AI training.

Sources: RFC 9309 (robots.txt), contentsignals.org (``Content-Signal``), the IETF's AIPREF drafts
(``Content-Usage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from protego import Protego

from langaudio.errors import LangaudioError

PRODUCT = "langaudio"

_MOST_BYTES = 500 * 1024  # RFC 9309 asks for at least this much to be read
_MOST_WILDCARDS = 10  # each is a loop in the matching

_TRAINING = {"content-signal": ("ai-train", "no"), "content-usage": ("train-ai", "n")}
_UNREADABLE = (408, 429)
"""Of the answers 4xx, those that say nothing of whether there are rules."""

Reason = Literal["robots", "ai_train", "forbidden", "unreadable", "crawl_delay", ""]


class Refused(LangaudioError):
    """The site does not want us. Trying again changes nothing."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class OffSite(LangaudioError):
    """An address that is not below the source's roots, or that lies in a private network."""


class Postponed(LangaudioError):
    """The site asks for a longer wait than it is given: who tries again soon does not do what it asks."""


@dataclass(frozen=True)
class Line:
    """A line of robots.txt: its number from 1, its field in lower case, its value."""

    number: int
    field: str
    value: str

    def __str__(self) -> str:
        return f'line {self.number}, "{self.field.title()}: {self.value[:200]}"'


class Rules:
    """What one robots.txt says to us.

    Attributes:
        crawl_delay_s: seconds that it asks for between two requests, or None.
    """

    def __init__(self, lines: list[Line], url: str) -> None:
        self._url = url
        self._disallows = [line for line in lines if line.field == "disallow"]
        self._matcher = _matcher(line for line in lines if line.field in ("allow", "disallow"))
        # A wish is for the addresses below its path, as a Disallow is; without a path it is for all.
        self._wishes = {wish: line for line in lines if (wish := _wish_against_training(line))}
        self._wish_matcher = _matcher(self._wishes)
        self.crawl_delay_s = max(
            (_seconds(line.value) for line in lines if line.field == "crawl-delay"), default=None
        )

    @classmethod
    def parse(cls, text: str, url: str, product: str = PRODUCT) -> Rules:
        """Take from a robots.txt what holds for a product: its own group, else that of ``*``.

        Args:
            text: the file.
            url: its address, to be named in refusals.
            product: the product token of our user agent.
        """
        return cls(_lines_for(product.lower(), list(_lines(text))), url)

    def refusal(self, address: str, consent: str | None = None) -> Refused | None:
        """Return why an address is not for us, or None if it is.

        Args:
            address: what is to be asked for.
            consent: reference of the owner's written consent. It lifts the refusal of AI training, no other.
        """
        if not self._matcher.can_fetch(address, PRODUCT):
            line = _that_matches(address, self._disallows)
            return Refused(
                f"{self._url}, {line}, keeps us from {address}: leave this source out, or ask its owner.",
                "robots",
            )
        if not consent and not self._wish_matcher.can_fetch(address, PRODUCT):
            line = self._wishes[_that_matches(address, self._wishes)]
            return Refused(
                f"{self._url}, {line}, does not allow AI training on {address}: leave this source out, "
                "or get its owner's written consent and name it in LANGAUDIO_CONSENT.",
                "ai_train",
            )
        return None


def rules_of(status: int, body: bytes, url: str) -> Rules:
    """Return the rules that an answer to the request for robots.txt means.

    Args:
        status: HTTP status, after redirects.
        body: what came.
        url: address of robots.txt.

    Raises:
        Refused: we are shut out (401, 403), or the rules cannot be read (5xx, or a redirect that leads
            nowhere): then all is disallowed.
    """
    if status in (401, 403):
        raise Refused(f"{url} answers {status}: the site does not want us; ask its owner.", "forbidden")
    if status >= 500 or 300 <= status < 400 or status in _UNREADABLE:
        raise Refused(
            f"{url} answers {status}: rules that cannot be read count as a refusal; try again another day.",
            "unreadable",
        )
    text = _beginning(body).decode("utf-8-sig", errors="replace") if status < 300 else ""
    return Rules.parse(text, url)


def _beginning(body: bytes) -> bytes:
    """Return the lines that count; none of them is half a line, which would be another rule."""
    if len(body) <= _MOST_BYTES:
        return body
    return body[: max(body.rfind(end, 0, _MOST_BYTES) for end in (b"\n", b"\r")) + 1]


def _lines(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.splitlines(), start=1):
        field, colon, value = raw.partition("#")[0].partition(":")
        if colon:
            yield Line(number, field.strip().lower(), value.strip())


def _lines_for(product: str, lines: list[Line]) -> list[Line]:
    """Return the lines of the product's groups, else of ``*``; a wish above all groups is for everyone."""
    groups: dict[str, list[Line]] = {product: [], "*": []}
    everyone: list[Line] = []
    agents: set[str] = set()
    named, in_heading = False, False
    for line in lines:
        if line.field == "user-agent":
            if not in_heading:
                agents = set()
            in_heading = True
            agents.add("*" if line.value == "*" else _token(line.value))
            named |= product in agents
        elif line.field in ("allow", "disallow", "crawl-delay", *_TRAINING):
            in_heading = False
            for agent in agents & groups.keys():
                groups[agent].append(line)
            if not agents:
                everyone.append(line)
    # Rules without a group are none; a wish of the owner is one wherever it stands.
    return [line for line in everyone if line.field in _TRAINING] + groups[product if named else "*"]


def _token(value: str) -> str:
    found = re.match(r"[A-Za-z_-]*", value)
    return found[0].lower() if found else ""


def _matcher(lines: Iterable[Line]) -> Protego:
    rules = []
    for line in lines:
        pattern = line.value
        if pattern.count("*") > _MOST_WILDCARDS:
            if line.field == "allow":
                continue
            pattern = pattern.partition("*")[0]
        rules.append(f"{line.field}: {pattern}")
    return Protego.parse("\n".join(["user-agent: *", *rules]))


def _that_matches(address: str, disallows: Iterable[Line]) -> Line:
    """Return the line that keeps us from an address: the longest, as it decides."""
    ordered = sorted(disallows, key=lambda line: len(line.value), reverse=True)
    return next(line for line in ordered if not _matcher([line]).can_fetch(address, PRODUCT))


def _wish_against_training(line: Line) -> Line | None:
    """Return the line as a Disallow of what is not to be trained on, or None if it wishes no such thing."""
    if line.field not in _TRAINING:
        return None
    path, signals = "/", line.value
    if signals.startswith("/"):
        path, *rest = signals.split(maxsplit=1)
        signals = "".join(rest)
    wishes = [
        # A structured value (RFC 9651) may be quoted, and may have parameters.
        tuple(part.partition(";")[0].strip(' \t"').lower() for part in wish.partition("=")[::2])
        for wish in signals.split(",")
    ]
    return Line(line.number, "disallow", path) if _TRAINING[line.field] in wishes else None


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < float("inf") else 0.0
