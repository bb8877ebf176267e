"""What the local services are started with."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from langaudio.services import config
from langaudio.settings import Settings


def settings_in(home: Path, **fields: int | str) -> Settings:
    home.mkdir(exist_ok=True)
    return Settings(home=home, **fields)


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = config.write_environment(settings_in(tmp_path))
    again = config.write_environment(settings_in(tmp_path, airflow_port=9999))
    secrets = [name for name in first if any(word in name for word in ("KEY", "SECRET"))]
    assert len(secrets) >= 8
    assert {name: again[name] for name in secrets} == {name: first[name] for name in secrets}
    assert again["AIRFLOW__API__PORT"] == "9999"


def test_two_homes_have_different_secrets(tmp_path: Path) -> None:
    one = config.write_environment(settings_in(tmp_path / "one"))
    two = config.write_environment(settings_in(tmp_path / "two"))
    assert one["LANGAUDIO_S3_SECRET_KEY"] != two["LANGAUDIO_S3_SECRET_KEY"]
    assert one["AIRFLOW__API_AUTH__JWT_SECRET"] != two["AIRFLOW__API_AUTH__JWT_SECRET"]


def test_only_the_owner_reads_the_secrets(tmp_path: Path) -> None:
    config.write_environment(settings_in(tmp_path))
    for file in (tmp_path / "settings.env", tmp_path / "airflow" / "passwords.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_supervisors_configuration_holds_no_secret(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    environment = config.write_environment(settings)
    text = config.write_supervisor_config(settings).read_text()
    for name, value in environment.items():
        if any(word in name for word in ("KEY", "SECRET")):
            assert value not in text


def test_ports_come_from_settings_and_bind_to_loopback(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, s3_port=9101, mlflow_port=9102, demo_port=9103, airflow_port=9104)
    environment = config.write_environment(settings)
    commands = config.commands(settings)
    assert "127.0.0.1:9101" in commands["s3"]
    assert commands["mlflow"][commands["mlflow"].index("--host") + 1] == "127.0.0.1"
    assert commands["mlflow"][commands["mlflow"].index("--port") + 1] == "9102"
    assert environment["LANGAUDIO_DEMO_URL"] == "http://127.0.0.1:9103"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__API__BASE_URL"].endswith(":9104")
    for name in ("airflow-scheduler", "airflow-triggerer"):
        assert "--skip-serve-logs" in commands[name]  # a log server listens on every address


def test_one_crawl_at_a_time(tmp_path: Path) -> None:
    pools = json.loads(config.write_pools(settings_in(tmp_path)).read_text())
    assert pools["crawl"]["slots"] == 1
    assert pools["augment"]["slots"] == 1


def test_a_deployment_on_many_workers_has_pools_of_their_size(tmp_path: Path) -> None:
    pools = json.loads(config.write_pools(settings_in(tmp_path), cpu=12, augment=12).read_text())
    assert {name: pool["slots"] for name, pool in pools.items()} == {
        "crawl": 1,
        "cpu": 12,
        "augment": 12,
        "train": 1,
    }


def test_mlflows_artifacts_lie_below_the_prefix_of_the_bucket(tmp_path: Path) -> None:
    command = config.commands(settings_in(tmp_path, s3_prefix="team"))["mlflow"]
    assert "s3://langaudio/team/models" in command
