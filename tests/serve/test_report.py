"""Answers as tables and as JSON."""

from __future__ import annotations

import json

from rich.console import Console

from langaudio.serve import Identification, Span, Timeline
from langaudio.serve.report import (
    identification_json,
    identification_table,
    timeline_json,
    timeline_table,
)

SHARES = {"fr": 0.7, "oc": 0.2, "es": 0.06, "it": 0.04}


def shown(table: object, width: int = 200) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def line(text: str, word: str) -> str:
    (found,) = [line for line in text.splitlines() if word in line]
    return found


def test_an_answer_shows_the_language_by_name_and_the_next_two() -> None:
    answer = Identification("language", SHARES, speech_s=3.0, version=1)
    row = line(shown(identification_table([("a.mp3", answer)])), "a.mp3")
    assert "French (fr)" in row
    assert "70.0%" in row
    assert "oc 20.0%, es 6.0%" in row
    assert "it 4.0%" not in row


def test_a_long_name_of_a_file_is_folded_not_cut() -> None:
    name = f"recordings/{'x' * 120}.mp3"
    answer = Identification("language", SHARES, speech_s=3.0, version=1)
    lines = shown(identification_table([(name, answer)]), width=80).splitlines()
    assert "".join(line.split("│")[1].strip() for line in lines if line.startswith("│")) == name


def test_unknown_and_no_speech_are_said_plainly() -> None:
    unknown = Identification("unknown", SHARES, 3.0, 1)
    nothing = Identification("no speech", {}, 0.0, 1)
    text = shown(identification_table([("a.mp3", unknown), ("b.mp3", nothing)]))
    assert "French" not in text
    assert "unknown" in line(text, "a.mp3")
    assert "no speech" in line(text, "b.mp3")


def test_json_has_it_all() -> None:
    (told,) = json.loads(identification_json([("a.mp3", Identification("unknown", SHARES, 3.0, 1))]))
    assert told == {
        "file": "a.mp3",
        "language": None,
        "outcome": "unknown",
        "probabilities": SHARES,
        "speech_s": 3.0,
        "version": 1,
    }


def test_a_timeline_shows_when_which_and_how_long() -> None:
    spans = [Span(1.5, 75.3, "fr", 0.8, 60.0), Span(80.0, 3675.0, None, 0.3, 600.0)]
    found = Timeline(spans, [(1.5, 75.3)], 3700.0, 2)
    text = shown(timeline_table("a.mp3", found))
    row = line(text, "French")
    for part in ("0:01.5", "1:15.3", "80.0%", "60.0 s"):
        assert part in row
    assert "1:01:15.0" in line(text, "600.0 s")
    assert "Speech: unknown 10:00.0, fr 1:00.0; of 1:01:40.0." in text
    assert json.loads(timeline_json("a.mp3", found))["spans"][1]["language"] is None
    assert "Nobody speaks" in shown(timeline_table("a.mp3", Timeline([], [], 3.0, 2)))
