"""Set-up as a stranger meets it: ``make``, on a machine that may lack something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from langaudio.services.config import PROJECT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(PROJECT / name, tmp_path)
    return tmp_path


def make(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Not as a child of the make that runs the tests: that would say which folders it enters and leaves.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def python(checkout: Path, script: str) -> str:
    """Write what stands in for a Python, and return the variable that names it."""
    file = checkout / "python"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return f"PYTHON={file}"


def test_make_alone_lists_the_targets(checkout: Path) -> None:
    listed = make(checkout).stdout
    for target in ("demo", "up", "down", "status", "test", "check"):
        assert f"\n{target} " in f"\n{listed}"


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            '[ "$1" = -V ] && printf "Python 3.12.1\\nmore\\n" || exit 1',
            "needs Python 3.11, and {python} is 'Python 3.12.1': name",
        ),
        ('case "$2" in *ensurepip*) exit 1;; esac', "{python} lacks the module venv: install it"),
    ],
)
def test_a_python_that_does_not_do_is_one_sentence(checkout: Path, script: str, sentence: str) -> None:
    done = make(checkout, "setup", python(checkout, script))
    assert done.returncode == 2
    assert sentence.format(python=checkout / "python") in done.stdout
    assert done.stdout.count("\n") == 1
    assert not (checkout / ".venv").exists()


def test_no_python_is_one_sentence(checkout: Path) -> None:
    done = make(checkout, "setup", "PYTHON=no-such-python")
    assert done.returncode == 2
    assert "there is no no-such-python: install it" in done.stdout
    assert done.stdout.count("\n") == 1
