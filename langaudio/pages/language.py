"""The pages of one language: its clips, its quarantine, its crawls; and one clip to hear and to see."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from langaudio.crawl import journal
from langaudio.crawl.journal import Crawl
from langaudio.errors import LangaudioError
from langaudio.pages import clips, tasks
from langaudio.pages.access import PersonDep
from langaudio.pages.clips import CLIP_ID, Clip, ClipPage, RefusalPage, Sort, Sound, Split, Wanted
from langaudio.pages.corpus import Corpus
from langaudio.pages.parts import CorpusDep, ModelsDep, PicturesDep
from langaudio.pages.pictures import Pictures
from langaudio.pages.rendering import render
from langaudio.store import default_store

router = APIRouter()

Tag = Annotated[str, Path(pattern="^[a-z]{2,3}$", description="BCP-47 tag of a language.")]
ClipId = Annotated[str, Path(pattern=CLIP_ID, description="Id of a clip.")]
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Number of the page, from 1.")]
PerPage = Annotated[int, Query(ge=1, le=100, description="How many on a page.")]
Text = Annotated[
    str, Query(max_length=200, description="Part of the title or of the page's address; or the id.")
]
Name = Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_.-]*$")]
Gone = Annotated[Literal["", "true", "false"], Query(description="Whether the source has lost it.")]
MaybeSplit = Annotated[Split | Literal[""], Query(description="Side of the split.")]

# A clip's bytes never change under its id; but it may be removed.
_MAY_KEEP = {"Cache-Control": "private, max-age=300"}


def wanted(
    q: Text = "",
    split: MaybeSplit = "",
    source: Name = "",
    speaker: Name = "",
    gone: Gone = "",
    sort: Sort = "-first_seen",
) -> Wanted:
    """Return what a query asks for."""
    return Wanted(q, split or None, source, speaker, {"true": True, "false": False}.get(gone), sort)


WantedDep = Annotated[Wanted, Depends(wanted)]


@router.get("/language/{language}", include_in_schema=False)
def language_page(
    request: Request,
    asking: PersonDep,
    corpus: CorpusDep,
    models: ModelsDep,
    language: Tag,
    asked: WantedDep,
    page: Page = 1,
    per_page: PerPage = 25,
) -> HTMLResponse:
    """A language and its clips."""
    return render(
        request,
        "language.html",
        asking=asking,
        tab="clips",
        summary=corpus.summary(language),
        recall=_recall(models, language),
        sources=corpus.sources(language),
        found=corpus.find(language, asked, page, per_page),
        asked=asked,
        per_page=per_page,
    )


@router.get("/language/{language}/quarantine", include_in_schema=False)
def quarantine_page(
    request: Request,
    asking: PersonDep,
    corpus: CorpusDep,
    models: ModelsDep,
    language: Tag,
    reason: Name = "",
    page: Page = 1,
    per_page: PerPage = 50,
) -> HTMLResponse:
    """What was refused of a language, and why."""
    return render(
        request,
        "quarantine.html",
        asking=asking,
        tab="quarantine",
        summary=corpus.summary(language),
        recall=_recall(models, language),
        found=corpus.refused(language, reason, page, per_page),
        reason=reason,
    )


@router.get("/language/{language}/crawls", include_in_schema=False)
def crawls_page(
    request: Request, asking: PersonDep, corpus: CorpusDep, models: ModelsDep, language: Tag
) -> HTMLResponse:
    """The crawls of a language."""
    summary = corpus.summary(language)
    return render(
        request,
        "crawls.html",
        asking=asking,
        tab="crawls",
        summary=summary,
        recall=_recall(models, language),
        crawls=journal.read(default_store(), language),
    )


@router.get("/language/{language}/clip/{clip_id}", include_in_schema=False)
def clip_page(
    request: Request, asking: PersonDep, corpus: CorpusDep, language: Tag, clip_id: ClipId
) -> HTMLResponse:
    """A clip."""
    return render(request, "clip.html", asking=asking, clip=corpus.clip(language, clip_id))


@router.get("/api/languages/{language}/clips", tags=["corpus"])
def list_clips(
    corpus: CorpusDep,
    language: Tag,
    asked: WantedDep,
    page: Page = 1,
    per_page: PerPage = 25,
) -> ClipPage:
    """The clips of a language, page by page."""
    return corpus.find(language, asked, page, per_page)


@router.get("/api/languages/{language}/clips/{clip_id}", tags=["corpus"])
def get_clip(corpus: CorpusDep, language: Tag, clip_id: ClipId) -> Clip:
    """One clip."""
    return corpus.clip(language, clip_id)


@router.get(
    "/api/languages/{language}/clips/{clip_id}/audio",
    tags=["corpus"],
    response_class=StreamingResponse,
    responses={200: {"content": {"audio/*": {}}}, 206: {"description": "A part of the file."}},
)
def get_audio(
    corpus: CorpusDep,
    pictures: PicturesDep,
    language: Tag,
    clip_id: ClipId,
    byte_range: Annotated[str | None, Header(alias="Range", max_length=200)] = None,
) -> Response:
    """The recording of a clip, published or in quarantine, as it was crawled; ranges are served."""
    store = default_store()
    found = sound_of(corpus, pictures, language, clip_id)
    headers = {**_MAY_KEEP, "Accept-Ranges": "bytes", "Content-Disposition": "inline"}
    try:
        part = clips.wanted_range(byte_range, found.size)
    except ValueError:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{found.size}"})
    begin, end = part or (0, found.size)
    headers["Content-Length"] = str(end - begin)
    if part:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{found.size}"
    return StreamingResponse(
        clips.pieces(store, found, begin, end),
        status_code=206 if part else 200,
        media_type=found.media_type,
        headers=headers,
    )


@router.get(
    "/api/languages/{language}/clips/{clip_id}/picture.png",
    tags=["corpus"],
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def get_picture(corpus: CorpusDep, pictures: PicturesDep, language: Tag, clip_id: ClipId) -> Response:
    """Waveform and log-mel of a clip, published or in quarantine."""
    found = sound_of(corpus, pictures, language, clip_id)
    picture = pictures.get(found.key, lambda workers: workers.call(tasks.clip_picture, found.key))
    return Response(picture, media_type="image/png", headers=_MAY_KEEP)


@router.get("/api/languages/{language}/quarantine", tags=["corpus"])
def list_quarantine(
    corpus: CorpusDep, language: Tag, reason: Name = "", page: Page = 1, per_page: PerPage = 50
) -> RefusalPage:
    """What was refused of a language, and why."""
    return corpus.refused(language, reason, page, per_page)


@router.get("/api/languages/{language}/crawls", tags=["corpus"])
def list_crawls(language: Tag) -> list[Crawl]:
    """The last crawls of a language, the newest first."""
    clips.named(language)
    return journal.read(default_store(), language)


def sound_of(corpus: Corpus, pictures: Pictures, language: str, clip_id: str) -> Sound:
    """Return a clip's file."""
    # A player asks for a file piece by piece.
    return pictures.get(("sound", language, clip_id), lambda _: corpus.sound(language, clip_id))


def _recall(models: ModelsDep, language: str) -> float | None:
    try:
        return models.recalls().get(language)
    except LangaudioError:
        # The page is about the corpus; the overview tells what ails the registry.
        return None
