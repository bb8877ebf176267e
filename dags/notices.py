"""Telling people: a line in the log always, and by any Airflow notifier if the settings name one."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from langaudio.errors import LangaudioError
from langaudio.settings import settings

log = logging.getLogger(__name__)


def tell(message: str, context: Any, *, trouble: bool) -> None:
    """Log a message and send it to whoever wants to know.

    Args:
        message: the notifier's arguments say where it stands, as ``{{ message }}``.
        context: Airflow's, for the templates among these arguments.
        trouble: whether a person should look.

    Raises:
        LangaudioError: LANGAUDIO_NOTIFIER names what is no notifier, or it does not take its arguments.
    """
    log.log(logging.WARNING if trouble else logging.INFO, "%s", message)
    if settings().notifier and (trouble or settings().notify_when == "always"):
        _notifier()({**context, "message": message})


def night_is_late(context: dict[str, Any]) -> None:
    """Tell that a night is not over at its deadline. Airflow's executor calls this."""
    run = context["dag_run"]
    message = (
        f"{run['dag_id']}, run {run['dag_run_id']}: still {run['state']} after "
        f"{settings().night_deadline_hours:g} hours (LANGAUDIO_NIGHT_DEADLINE_HOURS). It goes on; its grid "
        "shows which task takes long."
    )
    tell(message, context, trouble=True)


def _notifier() -> Any:
    path, arguments = settings().notifier, settings().notifier_args
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise LangaudioError(
            f"LANGAUDIO_NOTIFIER={path!r} with LANGAUDIO_NOTIFIER_ARGS cannot be made: {error}. Give the "
            "dotted path of a notifier of an installed provider, and its arguments as JSON."
        ) from error
