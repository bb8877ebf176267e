"""## Bring in languages that the corpus lacks, or do languages anew.

**What it does.** The task `preview` says how many clips and pages will be fetched, and about how long that
takes. Then the chosen languages are crawled, stored and augmented, and a network is trained on all languages
of the corpus. Or, by *What to do*, languages of the corpus are done anew without fetching a recording again:
augmented from the bucket after a change of the recipe, or read anew from the source's pages after a repair of
the parser; there, no language means all.

**What it costs.** A full crawl of each language that is brought in, at most one request a second.

**When a task is red.** Its log ends in one sentence that says what to do. Do that and clear the task: every
task goes on where it stopped. A language that failed does not stop the others. More is in docs/airflow.md.

Airflow's own backfill wants dates. They mean nothing here: a day of the year 2000 is a run.
`airflow backfill create --dag-id backfill_languages --from-date 2000-01-01 --to-date 2000-01-01
--dag-run-conf '{"languages": ["it", "pt"]}'`
"""

from __future__ import annotations

from datetime import timedelta

import chain
import form
import pendulum
from airflow.sdk import dag

# That of airflow.sdk is written in a form that Airflow 3.3.2 cannot read back.
from airflow.timetables.events import EventsTimetable

_FIRST_DAY = pendulum.datetime(2000, 1, 1)


@dag(
    # Airflow backfills what has a schedule. These days are over, so nothing ever starts by itself.
    schedule=EventsTimetable(
        [_FIRST_DAY + timedelta(days=day) for day in range(366)],
        description="By hand, or by a backfill",
    ),
    params={"work": form.work(), **form.params(languages=[])},
    default_args=chain.DEFAULT_ARGS,
    doc_md=__doc__,
    max_active_runs=1,
    catchup=False,
    tags=["langaudio"],
)
def backfill_languages() -> None:
    planned = chain.plan_backfill()
    chain.chain(planned, train_on_corpus=True, previewed=chain.preview(planned))


backfill_languages()
