"""``.env``: what docker-compose.yaml is started with."""

from __future__ import annotations

import base64
import re
import stat
import subprocess
import sys
from pathlib import Path

from langaudio.services import env_file
from langaudio.services.env_file import SECRETS, filled, read
from tests.deploy.compose import FILE

EXAMPLE = (env_file.PROJECT / ".env.example").read_text()


def test_every_variable_of_the_compose_file_is_explained_and_no_other() -> None:
    used = set(re.findall(r"(?<!\$)\$\{?([A-Z][A-Z0-9_]+)", FILE.read_text()))
    # Compose itself reads this one.
    assert set(read(EXAMPLE)) == used | {"COMPOSE_PROFILES"}


def test_no_secret_is_in_the_example_and_each_is_made() -> None:
    assert {name for name in read(EXAMPLE) if re.search("PASSWORD|SECRET|KEY", name)} == set(SECRETS)
    assert not any(read(EXAMPLE)[name] for name in SECRETS)
    one, other = read(filled(EXAMPLE)), read(filled(EXAMPLE))
    for name in SECRETS:
        assert len(one[name]) >= 16
        assert one[name] != other[name]
    assert len(base64.urlsafe_b64decode(one["AIRFLOW_FERNET_KEY"])) == 32


def test_what_is_set_stays_and_what_is_new_is_added() -> None:
    before = filled(EXAMPLE).replace("AIRFLOW_PORT=8080", "AIRFLOW_PORT=8443")
    before = before.replace("LANGAUDIO_S3_ENDPOINT=http://s3:9000", "LANGAUDIO_S3_ENDPOINT=") + "OWN=1\n"
    # With a role of AWS there are no keys, and none are wanted.
    before = re.sub("^LANGAUDIO_S3_ACCESS_KEY=.*$", "LANGAUDIO_S3_ACCESS_KEY=", before, flags=re.MULTILINE)
    after = filled(EXAMPLE + "NEW=2\n", before)
    assert read(after) == read(before) | {"NEW": "2"}
    assert filled(EXAMPLE + "NEW=2\n", after) == after


def test_the_owner_alone_reads_it(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    env_file.write(file)
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    env_file.write(file)
    assert file.read_text() == first


def test_it_is_written_without_anything_installed() -> None:
    # -I and -S: neither this environment's packages nor this folder's are found.
    code = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='trial')"
    subprocess.run([sys.executable, "-I", "-S", "-c", code, env_file.__file__], check=True)
