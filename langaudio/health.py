"""Tell whether a service is well: what docker-compose.yaml asks each container for.

    python -m langaudio.health http URL                 a server answers, with no error of its own
    python -m langaudio.health airflow COMPONENT URL    Airflow's API has lately heard of a component
    python -m langaudio.health worker QUEUE             this machine's Celery worker of a queue answers

Exit status 1, and a sentence on standard error, if it is not. It is asked all day, so it imports little, and
nothing of Airflow.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable

from langaudio.errors import LangaudioError, Unavailable

_TIMEOUT_S = 10.0


def http(url: str) -> None:
    """Raise Unavailable unless a server answers."""
    _get(url)


def airflow(component: str, url: str) -> None:
    """Raise Unavailable unless Airflow says that a component is healthy.

    Args:
        component: ``metadatabase``, ``scheduler``, ``dag_processor`` or ``triggerer``.
        url: the API server's.
    """
    told = json.loads(_get(f"{url.rstrip('/')}/api/v2/monitor/health"))
    status = told.get(component, {}).get("status")
    if status != "healthy":
        raise Unavailable(f"Airflow at {url} says of its {component}: {status}.")


def worker(queue: str) -> None:
    """Raise Unavailable unless this machine's worker of a queue answers over the broker."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    name = f"{queue}@{socket.gethostname()}"
    with Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]) as celery:
        try:
            answers = celery.control.ping(destination=[name], timeout=_TIMEOUT_S)
        except OperationalError as error:
            raise Unavailable(f"The broker does not answer: {error}.") from error
    if not answers:
        raise Unavailable(f"The worker {name} does not answer.")


_CHECKS: dict[str, Callable[..., None]] = {"http": http, "airflow": airflow, "worker": worker}


def main(arguments: list[str]) -> int:
    try:
        _CHECKS[arguments[0]](*arguments[1:])
    except LangaudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - an address of the deployment
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        # An S3 server that asks for keys is well.
        if error.code < 500:
            return b"{}"
        raise Unavailable(f"{url} answers {error.code}.") from error
    except OSError as error:
        raise Unavailable(f"{url} does not answer: {error}.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
