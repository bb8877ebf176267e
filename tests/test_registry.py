"""Runs and the registry, in a real MLflow."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from langaudio import registry
from langaudio.errors import LangaudioError, Unavailable
from langaudio.registry import CHALLENGER, CHAMPION
from langaudio.settings import Settings, settings
from tests.conftest import free_port
from tests.train import spoken


@pytest.fixture(autouse=True)
def _mlflow(configured: Settings) -> None:
    spoken.prepare_mlflow(configured)


def run() -> str:
    return spoken.run_of(spoken.constant(["de", "fr"], "fr"), corpus_fingerprint="abc", epochs=3)


def test_a_run_keeps_what_it_is_told() -> None:
    run_id = run()
    for step, loss in ((2, 0.5), (1, 0.75), (3, 0.25)):
        registry.log_metrics(run_id, {"loss": loss, "other": 1.0}, step)
    registry.log_file(run_id, "evaluation.json", b"old")
    registry.log_file(run_id, "evaluation.json", b"new")
    assert registry.parameters(run_id) == {"corpus_fingerprint": "abc", "epochs": "3"}
    assert registry.curve(run_id, "loss") == [0.75, 0.5, 0.25]
    assert registry.curve(run_id, "never logged") == []
    assert registry.read_file(run_id, "evaluation.json") == b"new"
    assert registry.read_file(run_id, "nothing.json") is None


def test_runs_of_a_bucket_share_its_experiment_and_lie_beside_the_database(configured: Settings) -> None:
    from mlflow import MlflowClient

    first, second = run(), run()
    client = MlflowClient(configured.mlflow_uri)
    experiments = {client.get_run(run_id).info.experiment_id for run_id in (first, second)}
    assert [client.get_experiment(one).name for one in experiments] == [configured.bucket]
    database = Path(configured.mlflow_uri.removeprefix("sqlite:///"))
    assert list(database.parent.glob(f"mlflow-artifacts/{first}/artifacts/model/weights.safetensors"))


def test_a_model_is_fetched_once_and_whole() -> None:
    run_id = run()
    folder = registry.model_folder(run_id)
    assert {path.name for path in folder.iterdir()} == {"model.json", "model.onnx", "weights.safetensors"}
    shutil.rmtree(Path(settings().mlflow_uri.removeprefix("sqlite:///")).parent / "mlflow-artifacts")
    assert registry.model_folder(run_id) == folder
    assert [path.name for path in folder.parent.iterdir()] == [run_id]


def test_the_same_run_is_registered_once() -> None:
    first, second = run(), run()
    assert registry.register(first) == registry.Version(1, first)
    assert registry.register(second) == registry.Version(2, second)
    assert registry.register(first) == registry.Version(1, first)


def test_an_alias_names_one_version() -> None:
    assert registry.aliased(CHAMPION) is None
    versions = [registry.register(run()) for _ in range(2)]
    assert registry.aliased(CHAMPION) is None
    for version in versions:
        registry.set_alias(CHAMPION, version)
        assert registry.aliased(CHAMPION) == version
    assert registry.aliased(CHALLENGER) is None
    registry.remove_alias(CHAMPION)
    assert registry.aliased(CHAMPION) is None


def test_an_unknown_run_is_told_by_its_id() -> None:
    with pytest.raises(LangaudioError, match=r"MLflow at sqlite:.* does not know run 'feed': check the id"):
        registry.parameters("feed")


def test_a_run_without_a_model_says_so() -> None:
    run_id = registry.start_run("nothing came of it", {})
    with pytest.raises(LangaudioError, match=rf"Run {run_id} has stored no model: .* train again"):
        registry.model_folder(run_id)


def test_links_lead_to_where_people_reach_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = run()
    assert registry.run_url(run_id) == ""  # a database has no pages
    monkeypatch.setenv("LANGAUDIO_MLFLOW_PUBLIC_URL", "https://mlflow.example.org/")
    settings.cache_clear()
    assert re.fullmatch(
        rf"https://mlflow\.example\.org/#/experiments/\d+/runs/{run_id}", registry.run_url(run_id)
    )


def test_a_server_that_does_not_answer_is_told_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_MLFLOW_URI", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"MLflow at http://127.0.0.1:\d+ does not answer .* `make up`"):
        registry.aliased(CHAMPION)
    assert time.monotonic() - began < 15


def test_an_address_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGAUDIO_MLFLOW_URI", "ftp://127.0.0.1")
    settings.cache_clear()
    with pytest.raises(
        LangaudioError, match=r"LANGAUDIO_MLFLOW_URI='ftp://127.0.0.1' is no address of MLflow"
    ):
        registry.aliased(CHAMPION)
