"""Questions to an MLflow server by plain HTTP, without MLflow's client, which takes seconds to import."""

from __future__ import annotations

import base64
import http.client
import os
import urllib.error
import urllib.request

from langaudio.errors import LangaudioError, Unavailable

_TIMEOUT_S = 10.0


def get(uri: str, path: str) -> bytes | None:
    """Return what a server answers; None if it has nothing of the kind.

    Raises:
        LangaudioError: it wants to know who asks.
        Unavailable: it does not answer, or not as it should.
    """
    request = urllib.request.Request(f"{uri.rstrip('/')}/{path}", headers=_authorization())  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            content: bytes = response.read()
            return content
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise LangaudioError(
                f"MLflow at {uri} refuses to answer ({error.code}): set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            ) from None
        if error.code in (400, 404):
            return None
        reason = f"{error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:
        reason = str(getattr(error, "reason", error))
    raise Unavailable(
        f"MLflow at {uri} does not answer as it should ({reason}): is it running? Check "
        "LANGAUDIO_MLFLOW_URI, or start the local services with `make up`."
    )


def _authorization() -> dict[str, str]:
    """Return the header that MLflow's own client would send."""
    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        login = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {}
