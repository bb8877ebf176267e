"""docker-compose.yaml under trouble: whole runs while workers die and servers stop, then a backup restored.

Each round empties the corpus and runs ``language_audio`` anew on the services of docker-compose.yaml (as
plain processes, see tests/deploy/topology.py), with one thing going wrong in the middle. A round is right if
its run ends well, ``doctor --deep`` finds nothing, and the bucket has each clip and each copy that an
undisturbed run leaves, once.

    make soak                    all rounds, half an hour on two quiet cores
    ROUNDS=train,redis make soak some of them, in the place of what the results have of these
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soaking.deployment import Deployment, Fault

from langaudio import registry
from langaudio.demo.site import build_synthetic
from langaudio.services import env_file
from langaudio.settings import settings
from langaudio.store import default_store
from tests.deploy.topology import BIN, POSTGRES_BIN, Topology, until

RESULTS = Path(__file__).resolve().parent / "results"
LANGUAGES = ["de", "en", "fr"]
SPEAKERS, CLIPS = 6, 24
FORM = {"languages": LANGUAGES, "source": "demo", "copies": 8, "balance_minutes": 0, "epochs": 6}
VARIABLES = {
    "COMPOSE_PROFILES": "s3,train-cpu,demo",
    "AIRFLOW_API_WORKERS": "1",
    "MLFLOW_WORKERS": "1",
    "WORKER_CPU_CORES": "1",
    "AIRFLOW_HEARTBEAT_TIMEOUT_S": "30",
}
S3_AWAY_S = 30


_AUGMENTING = Deployment.augmenting
_CRAWLING = Deployment.crawling
_TRAINING = Deployment.training

FAULTS = {
    "crawl": Fault("SIGKILL of the worker that crawls", _CRAWLING, Deployment.kill, ("worker-crawl",)),
    "augment": Fault("SIGKILL of a worker that augments", _AUGMENTING, Deployment.kill_what_augments),
    "train": Fault("SIGKILL of the worker that trains", _TRAINING, Deployment.kill, ("worker-train",)),
    "redis": Fault("Redis restarted", _CRAWLING, Deployment.restart, ("redis",)),
    "postgres": Fault("PostgreSQL restarted", _TRAINING, Deployment.restart, ("postgres",)),
    "s3": Fault(f"S3 away for {S3_AWAY_S} s", _AUGMENTING, Deployment.restart, ("s3", S3_AWAY_S)),
    "scheduler": Fault("SIGKILL of the scheduler", _CRAWLING, Deployment.kill, ("airflow-scheduler",)),
    "api": Fault("SIGKILL of the API server", _TRAINING, Deployment.kill, ("airflow-api",)),
    "mlflow": Fault("SIGKILL of MLflow", _TRAINING, Deployment.kill, ("mlflow",)),
}


def main() -> None:
    chosen = [name for name in os.environ.get("ROUNDS", "").split(",") if name]
    file = RESULTS / "soak.json"
    rounds: dict[str, Any] = json.loads(file.read_text())["rounds"] if chosen and file.exists() else {}

    def keep(name: str, found: dict[str, Any]) -> None:
        """Write what is known so far: the whole takes long."""
        sys.stdout.write(f"{name}: {json.dumps(found)}\n")
        sys.stdout.flush()
        rounds[name] = found
        wrong = [one for one, result in rounds.items() if not result["right"]]
        result = {"headline": {"rounds": len(rounds), "wrong": wrong}, "rounds": rounds}
        file.write_text(json.dumps(result, indent=1) + "\n")
        file.with_suffix(".md").write_text(_table(rounds))

    with tempfile.TemporaryDirectory(prefix="langaudio-soak-") as folder:
        root = Path(folder)
        variables = (
            env_file.read(env_file.filled((env_file.PROJECT / ".env.example").read_text())) | VARIABLES
        )
        with Topology(root, variables) as topology:
            try:
                _soak(topology, chosen, keep)
            finally:
                _keep_logs(root)
    if wrong := [name for name, found in rounds.items() if not found["right"]]:
        sys.exit(f"Wrong: {', '.join(wrong)}")


def _soak(topology: Topology, chosen: list[str], keep: Callable[[str, dict[str, Any]], None]) -> None:
    _configure(topology)
    site = topology.folder("demo-site") / "site"
    build_synthetic(site, LANGUAGES, speakers=SPEAKERS, clips=CLIPS)
    topology.start_all()
    one = Deployment(topology, site, LANGUAGES, FORM)
    undisturbed = one.run("language_audio")
    content = one.content()

    def told(name: str, title: str, found: dict[str, Any]) -> None:
        found = {"title": title} | found | one.content()
        keep(name, found | {"right": _right(found, content)})

    told("undisturbed", "undisturbed", undisturbed)
    for name in chosen or (*FAULTS, *REST):
        if name in FAULTS:
            one.empty()
            told(name, FAULTS[name].title, one.run("language_audio", FAULTS[name]))
        else:
            title, do = REST[name]
            told(name, title, do(one))


def _right(found: dict[str, Any], undisturbed: dict[str, Any]) -> bool:
    as_it_was = {name: found[name] for name in undisturbed} == undisturbed
    # A fault that came when nothing ran any more shows nothing.
    in_time = bool(found.get("running", True))
    return as_it_was and in_time and found["state"] == "success" and not found["findings"]


def _night(one: Deployment) -> dict[str, Any]:
    found = one.run("nightly_recrawl", min_change_percent=1)
    assert found["tasks"].get("skipped"), "it trained although nothing was new"
    return found


def _two_at_once(one: Deployment) -> dict[str, Any]:
    """Start two DAGs on the same empty corpus: on each language both work, by different workers."""
    one.empty()
    one.airflow.wait_for_dag("backfill_languages")
    begin = time.monotonic()
    other = one.airflow.trigger("backfill_languages", FORM)
    found = one.run("language_audio")
    until(lambda: one.ended("backfill_languages", other), "the other run has ended", 1800)
    found["state_of_the_other"] = one.airflow.run("backfill_languages", other)["state"]
    found["state"] = "success" if found["state"] == found["state_of_the_other"] == "success" else "failed"
    return found | {"seconds": round(time.monotonic() - begin, 1)}


def _restored(one: Deployment) -> dict[str, Any]:
    """Save, wipe and restore as docs/operations.md says; compare answers, champion and runs."""
    topology, begin = one.services, time.monotonic()
    before = (one.answers(), registry.aliased(registry.CHAMPION), one.airflow.runs("language_audio"))
    saved = topology.root / "backup"
    saved.mkdir()
    for database in ("airflow", "mlflow"):
        _postgres(topology, "pg_dump", "--format=custom", f"--file={saved / database}.dump", database)
    _rclone(topology, "bucket:langaudio", str(saved / "bucket"))
    size = sum(file.stat().st_size for file in saved.rglob("*") if file.is_file())
    saved_s = time.monotonic() - begin

    for name in reversed(topology.running):
        topology.stop(name)
    for service in ("postgres", "redis", "s3"):
        shutil.rmtree(topology.folder(service))
    shutil.rmtree(topology.root / "person")
    _configure(topology)

    begin = time.monotonic()
    for service in ("postgres", "redis", "s3"):
        topology.start(service)
        topology.wait_until_well(service)
    topology.run("init")
    for database in ("airflow", "mlflow"):
        options = ("--clean", "--if-exists", "--exit-on-error", f"--role={database}", "--no-owner")
        _postgres(topology, "pg_restore", *options, f"--dbname={database}", f"{saved / database}.dump")
    _rclone(topology, str(saved / "bucket"), "bucket:langaudio")
    topology.start_all()
    restored_s = time.monotonic() - begin
    after = (one.answers(), registry.aliased(registry.CHAMPION), one.airflow.runs("language_audio"))
    assert before[1:] == after[1:], f"{before[1:]} became {after[1:]}"
    night = _night(one)
    return night | {
        "same_answers": before[0] == after[0],
        "state": night["state"] if before[0] == after[0] else "other answers",
        "backup_s": round(saved_s, 1),
        "restore_s": round(restored_s, 1),
        "backup_mib": round(size / 2**20, 1),
    }


def _postgres(topology: Topology, program: str, *arguments: str) -> None:
    where = {"PGHOST": topology.address("postgres"), "PGUSER": "postgres"}
    environment = os.environ | where | {"PGPASSWORD": topology.variables["POSTGRES_PASSWORD"]}
    subprocess.run([POSTGRES_BIN / program, *arguments], env=environment, check=True)


def _rclone(topology: Topology, source: str, target: str) -> None:
    environment = os.environ | {
        "RCLONE_CONFIG_BUCKET_TYPE": "s3",
        "RCLONE_CONFIG_BUCKET_PROVIDER": "Rclone",
        "RCLONE_CONFIG_BUCKET_ENDPOINT": f"http://{topology.address('s3')}:9000",
        "RCLONE_CONFIG_BUCKET_ACCESS_KEY_ID": topology.variables["LANGAUDIO_S3_ACCESS_KEY"],
        "RCLONE_CONFIG_BUCKET_SECRET_ACCESS_KEY": topology.variables["LANGAUDIO_S3_SECRET_KEY"],
    }
    command = ["--config", "/dev/null", "copy", "--checksum", source, target]
    subprocess.run([BIN / "rclone", *command], env=environment, check=True)


def _configure(topology: Topology) -> None:
    """Let this process be a person who works with the deployment, on a machine of their own."""
    of_worker = topology.environment("worker-cpu")
    for name in [name for name in os.environ if name.startswith("LANGAUDIO_")]:
        del os.environ[name]
    names = ("BUCKET", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "SPEAKER_KEY", "MLFLOW_URI")
    os.environ |= {f"LANGAUDIO_{name}": of_worker[f"LANGAUDIO_{name}"] for name in names}
    os.environ["LANGAUDIO_HOME"] = str(topology.root / "person")
    settings.cache_clear()
    default_store.cache_clear()


REST = {
    "night": ("a night with nothing new", _night),
    "two": ("two runs of the same languages at once", _two_at_once),
    "backup": ("backup, wipe, restore", _restored),
}


def _keep_logs(root: Path) -> None:
    """Keep what the services told, if somebody named a folder for it."""
    if target := os.environ.get("LOGS"):
        shutil.copytree(root / "logs", target, dirs_exist_ok=True)
        for tasks in root.glob("*/airflow/logs"):
            shutil.copytree(tasks, Path(target) / "tasks" / tasks.parts[-3], dirs_exist_ok=True)


def _table(rounds: dict[str, Any]) -> str:
    noticed_s = VARIABLES["AIRFLOW_HEARTBEAT_TIMEOUT_S"]
    lines = [
        "# The deployment under trouble",
        "",
        f"{len(LANGUAGES)} languages, {CLIPS} clips each, on two cores that all services share. A worker",
        f"that is dead is noticed after {noticed_s} s, and its task waits 30 s before it is tried again.",
        "The machine had other work, too: the seconds tell that it went on, not how fast it is.",
        "",
        "| round | ran then | again | seconds | run | clips lost, doubled | copies | doctor |",
        "|---|---|---|---:|---|---:|---:|---|",
    ]
    for found in rounds.values():
        cells = [
            found["title"],
            ", ".join(found.get("running", [])) or "–",
            ", ".join([*found["tried_again"], *found.get("started_again", [])]) or "nothing",
            f"{found['seconds']:.0f}",
            found["state"],
            f"{found['clips_lost']}, {found['clips_doubled']}",
            f"{found['copies']:,}",
            ", ".join(found["findings"]) or "finds nothing",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if backup := rounds.get("backup"):
        lines += [
            "",
            f"The backup of {backup['backup_mib']} MiB took {backup['backup_s']} s, the restore with the",
            f"start of all services {backup['restore_s']} s. The champion answers as before, bit for bit.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
