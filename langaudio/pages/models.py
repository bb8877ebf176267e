"""What the pages tell of the models: versions of the registry, and what their runs keep.

A server of MLflow is asked by plain HTTP. Where there is none but a database, a child process asks it by
MLflow's client. Answers are kept for some seconds, and what belongs to a run for minutes: it does not change.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlparse

from langaudio import mlflow_http
from langaudio.errors import LangaudioError
from langaudio.pages import tasks
from langaudio.pages.errors import NotThere
from langaudio.settings import settings
from langaudio.workers import Workers

_T = TypeVar("_T")

EVALUATION, CARD = "evaluation.json", "model_card.md"
CURVES = ("loss", "dev_loss", "dev_macro_f1")

_REGISTRY_S = 5.0
_RUN_S = 300.0
_ASKERS = 8
_PARAMETERS = ("recipe_id", "corpus_fingerprint", "epochs", "seed", "langaudio", "git_revision")


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ModelVersion:
    """A version of the registered model.

    Attributes:
        number: its number.
        run_id: the MLflow run that trained it.
        created: when it was registered.
        champion: whether ``identify`` asks it.
        challenger: whether it is the last version that did not become champion.
        was_champion_since: when it became champion, if it ever was.
        forgotten: how many clips it has learned from that somebody wished to be forgotten.
        languages: what it knows.
        macro_f1: on the test clips; None without an evaluation, as all that follow.
        accuracy: the same.
        calibration_error: the same.
        test_clips: how many clips it was scored on.
        latency_ms: from file to answer, of ten seconds of speech.
    """

    number: int
    run_id: str
    created: datetime | None
    champion: bool
    challenger: bool
    was_champion_since: datetime | None
    forgotten: int
    languages: list[str]
    macro_f1: Score | None
    accuracy: Score | None
    calibration_error: Score | None
    test_clips: int | None
    latency_ms: float | None


@dataclass(frozen=True)
class PerLanguage:
    """What a version is worth in one language, and its recall against the champion's of its time."""

    code: str
    name: str
    clips: int
    precision: Score
    recall: Score
    change: Score | None


@dataclass(frozen=True)
class Bin:
    """Answers that were about as sure: how sure, and what share was right."""

    clips: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class ModelDetails:
    """All that is known of a version.

    Attributes:
        version: as in the list.
        parameters: of the training.
        per_language: scores, in the order of the matrix.
        confusion_matrix: counts; rows are what was spoken, columns what was heard.
        reliability: bins of confidence.
        curves: values per epoch.
        compared_with: version of the champion that it was compared with; None if there was none.
        macro_f1_gain: by how much its macro-F1 is higher than that champion's, on the languages of both.
        card: the model card, in Markdown.
    """

    version: ModelVersion
    parameters: dict[str, str]
    per_language: list[PerLanguage]
    confusion_matrix: list[list[int]]
    reliability: list[Bin]
    curves: dict[str, list[float]]
    compared_with: int | None
    macro_f1_gain: Score | None
    card: str | None


