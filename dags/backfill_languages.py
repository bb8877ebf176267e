"""## Bring in languages that the corpus lacks.

Crawls, stores and augments the chosen languages, then trains anew on all languages of the corpus.

**What it costs.** A full crawl of each chosen language: at most one request a second.

**When a task is red.** Its log ends in one sentence that says what to do. Fix that and clear the task: every
task goes on where it stopped.
"""

from __future__ import annotations

import chain
from airflow.sdk import dag


@dag(
    schedule=None,
    params=chain.params(languages=[]),
    default_args=chain.DEFAULT_ARGS,
    doc_md=__doc__,
    max_active_runs=1,
    tags=["langaudio"],
)
def backfill_languages() -> None:
    chain.chain(chain.plan_lacking(), train_on_corpus=True)


backfill_languages()
