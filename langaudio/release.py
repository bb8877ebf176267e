"""A person's decision that a clip which was withdrawn belongs to the corpus after all."""

from __future__ import annotations

import json
import logging

from langaudio import catalog
from langaudio.errors import LangaudioError
from langaudio.examine import Reason
from langaudio.languages import get
from langaudio.store import MissingObject, Store, keys

log = logging.getLogger(__name__)

RELEASABLE = (Reason.TWO_LANGUAGES, Reason.RELABELLED)
"""Reasons that are about a clip's language. With any other a clip was never published, or is not there."""


def release(store: Store, language: str, clip_id: str) -> None:
    """Put a clip back into the catalog of a language; in others it stays in quarantine.

    Raises:
        LangaudioError: the clip is not in quarantine there, or for a reason that no decision takes away; or
            it stands in the catalog of another language.
    """
    where = f"{get(language).name} ({language})"
    key = keys.quarantine(language, clip_id, "json")
    try:
        reason = json.loads(store.get(key))["reason"]
    except MissingObject:
        raise LangaudioError(
            f"{clip_id!r} is not in quarantine of {where}: `langaudio quarantine {language}` lists what is."
        ) from None
    if reason not in RELEASABLE:
        raise LangaudioError(
            f"{clip_id} is in quarantine of {where} as {reason}, and only {' and '.join(RELEASABLE)} are "
            "for a person to decide: what is wrong with a file is mended at its source."
        )
    for other in catalog.languages(store):
        if other != language and catalog.read(store, other, ["clip_id"], clip_ids=[clip_id]).num_rows:
            raise LangaudioError(
                f"{clip_id} stands in the catalog as {get(other).name} ({other}): a clip has one language."
            )
    rows = catalog.read(store, language, ["format"], clip_ids=[clip_id], with_refused=True).to_pylist()
    if not rows:
        raise LangaudioError(f"{clip_id} has no row in the catalog of {where}: crawl it again with --full.")
    store.delete(key)
    store.delete(keys.quarantine(language, clip_id, rows[0]["format"]))
    log.info("%s: %s is released from quarantine, where it was as %s", language, clip_id, reason)
