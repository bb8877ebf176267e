"""Where the champion's file comes from: a real MLflow server, its absence, a file."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from langaudio import audio, registry
from langaudio.calibration import Calibration
from langaudio.errors import LangaudioError, Unavailable
from langaudio.serve import Model, load_champion
from langaudio.serve import champion as champions
from langaudio.train.artifact import save_model
from tests.conftest import BIN, free_port, settings_of
from tests.train import spoken


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    champions._champion.cache_clear()
    champions._loaded.cache_clear()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real MLflow that hands out artifacts, as ``langaudio up`` starts it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "mlflow.log").open("wb") as log:
        process = subprocess.Popen(
            [
                BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
                "--artifacts-destination", str(folder / "artifacts"),
            ],
            cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # eight processes less
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not _healthy(url):
            assert process.poll() is None, (folder / "mlflow.log").read_text()
            assert time.monotonic() < deadline, (folder / "mlflow.log").read_text()
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def _healthy(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/health", timeout=5).close()
    except OSError:
        return False
    return True


LIGHT = """
import sys, langaudio
answer = langaudio.identify(sys.argv[1])
heavy = {"torch", "lightning", "mlflow", "onnx", "silero_vad", "pyarrow", "boto3"}
print(answer.language, answer.version, *heavy & set(sys.modules))
"""


def crowned(answer: str) -> registry.Version:
    version = registry.register(spoken.run_of(spoken.constant(["de", "fr"], answer)))
    registry.set_alias(registry.CHAMPION, version)
    return version


def asked_of(model: Model) -> str:
    heard = model.hear([np.ones(16_000, np.float32)])
    assert heard is not None
    return model.languages[int(heard.answer.argmax())]


def test_a_servers_champion_is_asked_for_fetched_once_and_remembered(
    s3_endpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.flac").write_bytes(audio.to_flac(spoken.said("de", 1), audio.SAMPLE_RATE))
    with (
        ExitStack() as running,
        settings_of(
            s3_endpoint, tmp_path, "test-served", MLFLOW_URI=running.enter_context(mlflow_server(tmp_path))
        ) as configured,
    ):
        with pytest.raises(LangaudioError, match="no champion yet"):
            load_champion()
        for number, answer in ((1, "de"), (2, "fr")):
            crowned(answer)
            champions._champion.cache_clear()
            model = load_champion()
            assert (model.version, asked_of(model)) == (number, answer)
        assert load_champion() is model
        assert len(list((configured.home / "cache" / "champions").glob("*.onnx"))) == 2
        done = subprocess.run(
            [sys.executable, "-c", LIGHT, tmp_path / "a.flac"], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["fr", "2"]

        running.close()  # the server is away
        champions._champion.cache_clear()
        with caplog.at_level(logging.WARNING):
            assert load_champion().version == 2
        assert "Version 2, the last champion that is known, answers instead" in caplog.text
        for remembered in (configured.home / "cache" / "champions").glob("*.json"):
            remembered.unlink()
        champions._champion.cache_clear()
        with pytest.raises(Unavailable, match="is it running"):
            load_champion()


def test_a_file_needs_no_server(s3_endpoint: str, tmp_path: Path) -> None:
    save_model(spoken.constant(["de", "fr"], "fr"), Calibration(), tmp_path / "model")
    away = f"http://127.0.0.1:{free_port()}"
    file = str(tmp_path / "model" / "model.onnx")
    with settings_of(s3_endpoint, tmp_path, "test-file", MLFLOW_URI=away, MODEL=file):
        model = load_champion()
    assert (model.version, model.languages) == (None, ["de", "fr"])


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (401, LangaudioError, "refuses to answer .401.: set MLFLOW_TRACKING_USERNAME"),
        (503, Unavailable, "does not answer as it should .503"),
    ],
)
def test_a_server_that_refuses_is_told(
    status: int,
    error: type[Exception],
    sentence: str,
    serve: object,
    s3_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = []

    async def answer(request: Request) -> Response:
        heard.append(request.headers.get("authorization"))
        return JSONResponse({}, status)

    url = serve(Starlette(routes=[Route("/{path:path}", answer)]))  # type: ignore[operator]
    with (
        settings_of(s3_endpoint, tmp_path, "test-refused", MLFLOW_URI=url),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("MLFLOW_TRACKING_TOKEN", "a-token")
        with pytest.raises(error, match=sentence):
            load_champion()
    assert heard == ["Bearer a-token"]
