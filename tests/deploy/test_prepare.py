"""What ``langaudio prepare`` makes in a real PostgreSQL; the rest of it is seen in test_topology.py."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from langaudio.errors import LangaudioError, Unavailable
from langaudio.services import prepare
from tests.deploy.topology import Topology


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str]) -> Iterator[Topology]:
    with Topology(tmp_path_factory.mktemp("postgres"), variables) as topology:
        topology.start("postgres")
        topology.wait_until_well("postgres")
        yield topology


@pytest.fixture
def environment(server: Topology, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the service ``init`` has."""
    environment = server.environment("init")
    for name in ("PGHOST", "PGUSER", "PGPASSWORD"):
        monkeypatch.setenv(name, environment[name])
    return environment


def owner(environment: dict[str, str], role: str, database: str) -> str:
    """Log in as a role; return who owns the database."""
    password = environment[f"{role.upper()}_DB_PASSWORD"]
    with psycopg.connect(dbname=database, user=role, password=password) as connection:
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        (found,) = connection.execute(query).fetchone() or ("",)
        return str(found)


def test_each_role_owns_its_database_and_enters_no_other(environment: dict[str, str]) -> None:
    prepare.databases(environment)
    for role in prepare.ROLES:
        assert owner(environment, role, role) == role
        for other in set(prepare.ROLES) - {role}:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                owner(environment, role, other)


def test_again_changes_nothing_but_passwords_that_have_changed(environment: dict[str, str]) -> None:
    prepare.databases(environment)
    changed = environment | {"MLFLOW_DB_PASSWORD": "it's another"}
    prepare.databases(changed)
    assert owner(changed, "mlflow", "mlflow") == "mlflow"
    assert owner(changed, "airflow", "airflow") == "airflow"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        owner(environment, "mlflow", "mlflow")


def test_a_wrong_password_is_told_at_once(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(Unavailable, match="check PGHOST, PGUSER and PGPASSWORD"):
        prepare.databases(environment)


def test_a_missing_password_is_told(environment: dict[str, str]) -> None:
    with pytest.raises(LangaudioError, match="CELERY_DB_PASSWORD is not set: `make env` writes it"):
        prepare.databases(environment | {"CELERY_DB_PASSWORD": ""})
