"""Whether a site wants us: robots.txt for our own name, Crawl-delay, and its wishes on AI training.

Sources: RFC 9309 (robots.txt), contentsignals.org (``Content-Signal``), the IETF's AIPREF drafts
(``Content-Usage``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from protego import Protego

from langaudio.errors import LangaudioError

PRODUCT = "langaudio"

_MOST_BYTES = 500 * 1024  # RFC 9309 asks for at least this much to be read
_MOST_LINES = 20_000
_MOST_WILDCARDS = 10  # each is a loop in the matching

_TRAINING = {"content-signal": ("ai-train", "no"), "content-usage": ("train-ai", "n")}

Reason = Literal["robots", "ai_train", "forbidden", "unreadable", "crawl_delay", ""]


class Refused(LangaudioError):
    """The site does not want us. Trying again changes nothing."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class OffSite(LangaudioError):
    """An address that is not below the source's roots, or that lies in a private network."""


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
        self._lines, self._url = lines, url
        self._wishes = [line for line in lines if line.field in _TRAINING]
        self._matcher = Protego.parse(_as_text(line for line in lines if line.field in ("allow", "disallow")))
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
            matching = [
                line for line in self._lines if line.field == "disallow" and _matches(line.value, address)
            ]
            line = max(matching, key=lambda line: len(line.value))
            return Refused(
                f"{self._url}, {line}, keeps us from {address}: leave this source out, or ask its owner.",
                "robots",
            )
        for line in () if consent else self._wishes:
            if _refuses_training(line, address):
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
        Refused: we are shut out (401, 403), or the rules cannot be read (5xx): then all is disallowed.
    """
    if status in (401, 403):
        raise Refused(f"{url} answers {status}: the site does not want us; ask its owner.", "forbidden")
    if status >= 500 or status == 429:
        raise Refused(
            f"{url} answers {status}: rules that cannot be read count as a refusal; try again another day.",
            "unreadable",
        )
    text = body[:_MOST_BYTES].decode("utf-8-sig", errors="replace") if status < 300 else ""
    return Rules.parse(text, url)


def _lines(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.splitlines()[:_MOST_LINES], start=1):
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


def _as_text(lines: Iterator[Line]) -> str:
    rules = []
    for line in lines:
        pattern = line.value
        if pattern.count("*") > _MOST_WILDCARDS:
            if line.field == "allow":
                continue
            pattern = pattern.partition("*")[0]
        rules.append(f"{line.field}: {pattern}")
    return "\n".join(["user-agent: *", *rules])


def _matches(pattern: str, address: str) -> bool:
    rule = iter([Line(1, "disallow", pattern)])
    return not Protego.parse(_as_text(rule)).can_fetch(address, PRODUCT)


def _refuses_training(line: Line, address: str) -> bool:
    path, _, signals = line.value.partition(" ") if line.value.startswith("/") else ("", "", line.value)
    wishes = [tuple(part.strip().lower() for part in wish.partition("=")[::2]) for wish in signals.split(",")]
    return _TRAINING[line.field] in wishes and (not path or _matches(path, address))


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < float("inf") else 0.0
