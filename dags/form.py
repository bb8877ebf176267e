"""The fields of the trigger form: what a run can be asked for. Their schemas refuse wrong values."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from langaudio import backfill, languages, stages
from langaudio.crawl.sources import SOURCES
from langaudio.errors import LangaudioError
from langaudio.settings import settings

_LARGEST_SEED = 2**32 - 1


def params(**defaults: Any) -> dict[str, Param]:
    """Return the fields of the chain; ``defaults`` replaces the value that a form starts with.

    Raises:
        LangaudioError: there is no field of such a name, or its value is not allowed.
    """
    fields = _corpus() | _augmentation() | _training() | _promotion()
    for name, value in defaults.items():
        if name not in fields:
            raise LangaudioError(
                f"The form has no field {name!r}, which LANGAUDIO_NIGHT_FORM fills in; it has "
                f"{', '.join(fields)}."
            )
        fields[name].value = value
    if not fields["languages"].value:
        fields[
            "languages"
        ].description = (
            "The languages to work on. None means all that the corpus has, unless languages are brought in."
        )
    return fields


def work() -> Param:
    """Return the field by which a backfill says what it is to do."""
    return Param(
        backfill.BRING_IN,
        type="string",
        enum=list(backfill.WORKS),
        values_display=backfill.WORKS,
        title="What to do",
        description="Bring in languages that the corpus lacks; or do languages that it has anew, without "
        "fetching a recording again: after a change of the recipe, or after a repair of the parser.",
        section="Backfill",
    )


def _corpus() -> dict[str, Param]:
    # A source of one's own is imported when it is asked for, not while Airflow parses.
    sources: dict[str, Any] = {"examples": list(SOURCES)} if settings().sources else {"enum": list(SOURCES)}
    return {
        "languages": Param(
            ["fr", "en", "de", "es", "ru", "zh"],
            type="array",
            items={"type": "string", "enum": sorted(languages.LANGUAGES)},
            uniqueItems=True,
            examples=sorted(languages.LANGUAGES, key=lambda code: languages.LANGUAGES[code].name),
            values_display={
                code: f"{language.name} ({code})" for code, language in languages.LANGUAGES.items()
            },
            title="Languages",
            description="The languages to crawl and to tell apart.",
            section="Corpus",
        ),
        "source": Param(
            "audio_lingua",
            type="string",
            **sources,
            values_display={source.name: source.title for source in SOURCES.values()},
            title="Source",
            description="Where the clips come from.",
            section="Corpus",
        ),
        "limit": Param(
            0,
            type="integer",
            minimum=0,
            title="Clips per language",
            description="Look at the newest clips only; 0 means all.",
            section="Corpus",
        ),
        "full": Param(
            False,
            type="boolean",
            title="Walk the whole list",
            description="Otherwise a crawl ends at clips that it knows, but for one full walk a week.",
            section="Corpus",
        ),
        "location": Param(
            None,
            type=["null", "string"],  # the form does not let an empty text pass
            title="Folder or s3:// prefix",
            description="What the source `corpus` reads; empty: LANGAUDIO_CORPUS.",
            section="Corpus",
        ),
    }


def _augmentation() -> dict[str, Param]:
    return {
        "recipe": Param(
            "default",
            type="string",
            minLength=1,
            examples=stages.recipes(),
            title="Augmentation recipe",
            description="Name of a packaged recipe; or path or s3:// address of one of your own, which all "
            "workers can read (docs/recipes.md).",
            section="Augmentation",
        ),
        "copies": Param(
            2,
            type="integer",
            minimum=0,
            maximum=50,
            title="Copies",
            description="Augmented copies of each training segment.",
            section="Augmentation",
        ),
        "balance_minutes": Param(
            30,
            type="number",
            minimum=0,
            title="Balance to (minutes)",
            description="A language with less training speech than this gets more copies, up to four times.",
            section="Augmentation",
        ),
    }


def _training() -> dict[str, Param]:
    return {
        "epochs": Param(
            24,
            type="integer",
            minimum=1,
            maximum=1000,
            title="Epochs",
            description="How long to train, at most: it ends early where nothing gets better.",
            section="Training",
        ),
        "min_change_percent": Param(
            0,
            type="number",
            minimum=0,
            maximum=100,
            title="Train if so much is new (%)",
            description="Share of the clips that has to be new or gone since the last training. 0 trains in "
            "any case.",
            section="Training",
        ),
        "seed": Param(
            0,
            type="integer",
            minimum=0,
            maximum=_LARGEST_SEED,
            title="Seed",
            description="Of all random draws.",
            section="Training",
        ),
    }


def _promotion() -> dict[str, Param]:
    return {
        "ask_before_promoting": Param(
            False,
            type="boolean",
            title="Ask before promoting",
            description="A person sees the network beside the champion, and decides. No answer means no "
            "promotion. Otherwise the rules decide (docs/models.md).",
            section="Promotion",
        ),
        "approval_hours": Param(
            settings().approval_hours,
            type="number",
            exclusiveMinimum=0,
            maximum=24 * 365,
            title="Wait for an answer (hours)",
            description="How long a promotion waits, if it asks.",
            section="Promotion",
        ),
    }
