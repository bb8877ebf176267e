"""Runs and the model registry, by MLflow's client, which is imported when it is first asked for.

It takes seconds to import; ``langaudio.serve.champion`` asks a server without it.

A run keeps parameters, curves and artifacts; a version of the registered model is a run that was promoted
or tried. The experiment and the registered model have the name of the bucket. The aliases are ``champion``,
the version that ``identify`` uses, and ``challenger``, the last version that did not become one.

With a server, artifacts go through it to wherever it keeps them; with a database (``sqlite:///…``) they
lie in a folder beside it.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from langaudio.errors import LangaudioError, Unavailable
from langaudio.settings import settings

Alias = Literal["champion", "challenger"]
CHAMPION: Alias = "champion"
CHALLENGER: Alias = "challenger"

MODEL = "model"
"""The folder of a run's artifacts that holds the network."""

CLIPS = "clips.json"
"""The artifact of a run that names the clips which it has learned from, or was chosen by."""

FINGERPRINT = "corpus_fingerprint"
"""The parameter of a run that holds the fingerprint of its corpus."""


CHAMPION_SINCE = "champion_since"
"""The tag of a version that is or was champion: when it became it."""

FORGOTTEN = "trained_on_forgotten_clips"
"""Tag of a run, and its version, that has learned from clips that are forgotten now: how many."""

_MAX_DESCRIPTION = 5000  # characters: what MLflow's tables have room for


@dataclass(frozen=True)
class Version:
    """A version of the registered model; ``created_ms`` is when it was registered, since 1970."""

    number: int
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)
    created_ms: int = field(default=0, compare=False)


def start_run(name: str, parameters: Mapping[str, object]) -> str:
    """Begin a run; return its id."""
    with _explained():
        client = _client()
        experiment = client.get_experiment_by_name(settings().bucket)
        experiment_id = experiment.experiment_id if experiment else _create_experiment()
        run_id: str = client.create_run(experiment_id, run_name=name).info.run_id
        for key, value in parameters.items():
            client.log_param(run_id, key, value)
        return run_id


def resume_run(run_id: str) -> bool:
    """Go on with a run that was cut off; tell whether there is one that can be gone on with."""
    from mlflow.exceptions import MlflowException

    with _explained():
        try:
            _client().update_run(run_id, "RUNNING")
        except MlflowException as error:
            # It was deleted, or the registry is a new one.
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return False
    return True


def finish_run(run_id: str, *, failed: bool = False) -> None:
    with _explained():
        _client().set_terminated(run_id, "FAILED" if failed else "FINISHED")


def log_metrics(run_id: str, metrics: Mapping[str, float], step: int = 0) -> None:
    """Add a point to each curve."""
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    points = [Metric(name, value, now, step) for name, value in metrics.items()]
    with _explained():
        _client().log_batch(run_id, metrics=points)


def log_file(run_id: str, name: str, content: bytes) -> None:
    """Store bytes as an artifact; a later call with the same name takes its place."""
    folder, _, filename = name.rpartition("/")
    with tempfile.TemporaryDirectory() as scratch, _explained():
        path = Path(scratch) / filename
        path.write_bytes(content)
        _client().log_artifact(run_id, str(path), folder or None)


def log_model(run_id: str, folder: Path) -> None:
    """Store the files of a folder as the run's network."""
    with _explained():
        _client().log_artifacts(run_id, str(folder), MODEL)


def parameters(run_id: str) -> dict[str, str]:
    with _explained(f"run {run_id!r}"):
        return dict(_client().get_run(run_id).data.params)


def run_url(run_id: str) -> str:
    """Return the address of a run's page in MLflow; empty if MLflow is a database without pages."""
    uri = settings().mlflow_public_url or settings().mlflow_uri
    if not uri.startswith("http"):
        return ""
    with _explained(f"run {run_id!r}"):
        experiment = _client().get_run(run_id).info.experiment_id
    return f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def curve(run_id: str, metric: str) -> list[float]:
    """Return the values of a metric in the order of their steps; empty if it was never logged."""
    with _explained(f"run {run_id!r}"):
        points = _client().get_metric_history(run_id, metric)
    return [point.value for point in sorted(points, key=lambda point: (point.step, point.timestamp))]


def read_file(run_id: str, name: str) -> bytes | None:
    """Return an artifact's bytes, or None if the run has no such artifact."""
    folder = name.rpartition("/")[0]
    with tempfile.TemporaryDirectory() as scratch, _explained(f"run {run_id!r}"):
        client = _client()
        if name not in {item.path for item in client.list_artifacts(run_id, folder or None)}:
            return None
        return Path(client.download_artifacts(run_id, name, scratch)).read_bytes()


def model_folder(run_id: str) -> Path:
    """Return the local folder of a run's network, fetched once.

    The cache is keyed by the run, which is unique for ever, and not by the version, which a new registry
    would count from 1 again.

    Raises:
        LangaudioError: the run has no network.
    """
    cache = settings().home / "cache" / "models"
    folder = cache / run_id
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetching-") as scratch:
        with _explained(f"run {run_id!r}"):
            client = _client()
            if not client.list_artifacts(run_id, MODEL):
                raise LangaudioError(
                    f"Run {run_id} has stored no model: its training did not end well; train again."
                )
            fetched = client.download_artifacts(run_id, MODEL, scratch)
        try:
            Path(fetched).rename(folder)
        except OSError:
            # Another process was faster: its folder is as good as ours.
            if not folder.exists():
                raise
    return folder


