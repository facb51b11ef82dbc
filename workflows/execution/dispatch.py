"""Run each action's activity, with the input and the options that the action declares."""

from collections.abc import Iterable
from typing import Any

from temporalio import workflow

from workflows import activity_options
from workflows.model.actions import Action, VerifyNoConflicts
from workflows.model.observations import Reading
from workflows.model.results import Operation, Remaining, Report
from workflows.planning.plan import Plan
from workflows.ports.routes import ROUTES
from workflows.run.state import RunState


class Dispatcher:
    """Runs activities on the places that the plan's snapshot of the estate names."""

    def __init__(self, plan: Plan, state: RunState, accepted: Iterable[str] = ()) -> None:
        self._estate, self._seals, self._state = plan.estate, plan.seals, state
        self._accepted = tuple(accepted)

    async def observe(self, action: Action, stage: str) -> Reading:
        """Return the reading of an observation; ActivityError where there is none."""
        reading: Reading = await self._run(action, stage, 1)
        return reading

    async def read_remaining(self, action: Action, stage: str) -> Remaining:
        """Return what remains on a node, for the question that a stage asks."""
        self._state.remaining_reads += 1
        remaining: Remaining = await self._run(action, stage, self._state.remaining_reads)
        return remaining

    async def execute(self, action: Action, stage: str, round_: int) -> Report:
        """Execute the action and return its report; ActivityError where it failed."""
        report: Report = await self._run(action, stage, round_)
        if isinstance(action, VerifyNoConflicts):
            self._state.compared_at[action.link] = report.at
        return report

    async def _run(self, action: Action, stage: str, round_: int) -> Any:  # noqa: ANN401 - what the activity returns
        route, state = ROUTES[type(action)], self._state
        given = route.input.of(
            Operation(identity=state.identity, stage=stage, action=action.key, round=round_),
            action,
            self._estate,
            self._seals,
            redirected_at=state.redirected_at,
            compared_at=state.compared_at.get(action.place),
            accepted=self._accepted,
        )
        options = activity_options.for_action(
            action, self._estate.timing, self._estate.replication.attempt_limit
        )
        options["summary"] = str(action)
        options["activity_id"] = action.activity_id(round_)
        return await workflow.execute_activity_method(route.activity, given, **options)
