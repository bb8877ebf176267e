"""## The whole chain, by hand.

Crawls the chosen languages, stores and augments their clips, trains a network on all of them, scores it,
and puts it to work if it is better than the present one.

**What it costs.** A crawl asks a site at most once a second, so 1,000 clips take about half an hour. What
the corpus already has is not fetched again. Training takes minutes on a laptop.

**When a task is red.** Its log ends in one sentence that says what to do. Fix that and clear the task: every
task goes on where it stopped. A language that failed does not stop the others.
"""

from __future__ import annotations

import chain
from airflow.sdk import dag


@dag(
    schedule=None,
    params=chain.params(),
    default_args=chain.DEFAULT_ARGS,
    doc_md=__doc__,
    max_active_runs=1,
    tags=["langaudio"],
)
def language_audio() -> None:
    chain.chain(chain.plan())


language_audio()