def register(run_id: str) -> Version:
    """Make a run a version of the registered model; the same run stays the same version."""
    from mlflow.exceptions import MlflowException

    name = settings().bucket
    with _explained(f"run {run_id!r}"):
        client = _client()
        known = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
        if known:
            return Version(min(int(version.version) for version in known), run_id)
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL}"
        return Version(int(client.create_model_version(name, source, run_id).version), run_id)


def aliased(alias: Alias) -> Version | None:
    """Return the version that has an alias, or None if none has."""
    from mlflow.exceptions import MlflowException

    with _explained():
        client = _client()
        try:
            found = client.get_model_version_by_alias(settings().bucket, alias)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None
        return Version(int(found.version), found.run_id)


def versions() -> list[Version]:
    """Return all versions of the registered model with their tags, the oldest first."""
    with _explained():
        found = _client().search_model_versions(f"name = '{settings().bucket}'")
    known = [
        Version(int(one.version), one.run_id, dict(one.tags), int(one.creation_timestamp or 0))
        for one in found
    ]
    return sorted(known, key=lambda one: one.number)


def tag_version(version: Version, tag: str, value: str) -> None:
    with _explained():
        _client().set_model_version_tag(settings().bucket, str(version.number), tag, value)


def describe(version: Version, text: str) -> None:
    """Set the description of a version, in Markdown; what does not fit is left out from the end."""
    if len(text) > _MAX_DESCRIPTION:
        rest = "\n\n… the whole of it is an artifact of the run."
        text = text[: _MAX_DESCRIPTION - len(rest)].rpartition("\n")[0] + rest
    with _explained():
        _client().update_model_version(settings().bucket, str(version.number), text)


def runs() -> list[str]:
    """Return the ids of all runs, the newest first."""
    with _explained():
        client = _client()
        experiment = client.get_experiment_by_name(settings().bucket)
        found: list[str] = []
        token = None
        while experiment:
            page = client.search_runs([experiment.experiment_id], page_token=token)
            found += [run.info.run_id for run in page]
            token = page.token
            if not token:
                break
        return found


def mark(run_id: str, tag: str, value: str) -> None:
    """Set a tag of a run, and of the versions of the registered model that it became."""
    with _explained(f"run {run_id!r}"):
        client = _client()
        client.set_tag(run_id, tag, value)
        for version in client.search_model_versions(f"run_id = '{run_id}'"):
            client.set_model_version_tag(version.name, version.version, tag, value)


def set_alias(alias: Alias, version: Version) -> None:
    with _explained():
        _client().set_registered_model_alias(settings().bucket, alias, str(version.number))


def remove_alias(alias: Alias) -> None:
    with _explained():
        _client().delete_registered_model_alias(settings().bucket, alias)


def _client() -> Any:
    return _client_of(settings().mlflow_uri)


@lru_cache(maxsize=1)
def _client_of(uri: str) -> Any:
    # MLflow's own defaults let a caller wait for minutes when its server is down.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _create_experiment() -> str:
    from mlflow.exceptions import MlflowException

    name, uri = settings().bucket, settings().mlflow_uri
    beside = None
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///")).absolute()
        beside = (database.parent / "mlflow-artifacts").as_uri()
    try:
        created: str = _client().create_experiment(name, artifact_location=beside)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        created = _client().get_experiment_by_name(name).experiment_id
    return created


@contextmanager
def _explained(what: str = "that") -> Iterator[None]:
    """Turn what MLflow raises into one sentence; what only a defect of ours can raise stays as it is."""
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.tracking.registry import UnsupportedModelRegistryStoreURIException

    uri = settings().mlflow_uri
    try:
        yield
    except UnsupportedModelRegistryStoreURIException as error:
        raise LangaudioError(
            f"LANGAUDIO_MLFLOW_URI={uri!r} is no address of MLflow: give http://…, https://…, sqlite:///… or "
            "another database that it supports."
        ) from error
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise LangaudioError(
                f"MLflow at {uri} does not know {what}: check the id and LANGAUDIO_MLFLOW_URI."
            ) from error
        if error.error_code != "INTERNAL_ERROR":
            raise
        raise _unavailable(uri, error) from error
    except requests.RequestException as error:
        raise _unavailable(uri, error) from error


def _unavailable(uri: str, error: Exception) -> Unavailable:
    import requests

    no_connection = any(isinstance(one, requests.ConnectionError) for one in _chain(error))
    reason = "no connection" if no_connection else str(error).partition("\n")[0][:200]
    return Unavailable(
        f"MLflow at {uri} does not answer as it should ({reason}): is it running? Check "
        "LANGAUDIO_MLFLOW_URI, or start the local services with `make up`."
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