class Models:
    """The registry that the settings name.

    Args:
        workers: processes for what needs MLflow's client.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._kept: dict[object, tuple[float, Any]] = {}
        self._lock = threading.Lock()

    def versions(self) -> list[ModelVersion]:
        """Return all versions, the newest first."""
        found = self._registered()
        # Each costs the server two questions when it is asked first.
        with ThreadPoolExecutor(_ASKERS) as pool:
            ours = pool.map(lambda one: self._version(one, found["aliases"]), found["versions"])
            return list(ours)[::-1]

    def champion(self) -> ModelVersion | None:
        """Return the version that answers, if there is one."""
        found = self._registered()
        number = found["aliases"].get("champion")
        ours = [one for one in found["versions"] if one["number"] == number]
        return self._version(ours[0], found["aliases"]) if ours else None

    def recalls(self) -> dict[str, float]:
        """Return the champion's recall of each language that it was tested on."""
        champion = self.champion()
        evaluation = self._evaluation(champion.run_id) if champion else None
        scores = evaluation["per_language"] if evaluation else {}
        return {code: one["recall"]["value"] for code, one in scores.items() if one["support"]}

    def details(self, number: int) -> ModelDetails:
        """Return all that is known of a version.

        Raises:
            NotThere: there is none with this number.
        """
        from langaudio.pages.rendering import language_name

        version = next((one for one in self.versions() if one.number == number), None)
        if version is None:
            raise NotThere(f"There is no version {number} of the model.")
        run_id = version.run_id
        evaluation = self._evaluation(run_id) or {}
        compared = evaluation.get("comparison") or {}
        gains = compared.get("recall_gains") or {}
        card = self._file(run_id, CARD)
        return ModelDetails(
            version=version,
            parameters=self._keep(
                ("parameters", run_id), _RUN_S, lambda: self._ask(_parameters, tasks.parameters, run_id)
            ),
            per_language=[
                PerLanguage(
                    code,
                    language_name(code),
                    one["support"],
                    Score(**one["precision"]),
                    Score(**one["recall"]),
                    _score(gains.get(code)),
                )
                for code, one in evaluation.get("per_language", {}).items()
            ],
            confusion_matrix=evaluation.get("confusion_matrix", []),
            reliability=[Bin(**one) for one in evaluation.get("reliability", [])],
            curves=self._of_run("curves", run_id, _curves, tasks.curves),
            compared_with=compared.get("champion_version"),
            macro_f1_gain=_score(compared.get("macro_f1_gain")),
            card=card.decode(errors="replace") if card else None,
        )

    def crown(self, number: int | None) -> str:
        """Make a version champion, or the last champion before the present one; return what was done."""
        try:
            return self._workers.call(tasks.crown, number)
        finally:
            self.forget()

    def forget(self) -> None:
        """Ask anew at the next question."""
        with self._lock:
            self._kept.clear()

    def _version(self, one: Mapping[str, Any], aliases: Mapping[str, int]) -> ModelVersion:
        evaluation = self._evaluation(one["run_id"]) or {}
        scores = evaluation.get("scores", {})
        tags, created = one["tags"], one["created_ms"]
        since = tags.get("champion_since")
        return ModelVersion(
            number=one["number"],
            run_id=one["run_id"],
            created=datetime.fromtimestamp(created / 1000, UTC) if created else None,
            champion=aliases.get("champion") == one["number"],
            challenger=aliases.get("challenger") == one["number"],
            was_champion_since=datetime.fromisoformat(since) if since else None,
            forgotten=int(tags.get("trained_on_forgotten_clips") or 0),
            languages=evaluation.get("languages", []),
            macro_f1=_score(scores.get("macro_f1")),
            accuracy=_score(scores.get("accuracy")),
            calibration_error=_score(scores.get("calibration_error")),
            test_clips=scores.get("clips"),
            latency_ms=evaluation.get("latency_ms"),
        )

    def _registered(self) -> dict[str, Any]:
        return self._keep(
            ("registered", settings().bucket), _REGISTRY_S, lambda: self._ask(_registered, tasks.registered)
        )

    def _of_run(
        self, what: str, run_id: str, server: Callable[[str, str], _T], client: Callable[[str], _T]
    ) -> _T:
        return self._keep((what, run_id), _RUN_S, lambda: self._ask(server, client, run_id))

    def _evaluation(self, run_id: str) -> dict[str, Any] | None:
        stored = self._file(run_id, EVALUATION)
        evaluation: dict[str, Any] | None = json.loads(stored) if stored else None
        return evaluation

    def _file(self, run_id: str, name: str) -> bytes | None:
        return self._keep((name, run_id), _RUN_S, lambda: self._ask(_file, tasks.run_file, run_id, name))

    def _ask(self, server: Callable[..., _T], client: Callable[..., _T], *arguments: str) -> _T:
        """Ask the server, or where there is none but a database, MLflow's client."""
        uri = settings().mlflow_uri
        if uri.startswith("http"):
            try:
                return server(uri, *arguments)
            except _NotThroughServer:
                pass
        return self._workers.call(client, *arguments)

    def _keep(self, what: object, seconds: float, make: Callable[[], _T]) -> _T:
        now = time.monotonic()
        with self._lock:
            kept = self._kept.get(what)
        if kept is not None and now - kept[0] < seconds:
            found: _T = kept[1]
            return found
        made = make()
        with self._lock:
            self._kept[what] = now, made
        return made


