"""## The whole chain, by hand.

**What it does.** It crawls the chosen languages, stores and augments their clips, trains a network on all of
them, scores it, and puts it to work if it is better than the present one, or if you say so: tick *Ask before
promoting*. The last task, `report`, says what came of it.

**What it costs.** A crawl asks a site at most once a second, so 1,000 clips take about half an hour. What
the corpus already has is not fetched again. Training takes minutes on a laptop.

**When a task is red.** Its log ends in one sentence that says what to do. Do that and clear the task: every
task goes on where it stopped. A language that failed does not stop the others, and makes `report` red, so
that the run does not look whole. More is in docs/airflow.md.
"""

from __future__ import annotations

import chain
import form
from airflow.sdk import dag


@dag(
    schedule=None,
    params=form.params(),
    default_args=chain.DEFAULT_ARGS,
    doc_md=__doc__,
    max_active_runs=1,
    tags=["langaudio"],
)
def language_audio() -> None:
    chain.chain(chain.plan())


language_audio()
