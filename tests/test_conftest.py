"""The promise of CI: no test is skipped unseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langaudio.services.config import PROJECT


@pytest.mark.parametrize(("processes", "ci", "status"), [("0", "true", 1), ("2", "true", 1), ("2", "", 0)])
def test_a_skipped_test_fails_where_ci_is_set(tmp_path: Path, processes: str, ci: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_sessionfinish\n")
    (tmp_path / "test_one.py").write_text(
        "import pytest\ndef test_done():\n    pass\n@pytest.mark.skip\ndef test_skipped():\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--numprocesses", processes, "--rootdir", tmp_path, tmp_path],
        env={**os.environ, "CI": ci, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stdout
    assert ("1 tests were skipped" in done.stdout) == bool(ci)
