"""The DAG folder as Airflow parses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from langaudio.services.config import PROJECT


def parse(folder: Path, airflow_home: Path, **settings: str) -> dict[str, Any]:
    """Return what tests/dags/parse.py tells of a folder of DAG files, with settings in the environment."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("parse.py")), str(folder)],
        env={**os.environ, "AIRFLOW_HOME": str(airflow_home)}
        | {f"LANGAUDIO_{name}": value for name, value in settings.items()},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(PROJECT / "dags", tmp_path_factory.mktemp("airflow"))
