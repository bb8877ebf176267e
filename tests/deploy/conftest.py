"""The ``.env`` that the tests start docker-compose.yaml with."""

from __future__ import annotations

import pytest

from langaudio.services import env_file


@pytest.fixture(scope="session")
def variables() -> dict[str, str]:
    """What ``make env`` would write."""
    return env_file.read(env_file.filled((env_file.PROJECT / ".env.example").read_text()))
