"""The crawl stage: one language of one source into staging, by Scrapy in a child process.

Scrapy's reactor cannot be started twice in one process, so every crawl is a child of its own
(``langaudio.crawl.child``). The child writes to the bucket; what the parent learns from it is one JSON
document on its standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from langaudio import languages
from langaudio.crawl.sources import source_named
from langaudio.crawl.staging import Staging
from langaudio.errors import LangaudioError, Unavailable
from langaudio.store import Store, keys

_ERRORS = {"LangaudioError": LangaudioError, "Unavailable": Unavailable}


def crawl(
    store: Store, language: str, *, source: str = "audio_lingua", run: str, limit: int = 0
) -> dict[str, Any]:
    """Stage the clips of one language that the corpus does not have yet.

    A crawl whose ``_SUCCESS`` is there is done and is not repeated; one that was cut off goes on with the
    files that it had staged.

    Args:
        store: the bucket.
        language: the language's tag.
        source: a name of the registry in ``langaudio.crawl.sources``.
        run: the run's id; one staging folder per run.
        limit: stage none but the first ``limit`` clips of the list; 0 means all.

    Returns:
        The counts that ``stats.json`` keeps.

    Raises:
        LangaudioError: unknown language or source, a refusal by the site, or a page we cannot read.
        Unavailable: the site or the bucket does not answer.
    """
    source_named(source)
    languages.section(language, source)
    if limit < 0:
        raise LangaudioError(f"The limit of clips is {limit}; use 0 for all, or a number above.")
    staging = Staging(store, source, keys.run_id(run), language)
    if not staging.complete():
        _run_child({"language": language, "source": source, "run": staging.run, "limit": limit})
    return staging.stats()


def _run_child(job: dict[str, Any]) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "langaudio.crawl.child"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        return
    try:
        failure = json.loads(child.stdout)
        error = _ERRORS[failure["error"]](failure["message"])
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"the crawl's process ended with {child.returncode}: see its log above") from None
    raise error
