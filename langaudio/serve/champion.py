"""Where the champion's file comes from, at little cost: a file, a server, or a copy from before.

In this order: the file that LANGAUDIO_MODEL names; the champion of MLflow's registry, asked for by one
request, its file fetched once; and where the registry does not answer, the champion of last time. MLflow's
own client, which takes seconds to import, is used where there is no server but a database.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import urllib.parse
from functools import lru_cache
from pathlib import Path

from langaudio import mlflow_http
from langaudio.errors import LangaudioError, Unavailable
from langaudio.serve.model import FILE, Model

log = logging.getLogger(__name__)

_ASK_AGAIN_S = 60.0
_ALIAS = "champion"


def load_model(file: str | os.PathLike[str]) -> Model:
    """Load a served file that lies anywhere."""
    return Model(Path(file))


def load_champion() -> Model:
    """Return the champion, loaded; a process asks the registry once a minute who it is.

    Raises:
        LangaudioError: there is no champion yet.
        Unavailable: MLflow does not answer, and no champion is known from before.
    """
    from langaudio.settings import settings

    wanted = settings()
    if wanted.model is not None:
        return _loaded(wanted.model, None)
    return _champion(wanted.mlflow_uri, wanted.bucket, wanted.home, int(time.monotonic() / _ASK_AGAIN_S))


@lru_cache(maxsize=1)
def _champion(uri: str, name: str, home: Path, _minute: int) -> Model:
    folder = home / "cache" / "champions"
    remembered = folder / f"{hashlib.sha256(f'{uri} {name}'.encode()).hexdigest()[:16]}.json"
    try:
        version, file = _from_server(uri, name, folder) if uri.startswith("http") else _from_database()
    except Unavailable as error:
        if not remembered.is_file():
            raise
        known = json.loads(remembered.read_text())
        log.warning(
            "%s Version %d, the last champion that is known, answers instead.", error, known["version"]
        )
        return _loaded(Path(known["file"]), known["version"])
    _write(remembered, json.dumps({"version": version, "file": str(file.absolute())}).encode())
    return _loaded(file, version)


@lru_cache(maxsize=2)
def _loaded(file: Path, version: int | None) -> Model:
    return Model(file, version)


def _from_server(uri: str, name: str, folder: Path) -> tuple[int, Path]:
    query = urllib.parse.urlencode({"name": name, "alias": _ALIAS})
    answer = mlflow_http.get(uri, f"api/2.0/mlflow/registered-models/alias?{query}")
    if answer is None:
        raise _no_champion()
    version = json.loads(answer)["model_version"]
    file = folder / f"{version['run_id']}.onnx"
    if not file.is_file():
        source = urllib.parse.urlparse(version["source"])
        if source.scheme != "mlflow-artifacts":
            return int(version["version"]), _fetched_by_client(version["run_id"])
        path = f"api/2.0/mlflow-artifacts/artifacts/{source.path.strip('/')}/{FILE}"
        content = mlflow_http.get(uri, path)
        if content is None:
            raise _no_file(int(version["version"]))
        _write(file, content)
    return int(version["version"]), file


def _from_database() -> tuple[int, Path]:
    from langaudio import registry

    champion = registry.aliased(registry.CHAMPION)
    if champion is None:
        raise _no_champion()
    return champion.number, _fetched_by_client(champion.run_id)


def _fetched_by_client(run_id: str) -> Path:
    from langaudio import registry

    return registry.model_folder(run_id) / FILE


def _write(file: Path, content: bytes) -> None:
    """Write a file that others see whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_bytes(content)
    scratch.rename(file)


def _no_champion() -> LangaudioError:
    return LangaudioError(
        "There is no champion yet: trigger the DAG `language_audio`, or run the stages `train`, `evaluate` "
        "and `promote`."
    )


def _no_file(version: int) -> LangaudioError:
    return LangaudioError(
        f"Version {version} has no {FILE}: an older langaudio trained it; train again, or go back by "
        "`langaudio rollback` to a version that has one."
    )
