"""Pages from templates. Whatever was crawled or uploaded is text in them: everything is escaped."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from langaudio import languages


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a page.

    Every address in it is relative to the page, so that it holds wherever the application is mounted and
    whatever a proxy puts before it.
    """
    # Mounted, Starlette leaves the whole path in the scope; what is ours begins after the root path.
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    root = "../" * (path.count("/") - 1) or "./"
    page = (
        _environment()
        .get_template(template)
        .render(root=root, airflow=f"{root}../", path=path, request=request, status=status, **context)
    )
    return HTMLResponse(page, status)


def language_name(code: str) -> str:
    """Return a language's English name; of one that the registry lacks, its tag."""
    known = languages.LANGUAGES.get(code)
    return known.name if known else code


def with_query(request: Request, **changes: object) -> str:
    """Return the query of a request with some values changed; None takes one out.

    >>> from starlette.requests import Request
    >>> asked = Request({"type": "http", "query_string": b"q=a+b&page=2"})
    >>> with_query(asked, page=None, sort="title")
    '?q=a+b&sort=title'
    """
    values = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    values += [(name, str(value)) for name, value in changes.items() if value not in (None, "")]
    return "?" + urlencode(values)


def duration(seconds: float | None) -> str:
    """Write a duration as people read it.

    >>> [duration(seconds) for seconds in (3.14, 75, 3675, None)]
    ['3.1 s', '1:15', '1:01:15', '–']
    """
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def amount(seconds: float) -> str:
    """Write how much speech there is.

    >>> [amount(seconds) for seconds in (0, 90, 7_200, 3_600_000)]
    ['0 min', '1.5 min', '120 min', '60,000 min']
    """
    minutes = seconds / 60
    return f"{minutes:,.1f} min" if 0 < minutes < 100 else f"{minutes:,.0f} min"


def ago(time: datetime | None, now: datetime | None = None) -> str:
    """Write how long ago something was.

    >>> from datetime import timedelta
    >>> now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    >>> [ago(now - timedelta(seconds=s), now) for s in (5, 60, 3600, 7200, 86400 * 3)]
    ['just now', '1 minute ago', '1 hour ago', '2 hours ago', '3 days ago']
    """
    if time is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - time).total_seconds()
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if (number := int(seconds // unit)) >= 1:
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"


def _when(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "never"


def _iso(time: datetime | None) -> str:
    return time.isoformat(timespec="seconds") if time else ""


def _share(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _web(url: str | None) -> str | None:
    """Return an address that may be a link: what was crawled could name a script."""
    return url if url and url.startswith(("http://", "https://")) else None


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("langaudio.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ago": ago,
        "amount": amount,
        "count": _count,
        "duration": duration,
        "iso": _iso,
        "language": language_name,
        "segment": lambda text: quote(str(text), safe=""),
        "share": _share,
        "web": _web,
        "when": _when,
    }
    environment.globals |= {"with_query": with_query}
    return environment
