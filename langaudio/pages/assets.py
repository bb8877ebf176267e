"""Scripts and styles, ours and those of installed packages; and the description of the JSON API."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from langaudio import __version__
from langaudio.pages.access import PersonDep
from langaudio.pages.rendering import render

router = APIRouter()

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# Package and path of what others have made.
_PACKAGED = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "swagger-ui.css": ("swagger_ui", "static/swagger-ui.css"),
    "swagger-ui-bundle.js": ("swagger_ui", "static/swagger-ui-bundle.js"),
}


@router.get("/assets/{name}", include_in_schema=False)
def asset(name: str) -> FileResponse:
    """A script, a style or a symbol."""
    path = _assets().get(name)
    if path is None:
        raise HTTPException(404, f"There is no file {name!r}.")
    return FileResponse(
        path, media_type=_TYPES[path.suffix], headers={"Cache-Control": "private, max-age=600"}
    )


@router.get("/api/openapi.json", include_in_schema=False)
def openapi(request: Request) -> JSONResponse:
    """The description of the JSON API."""
    description: dict[str, Any] = get_openapi(
        title="langaudio",
        version=__version__,
        description=request.app.description,
        routes=request.app.routes,
        # Relative to this document, so that it holds wherever the application is mounted.
        servers=[{"url": ".."}],
    )
    return JSONResponse(description)


@router.get("/api/docs", include_in_schema=False)
def docs(request: Request, asking: PersonDep) -> HTMLResponse:
    """The JSON API, to read and to try."""
    return render(request, "docs.html", asking=asking)


@lru_cache(maxsize=1)
def _assets() -> dict[str, Path]:
    ours = Path(str(resources.files("langaudio.pages").joinpath("static")))
    packaged = {name: _folder(package) / path for name, (package, path) in _PACKAGED.items()}
    return {file.name: file for file in ours.iterdir()} | packaged


def _folder(package: str) -> Path:
    """Return where a package lies, without importing it."""
    spec = find_spec(package)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent
