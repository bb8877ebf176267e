"""That Airflow knows each option which docker-compose.yaml and deploy/helm-values.yaml set.

Airflow takes no notice of an option that is misspelt. The values themselves are for Airflow's chart, whose
schema no package brings: its keys are not checked here.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import pytest
import yaml

from tests.deploy import compose
from tests.deploy.compose import PROJECT

READ_BUT_UNLISTED = {("scheduler", "num_stuck_in_queued_retries")}
"""What Airflow's scheduler reads and its reference does not list."""
OF_SIZE = {"parallelism", "max_active_tasks_per_dag"}
"""What depends on the size of a deployment."""
FREE = {"celery_broker_transport_options"}
"""Sections that are handed on to others as they are."""


@pytest.fixture(scope="module")
def options() -> set[tuple[str, str]]:
    """The section and the name of all options of Airflow and of the providers that are installed."""
    reference = yaml.safe_load((files("airflow") / "config_templates" / "config.yml").read_text())
    sections = list(reference.items())
    for provider in entry_points(group="apache_airflow_provider"):
        sections += provider.load()().get("config", {}).items()
    return {(section, option) for section, content in sections for option in content.get("options", {})}


@pytest.fixture(scope="module")
def helm() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((PROJECT / "deploy" / "helm-values.yaml").read_text())
    return values


def unknown(used: set[tuple[str, str]], options: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in used if one[0] not in FREE} - options - READ_BUT_UNLISTED


def test_airflow_knows_every_option_of_the_compose_file(
    options: set[tuple[str, str]], variables: dict[str, str]
) -> None:
    services = compose.services(variables).values()
    names = {name for service in services for name in service.environment if name.startswith("AIRFLOW__")}
    used = {(name.split("__")[1].lower(), name.split("__")[2].lower()) for name in names}
    assert len(used) > 20
    assert not unknown(used, options)


def test_airflow_knows_every_option_of_the_values_for_its_chart(
    options: set[tuple[str, str]], helm: dict[str, Any]
) -> None:
    used = {(section, option) for section, content in helm["config"].items() for option in content}
    assert len(used) > 10
    assert not unknown(used, options)


def test_both_deployments_run_airflow_alike(helm: dict[str, Any], variables: dict[str, str]) -> None:
    environment = compose.services(variables)["airflow-scheduler"].environment
    for section, content in helm["config"].items():
        for option, value in content.items():
            name = f"AIRFLOW__{section}__{option}".upper()
            if name in environment and option not in OF_SIZE:
                assert environment[name].lower() == value.lower(), name
    dockerfile = (PROJECT / "Dockerfile").read_text()
    assert f"AIRFLOW__CORE__DAGS_FOLDER={helm['config']['core']['dags_folder']}" in dockerfile
    assert f"AIRFLOW_HOME={helm['airflowHome']}" in dockerfile


def test_the_chart_has_a_set_of_workers_for_every_queue(
    helm: dict[str, Any], variables: dict[str, str]
) -> None:
    commands = [service.command for service in compose.services(variables).values()]
    queues = {command[command.index("--queues") + 1] for command in commands if "--queues" in command}
    assert {one["queue"] for one in helm["workers"]["celery"]["sets"]} == queues


def test_the_secrets_that_the_chart_wants_are_explained(helm: dict[str, Any]) -> None:
    wanted = {value for name, value in helm.items() if name.endswith("SecretName")}
    wanted |= {value for name, value in helm["data"].items() if name.endswith("SecretName")}
    wanted |= {one["secretRef"]["name"] for one in yaml.safe_load(helm["extraEnvFrom"])}
    assert len(wanted) == 4
    explained = (PROJECT / "docs" / "operations.md").read_text()
    assert not [name for name in wanted if f"| `{name}` |" not in explained]