class _NotThroughServer(Exception):
    """The run's artifacts do not go through the server: MLflow's client knows how to reach them."""


def _registered(uri: str) -> dict[str, Any]:
    name = settings().bucket
    found = mlflow_http.get(uri, f"api/2.0/mlflow/registered-models/get?{urlencode({'name': name})}")
    if found is None:
        return {"aliases": {}, "versions": []}
    model = json.loads(found)["registered_model"]
    aliases = {one["alias"]: int(one["version"]) for one in model.get("aliases", ())}
    versions: list[dict[str, Any]] = []
    token = ""
    while True:
        query = {"filter": f"name='{name}'", "max_results": "200"} | ({"page_token": token} if token else {})
        page = json.loads(
            mlflow_http.get(uri, f"api/2.0/mlflow/model-versions/search?{urlencode(query)}") or b"{}"
        )
        versions += [
            {
                "number": int(one["version"]),
                "run_id": one["run_id"],
                "created_ms": int(one.get("creation_timestamp") or 0),
                "tags": {tag["key"]: tag["value"] for tag in one.get("tags", ())},
            }
            for one in page.get("model_versions", ())
        ]
        token = page.get("next_page_token", "")
        if not token:
            return {"aliases": aliases, "versions": sorted(versions, key=lambda one: int(one["number"]))}


def _run(uri: str, run_id: str) -> dict[str, Any]:
    answer = mlflow_http.get(uri, f"api/2.0/mlflow/runs/get?{urlencode({'run_id': run_id})}")
    if answer is None:
        raise _unknown(uri, run_id)
    run: dict[str, Any] = json.loads(answer)["run"]
    return run


def _unknown(uri: str, run_id: str) -> LangaudioError:
    return LangaudioError(f"MLflow at {uri} does not know run {run_id!r}: check LANGAUDIO_MLFLOW_URI.")


def _parameters(uri: str, run_id: str) -> dict[str, str]:
    found = {one["key"]: one["value"] for one in _run(uri, run_id)["data"].get("params", ())}
    return chosen_parameters(found)


def _curves(uri: str, run_id: str) -> dict[str, list[float]]:
    curves = {}
    for name in CURVES:
        query = urlencode({"run_id": run_id, "metric_key": name})
        answer = json.loads(mlflow_http.get(uri, f"api/2.0/mlflow/metrics/get-history?{query}") or b"{}")
        points = sorted(
            answer.get("metrics", ()), key=lambda one: (int(one.get("step", 0)), int(one["timestamp"]))
        )
        curves[name] = [float(point["value"]) for point in points]
    return curves


def _file(uri: str, run_id: str, name: str) -> bytes | None:
    """Return an artifact that lies in no folder of its run; None if there is none of this name."""
    answer = mlflow_http.get(uri, f"api/2.0/mlflow/artifacts/list?{urlencode({'run_id': run_id})}")
    if answer is None:
        raise _unknown(uri, run_id)
    listed = json.loads(answer)
    place = urlparse(listed["root_uri"])
    if place.scheme != "mlflow-artifacts":
        raise _NotThroughServer
    # Asked for what is not in its bucket, the server answers as if it had failed.
    if name not in [one["path"] for one in listed.get("files", ())]:
        return None
    path = f"{place.path.strip('/')}/{name}"
    return mlflow_http.get(uri, f"api/2.0/mlflow-artifacts/artifacts/{quote(path)}")


def chosen_parameters(found: Mapping[str, str]) -> dict[str, str]:
    """Return those of a run's parameters that the page shows."""
    return {name: found[name] for name in _PARAMETERS if name in found}


def _score(found: Mapping[str, float] | None) -> Score | None:
    return Score(found["value"], found["low"], found["high"]) if found else None


def known(versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """Return the champion among versions."""
    return next((one for one in versions if one.champion), None)
