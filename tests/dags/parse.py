"""Parse the DAG folder with database and network shut; print what the DAGs are, as JSON.

Run as a script: what a DAG file imports must not be hidden by what the tests have imported.
"""

import json
import socket
import sys
import traceback
from pathlib import Path

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk.execution_time import context
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction
from sqlalchemy import Engine, event

HEAVY = ("torch", "torchaudio", "lightning", "scrapy", "mlflow", "boto3", "pyarrow", "onnxruntime")


reached: list[str] = []


def shut(*_: object, **__: object) -> None:
    # Noted as well as raised: Airflow's search for variables and connections swallows what is raised.
    calls = traceback.extract_stack()[:-1]
    reached.append(
        next((call.filename for call in calls if sys.argv[1] in call.filename), calls[-1].filename)
    )
    raise RuntimeError("a DAG file reached for the database or the network while it was parsed")


def next_run(dag: object) -> str | None:
    """Return when the scheduler would start the DAG by itself, as it reads it; None if never."""
    read = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    info = read.timetable.next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(earliest=None, latest=None, catchup=read.catchup),
    )
    return info and info.run_after.isoformat()


def main() -> None:
    loaded_before = set(sys.modules)
    socket.socket.connect = shut  # type: ignore[method-assign,assignment]
    event.listen(Engine, "do_connect", shut)
    # What the SDK asks Airflow's API for goes through the process that parses, which is not there in tests.
    context._get_variable = shut  # type: ignore[assignment]
    context._get_connection = shut  # type: ignore[assignment]

    folder = Path(sys.argv[1])
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="tests", safe_mode=False)
    described = {
        dag.dag_id: {
            "file": Path(dag.fileloc).name,
            "doc": dag.doc_md,
            "tags": sorted(dag.tags),
            "params": {
                name: dag.params.get_param(name).schema
                | {"description": dag.params.get_param(name).description}
                for name in dag.params
            },
            "defaults": {name: dag.params[name] for name in dag.params},
            "schedule": getattr(dag.timetable, "expression", None),
            "next": next_run(dag),
            "catchup": dag.catchup,
            "max_active_runs": dag.max_active_runs,
            "tasks": {
                task.task_id: {
                    "owner": task.owner,
                    "retries": task.retries,
                    "pool": task.pool,
                    "upstream": sorted(task.upstream_task_ids),
                    "doc": task.doc or task.doc_md or (task.python_callable.__doc__ or ""),
                    "trigger_rule": task.trigger_rule.value,
                    "timeout_s": task.execution_timeout and task.execution_timeout.total_seconds(),
                    "backoff": task.retry_exponential_backoff,
                    "outlets": [outlet.name for outlet in task.outlets],
                }
                for task in dag.tasks
            },
            "serialized": bool(DagSerialization.to_dict(dag)),
        }
        for dag in bag.dags.values()
    }
    heavy = sorted(name for name in HEAVY if name in set(sys.modules) - loaded_before)
    print(json.dumps({"dags": described, "errors": bag.import_errors, "reached": reached, "heavy": heavy}))


if __name__ == "__main__":
    main()
