"""The page Identify: a recording is uploaded or spoken, and its language named. Nothing of it is kept."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse

from langaudio.errors import LangaudioError
from langaudio.pages import tasks
from langaudio.pages.access import PersonDep
from langaudio.pages.parts import WorkersDep
from langaudio.pages.rendering import render
from langaudio.settings import settings
from langaudio.workers import Workers

router = APIRouter()

Recording = Annotated[UploadFile, File(description="MP3, FLAC, Ogg, Opus or WAV.")]
Among = Annotated[
    list[str], Form(max_length=200, description="Tags of the languages that it may be in; all if none.")
]

_ONE_SPAN_S = 20.0
"""A shorter recording in one language has no timeline to speak of."""


@dataclass(frozen=True)
class Answer:
    """The language of a recording.

    Attributes:
        outcome: ``language``, ``unknown`` or ``no speech``.
        language: the likeliest language; None if it is unknown or nobody speaks.
        probabilities: of each language, the likeliest first.
        speech_s: seconds of speech that the answer rests on.
        version: of the model; None if LANGAUDIO_MODEL names a file.
    """

    outcome: Literal["language", "unknown", "no speech"]
    language: str | None
    probabilities: dict[str, float]
    speech_s: float
    version: int | None


@dataclass(frozen=True)
class SpanOfSpeech:
    """A stretch in one language, in seconds from the beginning; None if it is unknown."""

    begin_s: float
    end_s: float
    language: str | None
    probability: float
    speech_s: float


@dataclass(frozen=True)
class Identified:
    """The language of a recording, and which languages are spoken when."""

    answer: Answer
    duration_s: float
    spans: list[SpanOfSpeech]


@router.get("/identify", include_in_schema=False)
def identify_page(request: Request, asking: PersonDep) -> HTMLResponse:
    """The form."""
    return _page(request, asking, None, "", "")


@router.post("/identify", include_in_schema=False)
def identify_upload(
    request: Request, asking: PersonDep, workers: WorkersDep, recording: Recording
) -> HTMLResponse:
    """The form, with the answer."""
    name = recording.filename or "the recording"
    try:
        return _page(request, asking, _identified(workers, recording, []), name, "")
    except LangaudioError as error:
        return _page(request, asking, None, name, str(error))


@router.post("/api/identify", tags=["identify"])
def identify(workers: WorkersDep, recording: Recording, among: Among = []) -> Identified:  # noqa: B006
    """Name the language of a recording. It is not kept."""
    return _identified(workers, recording, among)


def _identified(workers: Workers, recording: UploadFile, among: list[str]) -> Identified:
    if not recording.size:
        raise HTTPException(422, "The file is empty: choose a recording.")
    with tempfile.TemporaryDirectory(prefix="langaudio-") as folder:
        path = Path(folder) / "recording"
        with path.open("wb") as file:
            shutil.copyfileobj(recording.file, file)
        found = workers.call(tasks.identified, str(path), among, timeout_s=settings().max_upload_s)
    timeline = found["timeline"]
    spans = [SpanOfSpeech(**span) for span in timeline["spans"]]
    return Identified(Answer(**found["answer"]), timeline["duration_s"], spans)


def _page(
    request: Request, asking: PersonDep, found: Identified | None, name: str, trouble: str
) -> HTMLResponse:
    worth_a_timeline = found and (found.duration_s >= _ONE_SPAN_S or len(found.spans) > 1)
    return render(
        request,
        "identify.html",
        status=422 if trouble else 200,
        asking=asking,
        found=found,
        name=name,
        trouble=trouble,
        timeline=found if worth_a_timeline else None,
        max_mib=settings().max_upload_mib,
        max_s=settings().max_upload_s,
    )
