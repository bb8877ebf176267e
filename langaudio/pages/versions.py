"""The page Models: versions with their scores; and which of them is the champion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from langaudio.pages.access import POLICY, PersonDep, RunnerDep, content_security_policy
from langaudio.pages.models import ModelDetails, ModelVersion, known
from langaudio.pages.parts import ModelsDep
from langaudio.pages.rendering import render

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=10**9, description="Number of a version.")]


@dataclass(frozen=True)
class Chosen:
    """What was done."""

    told: str


@router.get("/models", include_in_schema=False)
def models_page(
    request: Request,
    asking: PersonDep,
    models: ModelsDep,
    chosen: Annotated[int | None, Query(ge=1)] = None,
) -> HTMLResponse:
    """All versions."""
    versions = models.versions()
    return render(
        request,
        "models.html",
        asking=asking,
        versions=versions,
        champion=known(versions),
        before=_before(versions),
        chosen=chosen,
    )


@router.get("/models/{number}", include_in_schema=False)
def model_page(request: Request, asking: PersonDep, models: ModelsDep, number: Number) -> HTMLResponse:
    """One version."""
    details = models.details(number)
    codes = [one.code for one in details.per_language]
    page = render(
        request,
        "model.html",
        asking=asking,
        model=details,
        version=details.version,
        confusion={"languages": codes, "counts": details.confusion_matrix},
        reliability=[[one.confidence, one.accuracy, one.clips] for one in details.reliability],
    )
    # Plotly gives its drawings styles by attributes.
    page.headers[POLICY] = content_security_policy("'self' 'unsafe-inline'")
    return page


@router.get("/models/{number}/champion", include_in_schema=False)
def champion_page(request: Request, asking: RunnerDep, models: ModelsDep, number: Number) -> HTMLResponse:
    """The question before a version is made champion."""
    versions = models.versions()
    return render(
        request,
        "champion.html",
        asking=asking,
        version=models.details(number).version,
        champion=known(versions),
    )


@router.post("/models/{number}/champion", include_in_schema=False)
def choose(asking: RunnerDep, models: ModelsDep, number: Number) -> RedirectResponse:
    """Make a version champion, and show all."""
    models.crown(number)
    return RedirectResponse(f"../../models?chosen={number}", 303)


@router.get("/api/models", tags=["models"])
def list_models(models: ModelsDep) -> list[ModelVersion]:
    """All versions, the newest first."""
    return models.versions()


@router.get("/api/models/{number}", tags=["models"])
def get_model(models: ModelsDep, number: Number) -> ModelDetails:
    """One version: scores, curves, confusion matrix, reliability, model card."""
    return models.details(number)


@router.post("/api/models/{number}/champion", tags=["models"])
def make_champion(asking: RunnerDep, models: ModelsDep, number: Number) -> Chosen:
    """Make a version champion. It takes the right to run the DAG language_audio."""
    models.details(number)
    return Chosen(models.crown(number))


@router.post("/api/rollback", tags=["models"])
def roll_back(asking: RunnerDep, models: ModelsDep) -> Chosen:
    """Make the last champion before the present one champion again. It takes the right to run the DAG."""
    return Chosen(models.crown(None))


def _before(versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """Return the version that a roll back leads to."""
    champion = known(versions)
    earlier = [
        one
        for one in versions
        if champion and one.number < champion.number and one.was_champion_since and not one.forgotten
    ]
    return max(earlier, key=lambda one: one.number, default=None)
