"""## The whole chain, every night.

**What it does.** It looks for new clips of all known languages, stores and augments them, and trains anew if
enough has changed. Schedule, time zone, languages, source and what is enough are settings (LANGAUDIO_NIGHT_…,
docs/settings.md). Nights never overlap, and one that was missed is not caught up.

**What it costs.** Three requests a language if nothing is new; nothing is trained then, and `report` says
*Nothing new*. One full walk of each list a week.

**When a task is red.** Its log ends in one sentence that says what to do, and `report` has all of them. A
language that failed left the others as they are. The next night tries again by itself, so nothing has to be
done at night; more is in docs/airflow.md.
"""

from __future__ import annotations

from datetime import timedelta

import chain
import form
import notices
from airflow.sdk import CronTriggerTimetable, dag
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from langaudio.settings import settings

_night = settings()


@dag(
    # A night that was missed is not caught up. Without the zero, switching the DAG on runs the last one, if
    # that was less than a tenth of a day ago.
    schedule=CronTriggerTimetable(
        _night.night_schedule, timezone=_night.night_timezone, run_immediately=timedelta(0)
    )
    if _night.night_schedule
    else None,
    params=form.params(
        **{
            "languages": _night.night_languages,
            "source": _night.night_source,
            "min_change_percent": _night.night_min_change_percent,
            **_night.night_form,
        }
    ),
    default_args=chain.DEFAULT_ARGS,
    doc_md=__doc__,
    max_active_runs=1,
    catchup=False,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=_night.night_deadline_hours),
        callback=SyncCallback(notices.night_is_late),
    ),
    tags=["langaudio"],
)
def nightly_recrawl() -> None:
    chain.chain(chain.plan_known())


nightly_recrawl()
