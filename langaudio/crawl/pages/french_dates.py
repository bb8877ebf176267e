"""Dates as French pages write them."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_MONTHS = ("janv", "fevr", "mars", "avr", "mai", "juin", "juil", "aout", "sept", "oct", "nov", "dec")
_DATE = re.compile(r"\b([0-9]{1,2})(?:er)?\s+([a-z]{3,9})\.?\s+([0-9]{4})\b")


def parse_french_date(text: str) -> date | None:
    """Return the first date of a text, or None: with or without its weekday, accents and capitals.

    >>> parse_french_date("jeudi 3 octobre 2024"), parse_french_date("1er Février 2025")
    (datetime.date(2024, 10, 3), datetime.date(2025, 2, 1))
    """
    # Decomposed, accents are characters of their own, and every kind of space is a plain one.
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    for day, name, year in _DATE.findall(plain):
        month = next((number for number, stem in enumerate(_MONTHS, 1) if name.startswith(stem)), None)
        if month:
            try:
                return date(int(year), month, int(day))
            except ValueError:
                continue
    return None
