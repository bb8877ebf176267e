"""The question whether a network is to take the champion's place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator

APPROVE, REFUSE = "Approve", "Refuse"


class Approval(HITLOperator):
    """Ask a person, if the form says so; go on with the answer, or without one when the time is over.

    What it returns says whether anybody was ``asked``, whether it was ``granted``, and ``by`` whom.

    Args:
        evaluated: the evaluation's report, which names the run.
        propose: makes what the person reads of the id of the run.
    """

    template_fields = ("evaluated",)

    def __init__(self, *, evaluated: Any, propose: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(
            subject="Shall this network become the champion?",
            options=[APPROVE, REFUSE],
            defaults=[REFUSE],
            # How long it waits for a person is another thing than how long it may work.
            execution_timeout=None,
            **kwargs,
        )
        self.evaluated = evaluated
        self._propose = propose

    def execute(self, context: Any) -> Any:
        params = context["params"]
        if not params["ask_before_promoting"]:
            self.log.info("Nobody is asked: the rules decide.")
            return {"asked": False}
        self.body = self._propose(self.evaluated["run_id"])
        self.response_timeout = timedelta(hours=params["approval_hours"])
        self.log.info(
            "Waiting for an answer, for %g hours at most, at %s",
            params["approval_hours"],
            self.generate_link_to_ui(task_instance=context["task_instance"]),
        )
        return super().execute(context)  # which ends by waiting

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        answer = super().execute_complete(context, event)
        person = answer["responded_by_user"]
        granted = answer["chosen_options"] == [APPROVE]
        by = person["name"] or person["id"] if person else ""
        self.log.info("%s: %s", by or "nobody answered in time", answer["chosen_options"][0])
        return {"asked": True, "granted": granted, "by": by}
