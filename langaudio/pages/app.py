"""The application: its pages, its JSON API, and what is shown when something goes wrong."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from langaudio import __version__
from langaudio.errors import LangaudioError, Unavailable
from langaudio.pages import assets, augmentation, identify, language, overview, versions
from langaudio.pages.access import Guard, Person, person
from langaudio.pages.errors import NotThere
from langaudio.pages.parts import Parts
from langaudio.pages.rendering import render

log = logging.getLogger(__name__)

ROUTERS = (
    overview.router,
    language.router,
    augmentation.router,
    versions.router,
    identify.router,
    assets.router,
)


def create_app(who: Callable[..., Person | Any], parts: Parts | None = None) -> FastAPI:
    """Return the application.

    Args:
        who: a FastAPI dependency that returns who asks, or refuses them; it is asked before anything is
            answered, pictures and scripts included.
        parts: caches and child processes; its own if None.
    """
    parts = parts or Parts()
    app = FastAPI(
        title="langaudio",
        version=__version__,
        description="The corpus and its models: what the Languages pages show.",
        # They would be served to anybody, and fetch scripts from another host.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=parts.lifespan,
    )
    app.state.parts = parts
    app.dependency_overrides[person] = who
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(person)])
    app.add_api_route("/{path:path}", _nothing, include_in_schema=False, dependencies=[Depends(person)])
    app.add_middleware(Guard)
    app.add_exception_handler(StarletteHTTPException, _refusal)
    app.add_exception_handler(RequestValidationError, _wrong)
    app.add_exception_handler(LangaudioError, _failure)
    return app


def _nothing(path: str) -> Response:
    raise HTTPException(404, f"There is no page {path!r}.")


def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return _told(request, error.status_code, str(error.detail))


def _wrong(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    sentences = (f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors())
    return _told(request, 422, "; ".join(sentences) + ".")


def _failure(request: Request, error: Exception) -> Response:
    status = 503 if isinstance(error, Unavailable) else 404 if isinstance(error, NotThere) else 422
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return _told(request, status, str(error))


def _told(request: Request, status: int, detail: str) -> Response:
    """Answer as was asked: programs get JSON, people a page."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": detail}, status)
    return render(request, "error.html", status=status, detail=detail)
