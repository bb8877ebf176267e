"""The store's tests run against two servers: the embedded one, and moto, which is stricter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from langaudio.store import Store, default_store
from tests.conftest import settings_of


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["rclone", "moto"])
def endpoint(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("s3_endpoint" if request.param == "rclone" else "moto_endpoint"))


@pytest.fixture
def store(endpoint: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Store]:
    """A new bucket on one of the servers."""
    bucket = f"store-{abs(hash(request.node.nodeid)):x}"
    with settings_of(endpoint, tmp_path, bucket):
        default_store().create_bucket()
        yield default_store()
