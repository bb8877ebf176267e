"""Dates in French prose."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langaudio.crawl.pages.french_dates import parse_french_date

MONTHS = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre",
          "novembre", "décembre"]  # fmt: skip


@given(st.dates(date(1990, 1, 1)), st.sampled_from(["", "lundi ", "Publié le ", "\u00a0"]), st.booleans())
def test_every_day_is_read(day: date, before: str, capitals: bool) -> None:
    number = "1er" if day.day == 1 else str(day.day)
    text = f"{before}{number}\u00a0{MONTHS[day.month - 1]} {day.year:04}"
    assert parse_french_date(text.upper() if capitals else text) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("3 oct. 2024", date(2024, 10, 3)),
        ("3 aout 2024", date(2024, 8, 3)),
        ("Mis à jour : mercredi 3 juillet 2024, par X", date(2024, 7, 3)),
        ("31 février 2024", None),
        ("3 brumaire 2024", None),
        ("hier", None),
        ("", None),
    ],
)
def test_what_is_no_day_is_none(text: str, day: date | None) -> None:
    assert parse_french_date(text) == day


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    parse_french_date(text)
