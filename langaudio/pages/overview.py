"""The page Overview: every language, how it is, and the way to the form that brings it up to date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from langaudio.errors import LangaudioError
from langaudio.pages.access import PersonDep
from langaudio.pages.corpus import STATES, LanguageSummary, State
from langaudio.pages.parts import CorpusDep, ModelsDep
from langaudio.pages.rendering import render

router = APIRouter()

Column = Literal[
    "name", "state", "clips", "speakers", "speech_s", "train", "copies", "refused", "last_crawl", "recall"
]
COLUMNS: dict[Column, str] = {
    "name": "Language",
    "state": "State",
    "clips": "Clips",
    "speakers": "Speakers",
    "speech_s": "Speech",
    "train": "Split",
    "copies": "Copies",
    "refused": "Refused",
    "last_crawl": "Last crawl",
    "recall": "Recall",
}


@dataclass(frozen=True)
class OverviewRow(LanguageSummary):
    """A language, with the recall that the champion has for it; None if it was not tested on it."""

    recall: float | None = None


LARGEST_FIRST = "-clips"


@dataclass(frozen=True)
class Shown:
    """Which languages are shown, in which order; ``-`` before a column: the greatest first."""

    q: str = ""
    state: State | None = None
    sort: str = LARGEST_FIRST


Q = Annotated[str, Query(max_length=100, description="Part of a language's name, or its tag.")]
WantedState = Annotated[State | Literal[""], Query(description="Only languages in this state.")]
SortBy = Annotated[
    str,
    Query(
        pattern=rf"^-?({'|'.join(COLUMNS)})$",
        description="A column; with - before it the greatest first.",
    ),
]


@router.get("/", include_in_schema=False)
def home() -> RedirectResponse:
    return RedirectResponse("overview")


@router.get("/overview", include_in_schema=False)
def overview_page(
    request: Request,
    asking: PersonDep,
    corpus: CorpusDep,
    models: ModelsDep,
    q: Q = "",
    state: WantedState = "",
    sort: SortBy = LARGEST_FIRST,
) -> HTMLResponse:
    """Every language."""
    recalls, champion, trouble = {}, None, None
    try:
        champion, recalls = models.champion(), models.recalls()
    except LangaudioError as error:
        # The corpus can be told of without the models.
        trouble = str(error)
    rows = _rows(corpus.summaries(), recalls)
    shown = _chosen(rows, Shown(q, state or None, sort))
    return render(
        request,
        "overview.html",
        asking=asking,
        columns=COLUMNS,
        states=STATES,
        counts={one: sum(row.state == one for row in rows) for one in STATES},
        rows=shown,
        everything=rows,
        totals={
            "languages": sum(row.clips > 0 for row in rows),
            "clips": sum(row.clips for row in rows),
            "speech_s": sum(row.speech_s for row in rows),
            "speakers": sum(row.speakers for row in rows),
        },
        most=max((row.clips for row in rows), default=0),
        champion=champion,
        trouble=trouble,
        q=q,
        state=state,
        sort=sort,
    )


@router.get("/run", include_in_schema=False)
def run_page(
    request: Request,
    asking: PersonDep,
    corpus: CorpusDep,
    languages: Annotated[list[str], Query(max_length=200)] = [],  # noqa: B006 (FastAPI copies it)
) -> HTMLResponse:
    """The form that starts the pipeline, filled in for some languages."""
    names = {one.code: one for one in corpus.summaries()}
    chosen = [names[code] for code in dict.fromkeys(languages) if code in names]
    sources = {one.source for one in chosen if one.source}
    return render(
        request,
        "run.html",
        asking=asking,
        chosen=chosen,
        values={"languages": [one.code for one in chosen]}
        | ({"source": sources.pop()} if len(sources) == 1 else {}),
    )


@router.get("/api/languages", tags=["corpus"])
def list_languages(
    corpus: CorpusDep, models: ModelsDep, q: Q = "", state: WantedState = "", sort: SortBy = LARGEST_FIRST
) -> list[OverviewRow]:
    """Every language that the corpus has or that langaudio knows."""
    return _chosen(_rows(corpus.summaries(), models.recalls()), Shown(q, state or None, sort))


@router.get("/api/languages/{language}", tags=["corpus"])
def get_language(language: str, corpus: CorpusDep, models: ModelsDep) -> OverviewRow:
    """One language."""
    return _rows([corpus.summary(language)], models.recalls())[0]


def _rows(summaries: Sequence[LanguageSummary], recalls: dict[str, float]) -> list[OverviewRow]:
    return [OverviewRow(**asdict(one), recall=recalls.get(one.code)) for one in summaries]


def _chosen(rows: Sequence[OverviewRow], shown: Shown) -> list[OverviewRow]:
    wanted = shown.q.strip().casefold()
    found = [
        row
        for row in rows
        if (not wanted or wanted in row.name.casefold() or wanted == row.code)
        and (shown.state is None or row.state == shown.state)
    ]
    found.sort(key=_ORDERS["name"])  # where the column tells no difference
    column, descending = shown.sort.removeprefix("-"), shown.sort.startswith("-")
    key = _ORDERS.get(column, lambda row: getattr(row, column))
    # What has no value comes last in both orders.
    valued = [row for row in found if key(row) is not None]
    valued.sort(key=key, reverse=descending)
    return valued + [row for row in found if key(row) is None]


_ORDERS: dict[str, Callable[[OverviewRow], Any]] = {
    "state": lambda row: STATES.index(row.state),
    "name": lambda row: row.name.casefold(),
}
