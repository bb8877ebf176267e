"""What a deployment on many workers needs before it starts: databases, buckets, Airflow's tables and login.

docker-compose.yaml runs this to its end before anything else. Whatever is there stays, so it runs at every
start, and passwords of ``.env`` that have changed since are changed here.
"""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Callable, Mapping

from langaudio.errors import LangaudioError, Unavailable
from langaudio.services import config, run_airflow
from langaudio.settings import settings
from langaudio.store import default_store, store_of_bucket

ROLES = ("airflow", "celery", "mlflow")
"""Each has a database of its own with the same name, and its password in ``<NAME>_DB_PASSWORD``."""

_PATIENCE_S = 120


def prepare(cpu_slots: int, tell: Callable[[str], None]) -> None:
    """Make what is lacking.

    Args:
        cpu_slots: uploads, and augmentations, at a time.
        tell: called with a line about each step.

    Raises:
        LangaudioError: a password is missing, or a step failed.
        Unavailable: PostgreSQL or the bucket does not answer.
    """
    environment = os.environ
    if "PGHOST" in environment:
        tell(f"Databases {', '.join(ROLES)} at {environment['PGHOST']} …")
        databases(environment)
    tell("Buckets …")
    buckets(environment)
    tell("Airflow's tables, pools and login …")
    run_airflow(environment, "db", "migrate")
    settings().home.mkdir(parents=True, exist_ok=True)
    pools = config.write_pools(settings(), cpu=cpu_slots, augment=cpu_slots)
    run_airflow(environment, "pools", "import", str(pools))
    login(environment)
    tell("All is there.")


def databases(environment: Mapping[str, str]) -> None:
    """Make each role and its database, and set the role's password; libpq's variables say where."""
    import psycopg
    from psycopg import sql

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            connection = psycopg.connect(dbname="postgres", autocommit=True, connect_timeout=10)
            break
        except psycopg.OperationalError as error:
            # A server that starts refuses connections for a while; a wrong password stays wrong.
            if "authentication failed" in str(error) or time.monotonic() > deadline:
                raise Unavailable(
                    f"PostgreSQL at {environment['PGHOST']} does not let us in ({str(error).strip()}): "
                    "check PGHOST, PGUSER and PGPASSWORD."
                ) from error
            time.sleep(1)
    with connection:
        for role in ROLES:
            name, password = sql.Identifier(role), _needed(environment, f"{role.upper()}_DB_PASSWORD")
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            verb = sql.SQL("ALTER" if known else "CREATE")
            role_of_it = sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, sql.Literal(password))
            connection.execute(role_of_it)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [role]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
            # Otherwise every role may connect to every database.
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))


def buckets(environment: Mapping[str, str]) -> None:
    """Make the bucket of the corpus, and that of Airflow's logs."""
    default_store().create_bucket()
    logs = urllib.parse.urlsplit(environment.get("AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER", ""))
    if logs.scheme == "s3":
        store_of_bucket(logs.netloc).create_bucket()


def login(environment: Mapping[str, str]) -> None:
    """Let Airflow's user ``admin`` have the password of the environment."""
    # One argument: a password of its own that begins with "-" would be taken for an option.
    who = ("--username", "admin", f"--password={_needed(environment, 'AIRFLOW_ADMIN_PASSWORD')}")
    rest = ("--role", "Admin", "--email", "admin@localhost", "--firstname", "Admin", "--lastname", "Admin")
    if "already exist" in run_airflow(environment, "users", "create", *who, *rest):
        run_airflow(environment, "users", "reset-password", *who)


def _needed(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise LangaudioError(f"{name} is not set: `make env` writes it to .env.")
    return value
