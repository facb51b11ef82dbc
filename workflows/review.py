"""The PlanReview workflow: shows the plan that a request would execute; reads, changes nothing."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from workflows.errors import SwitchoverError
from workflows.plan import Plan
from workflows.planning import make_plan
from workflows.request import parse_request


@workflow.defn(name="PlanReview", failure_exception_types=[SwitchoverError])
class PlanReview:
    """Makes the plan of a switchover for someone to look at."""

    @workflow.run
    async def run(self, *given: Any) -> Plan:  # noqa: ANN401 - whatever was sent
        """Return the plan for the same JSON object that starts a switchover."""
        return await make_plan(parse_request(given))
