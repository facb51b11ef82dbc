"""Hand each action to its activity, with the input and the options that it declares."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow

from workflows import activity_options
from workflows.model.actions import Action, VerifyNoConflicts
from workflows.model.observations import Reading
from workflows.model.results import Operation, Remaining, Report
from workflows.planning.plan import Plan
from workflows.ports.inputs import SessionInput
from workflows.ports.replication import ReplicationInput
from workflows.ports.routes import ROUTES


class Dispatcher:
    """Runs activities on the places that the plan's snapshot of the estate names."""

    def __init__(self, plan: Plan, identity: str) -> None:
        self._estate = plan.estate
        self._identity = identity
        self._compared_at: dict[str, datetime] = {}
        """By replication link: when the run last began to compare what both sides wrote."""

    async def observe(self, action: Action, stage: str) -> Reading:
        """Return the reading of an observation; ActivityError where there is none."""
        reading: Reading = await self._run(action, stage, 1)
        return reading

    async def read_remaining(
        self, action: Action, stage: str, turn: int, redirected_at: datetime | None
    ) -> Remaining:
        """Return what remains on a node; *turn* tells several readings of one stage apart."""
        remaining: Remaining = await self._run(action, stage, turn, redirected_at)
        return remaining

    async def execute(
        self, action: Action, stage: str, round_: int, redirected_at: datetime | None = None
    ) -> Report:
        """Execute the action and return its report; ActivityError where it failed.

        *redirected_at* is when new sessions were first sent to the target.
        """
        report: Report = await self._run(action, stage, round_, redirected_at)
        if isinstance(action, VerifyNoConflicts):
            self._compared_at[action.link] = report.at
        return report

    async def _run(
        self, action: Action, stage: str, round_: int, redirected_at: datetime | None = None
    ) -> Any:  # noqa: ANN401 - what the activity returns
        route = ROUTES[type(action)]
        operation = Operation(identity=self._identity, stage=stage, action=action.key, round=round_)
        given = route.input.of(operation, action, self._estate)
        if isinstance(given, SessionInput):
            given = given.model_copy(update={"redirected_at": redirected_at})
        if isinstance(given, ReplicationInput):
            compared_at = self._compared_at.get(action.place)
            given = given.model_copy(update={"compared_at": compared_at})
        options = activity_options.for_action(action, self._estate.timing)
        options["summary"] = str(action)
        options["activity_id"] = action.activity_id(round_)
        return await workflow.execute_activity_method(route.activity, given, **options)
