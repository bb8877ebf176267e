"""Who asks, what they may, and what a browser is allowed to do with an answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from langaudio.settings import settings

POLICY = "Content-Security-Policy"


def content_security_policy(styles: str = "'self'") -> str:
    """Return what a page may load: nothing that was not served from here, and no script that stands in it.

    Args:
        styles: where styles may come from.
    """
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": styles,
        "img-src": "'self' data:",
        "media-src": "'self' blob:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {allowed}" for name, allowed in rules.items())


_HEADERS = {
    POLICY: content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_FORM_BYTES = 2**16  # of a form, around the file in it


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in.

    Attributes:
        name: for people.
        may_run: whether they may start the pipeline, and so choose the champion.
    """

    name: str
    may_run: bool = False


def person() -> Person:
    """Stand for the dependency that says who asks; ``create_app`` puts the caller's in its place."""
    raise RuntimeError("the application was not told how to find out who asks")


PersonDep = Annotated[Person, Depends(person)]


def somebody_who_may_run(asking: PersonDep) -> Person:
    """Refuse whoever may not start the pipeline."""
    if not asking.may_run:
        raise HTTPException(
            403,
            "You may look, but not choose the champion: it takes the right to run language_audio.",
        )
    return asking


RunnerDep = Annotated[Person, Depends(somebody_who_may_run)]


class Guard:
    """Adds the headers of security, and refuses what another site makes a browser send.

    A browser sends the login's cookie with every request, also with one that another site's page makes it
    send; but it says where that page is from. A request with an Authorization header comes from no such page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["method"] not in _SAFE and not _is_from_here(Headers(scope=scope)):
            refusal = JSONResponse(
                {"detail": "This request comes from another site: send it from these pages, or by token."},
                403,
            )
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, _limited(scope, receive), send_with_headers)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Let no more of a body in than is allowed: it would be written to a disk before anybody looks at it."""
    most = settings().max_upload_mib * 2**20 + _FORM_BYTES
    told = Headers(scope=scope).get("content-length", "0")
    received = int(told) if told.isdigit() and int(told) > most else 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, f"It is too large: at most {settings().max_upload_mib:g} MiB are taken.")
        return message

    return receive_limited


def _is_from_here(headers: Headers) -> bool:
    if headers.get("authorization"):
        return True
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers that do not tell the one tell the other; what tells neither is no browser, and has a token.
    return bool(origins := headers.getlist("origin")) and _hosts(origins) == {headers.get("host", "")}


def _hosts(origins: Iterable[str]) -> set[str]:
    return {urlsplit(origin).netloc for origin in origins}
