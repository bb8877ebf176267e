"""A deployment at work: its runs, what goes wrong in the middle of them, and what is in its bucket."""

from __future__ import annotations

import hashlib
import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from langaudio import catalog, identify
from langaudio.augment.shards import INDEX_SCHEMA
from langaudio.demo import contents
from langaudio.doctor import diagnose
from langaudio.errors import Unavailable
from langaudio.services.airflow_api import FINAL, AirflowApi
from langaudio.store import Store, default_store, keys
from tests.deploy.topology import Topology, until


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        title: for people.
        moment: tells whether its moment has come.
        do: what is done then, with ``arguments``.
    """

    title: str
    moment: Callable[[Deployment], object]
    do: Callable[..., None]
    arguments: Sequence[Any] = ()


class Deployment:
    """The services, and what is done to them and learned of them."""

    def __init__(
        self, topology: Topology, site: Path, languages: Sequence[str], form: dict[str, Any]
    ) -> None:
        self.services = topology
        self._site, self._languages, self._form = site, languages, form
        self.started_again: list[str] = []
        url = f"http://{topology.address('airflow-api')}:8080"
        self.airflow = AirflowApi(url, topology.variables["AIRFLOW_ADMIN_PASSWORD"])

    @property
    def store(self) -> Store:
        return default_store()

    def run(self, dag: str, fault: Fault | None = None, **form: Any) -> dict[str, Any]:
        """Run a DAG to its end, with a fault in the middle; tell what came of it."""
        self.airflow.wait_for_dag(dag)
        in_crawl = fault is not None and fault.moment == Deployment.crawling
        if in_crawl:
            # A site that hangs keeps the crawl where it is.
            self.services.pause("demo-site")
        begin = time.monotonic()
        run_id = self.airflow.trigger(dag, self._form | form)
        told: dict[str, Any] = {}
        self.started_again = []
        if fault:
            until(lambda: fault.moment(self) or self.ended(dag, run_id), f"{fault.title}: its moment", 600)
            told["running"] = self._running(dag, run_id)
            fault.do(self, *fault.arguments)
            if in_crawl:
                self.services.go_on("demo-site")
        until(lambda: self.ended(dag, run_id), f"{dag} has ended", 1800)
        instances = self.airflow.task_instances(dag, run_id)
        tries = {name_of(one): one["try_number"] for one in instances if one["try_number"] > 1}
        return told | {
            "seconds": round(time.monotonic() - begin, 1),
            "state": self.airflow.run(dag, run_id)["state"],
            "tasks": dict(Counter(one["state"] for one in instances)),
            "tried_again": tries,
            "started_again": self.started_again,
        }

    def empty(self) -> None:
        """Empty the corpus; models stay, and their champion, but not what trainings have left."""
        for item in list(self.store.list("")):
            if not item.key.startswith("models/") or item.key.startswith(keys.CHECKPOINTS):
                self.store.delete(item.key)

    def content(self) -> dict[str, Any]:
        """Tell what is in the bucket: clips against what the site offers, copies, the doctor's findings."""
        offered, published = [], []
        entries = [one for one in contents.read(self._site) if one.mp3 and one.defect is None]
        for language in self._languages:
            names = [one.mp3 for one in entries if one.language == language]
            files = [self._site / contents.MP3_FOLDER / name for name in names if name]
            offered += [hashlib.sha256(file.read_bytes()).hexdigest()[:20] for file in files]
            published += catalog.read(self.store, language, ["clip_id"])["clip_id"].to_pylist()
        # A clip that another language turned out to have, too, may have been augmented by then.
        samples = [sample for sample in self._samples() if sample[0] in set(published)]
        return {
            "clips_lost": len(set(offered) - set(published)),
            "clips_doubled": len(published) - len(set(published)),
            "copies": len(set(samples)),
            "copies_doubled": len(samples) - len(set(samples)),
            "findings": [str(finding) for finding in diagnose(self.store, deep=True).findings],
        }

    def answers(self) -> list[dict[str, float]]:
        """Ask the champion about a clip of each language."""
        told = []
        for language in self._languages:
            row = catalog.read(self.store, language, ["clip_id", "format"]).slice(0, 1).to_pylist()[0]
            answer = identify(self.store.get(keys.raw(language, row["clip_id"], row["format"])))
            told.append(dict(answer.probabilities))
        return told

    def augmenting(self) -> str | None:
        """Return a worker that augments now: its processes make copies."""
        for worker in [name for name in self.services.running if name.startswith("worker-cpu")]:
            for process in self.services.processes(worker):
                with suppress(psutil.NoSuchProcess):
                    if "langaudio.augment.workers" in process.cmdline():
                        return worker
        return None

    def crawling(self) -> bool:
        """Let the site answer for a moment; tell whether files are staged, but not all of them."""
        self.services.go_on("demo-site")
        time.sleep(0.03)
        self.services.pause("demo-site")
        staged = [item.key for item in self.store.list("staging/")]
        begun = {key.partition("/audio/")[0] for key in staged if "/audio/" in key}
        ended = {key.removesuffix("/_SUCCESS") for key in staged if key.endswith("/_SUCCESS")}
        return begun > ended

    def training(self) -> bool:
        """Tell whether an epoch of a training under way is done."""
        return any(item.key.endswith("/last.ckpt") for item in self.store.list(keys.CHECKPOINTS))

    def restart(self, service: str, away_s: float = 0.0) -> None:
        """Stop a service, leave it away for a while, and start it again."""
        self.services.stop(service)
        time.sleep(away_s)
        self.services.start(service)

    def kill(self, service: str, replica: str = "") -> None:
        """Kill a service with all its processes; the engine would start it again at once."""
        self.services.kill(f"{service}{replica}")
        self.services.start(service, replica)

    def kill_what_augments(self) -> None:
        worker = self.augmenting()
        assert worker, "the augmentation had ended"
        self.kill("worker-cpu", worker.removeprefix("worker-cpu"))

    def ended(self, dag: str, run_id: str) -> bool:
        """Tell whether a run has ended; what ended by itself meanwhile is started again."""
        self.started_again += self.services.tend()
        try:
            return self.airflow.run(dag, run_id)["state"] in FINAL
        except Unavailable:
            return False  # while its database is away

    def _running(self, dag: str, run_id: str) -> list[str]:
        instances = self.airflow.task_instances(dag, run_id)
        return sorted(name_of(one) for one in instances if one["state"] == "running")

    def _samples(self) -> list[tuple[Any, ...]]:
        indexes = [item.key for item in self.store.list("augmented/") if item.key.endswith("/index.parquet")]
        read = [pq.read_table(io.BytesIO(data)) for _, data in self.store.get_many(indexes)]
        rows = pa.concat_tables([INDEX_SCHEMA.empty_table(), *read]).select(["clip_id", "segment", "copy"])
        return [tuple(row.values()) for row in rows.to_pylist()]


def name_of(instance: dict[str, Any]) -> str:
    return f"{instance['task_id']} {instance['rendered_map_index'] or ''}".strip()
