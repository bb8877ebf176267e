"""Errors that a user or an operator can act on: one sentence that says what is wrong and what to do.

The CLI prints the sentence and exits with status 2; an Airflow task logs it and fails. Anything
that is not one of these is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LangaudioError(Exception):
    """Trying again with the same input gives the same result: fix the input first."""


class Unavailable(LangaudioError):
    """Something outside (a site, a bucket, a server) did not answer: trying later may help."""


def suggest(value: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'fr'?)`` for the closest known word, or an empty string."""
    close = difflib.get_close_matches(value, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
