"""Answers as tables for the terminal and as JSON.

They stand apart from ``langaudio.report``, which imports much more.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

from rich.table import Table

from langaudio import languages
from langaudio.serve.identification import Identification
from langaudio.serve.spans import Timeline


def identification_table(found: Iterable[tuple[str, Identification]]) -> Table:
    """Recordings with the three likeliest languages of each."""
    table = Table(title="Which language is it?", title_justify="left")
    for column in ("Recording", "Language", "Probability", "Next"):
        table.add_column(column, justify="right" if column == "Probability" else "left", overflow="fold")
    for name, answer in found:
        if answer.outcome == "no speech":
            table.add_row(name, answer.outcome, "", "")
            continue
        shares = [f"{code} {share:.1%}" for code, share in answer.probabilities.items()]
        if answer.outcome == "unknown":
            table.add_row(name, answer.outcome, "", ", ".join(shares[:3]))
        else:
            likeliest = next(iter(answer.probabilities.values()))
            table.add_row(name, _named(answer.language), f"{likeliest:.1%}", ", ".join(shares[1:3]))
    return table


def identification_json(found: Iterable[tuple[str, Identification]]) -> str:
    answers = [
        {"file": name, "language": answer.language} | dataclasses.asdict(answer) for name, answer in found
    ]
    return json.dumps(answers, indent=1)


def timeline_table(name: str, found: Timeline) -> Table:
    """Spans of a recording, and below them how long each language is spoken."""
    totals = ", ".join(
        f"{code or 'unknown'} {_clock(seconds)}" for code, seconds in found.seconds_by_language().items()
    )
    caption = f"Speech: {totals}; of {_clock(found.duration_s)}." if totals else "Nobody speaks."
    table = Table(title=f"Languages in {name}", title_justify="left", caption=caption)
    for column in ("From", "To", "Language", "Probability", "Speech"):
        table.add_column(column, justify="left" if column == "Language" else "right")
    for span in found.spans:
        probability = "" if span.language is None else f"{span.probability:.1%}"
        table.add_row(
            _clock(span.begin_s),
            _clock(span.end_s),
            _named(span.language),
            probability,
            f"{span.speech_s:.1f} s",
        )
    return table


def timeline_json(name: str, found: Timeline) -> str:
    return json.dumps({"file": name} | dataclasses.asdict(found), indent=1)


def _named(code: str | None) -> str:
    return "unknown" if code is None else f"{languages.get(code).name} ({code})"


def _clock(seconds: float) -> str:
    """Write seconds as people read them.

    >>> [_clock(seconds) for seconds in (3.14, 75, 3675)]
    ['0:03.1', '1:15.0', '1:01:15.0']
    """
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{minutes:02d}" if hours else f"{minutes}"
    return f"{f'{hours}:' if hours else ''}{clock}:{tenths // 10:02d}.{tenths % 10}"
