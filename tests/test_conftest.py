"""The promises of CI: no test is skipped unseen, and what takes long to make is made once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from langaudio.services.config import PROJECT


@pytest.mark.parametrize(("processes", "ci", "status"), [("2", "true", 1), ("0", "", 0)])
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


FIXTURE = """
import pathlib, pytest
@pytest.fixture(scope="{scope}")
def made():
    with pathlib.Path(r"{log}").open("a") as log:
        log.write("{name}\\n")
"""
USES = "import pytest\n@pytest.mark.parametrize('number', range(8))\ndef test_it(made, number):\n    pass\n"


def test_a_file_and_a_folder_of_files_that_share_fixtures_run_in_one_process(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    hooks = "from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler\n"
    (tmp_path / "conftest.py").write_text(hooks)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "conftest.py").write_text(FIXTURE.format(scope="package", log=log, name="folder"))
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / "pages" / name).write_text(USES)
    for name in ("test_three.py", "test_four.py"):
        (tmp_path / name).write_text(FIXTURE.format(scope="module", log=log, name=name) + USES)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--numprocesses", "2", "--no-loadscope-reorder", tmp_path],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "32 passed" in done.stdout, done.stdout
    assert sorted(log.read_text().split()) == ["folder", "test_four.py", "test_three.py"]
