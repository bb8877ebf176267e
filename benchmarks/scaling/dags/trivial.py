"""A task for each of so many languages, which does nothing: what is left is Airflow's own time."""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task


@dag(schedule=None, params={"languages": 14}, max_active_tasks=1_000)
def trivial() -> None:
    @task
    def plan(params: Any = None) -> list[int]:
        return list(range(params["languages"]))

    @task
    def nothing(language: int) -> int:
        return language

    nothing.expand(language=plan())


trivial()
