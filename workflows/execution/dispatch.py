"""Run each action's activity on its task queue, with the input and options that it declares."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimeout

from workflows import activity_options
from workflows.errors import Unreachable
from workflows.model.actions import Action, VerifyNoConflicts
from workflows.model.actions.base import OnNode
from workflows.model.findings import Finding
from workflows.model.observations import Reading, TemporalReading
from workflows.model.results import Operation, Remaining, Report
from workflows.model.text import duration, listed
from workflows.planning.plan import Plan
from workflows.ports.routes import ROUTES
from workflows.preflight.access import no_worker_polls
from workflows.run.state import RunState


class Dispatcher:
    """Runs activities on the places that the plan's snapshot of the estate names."""

    def __init__(self, plan: Plan, state: RunState, accepted: Iterable[str] = ()) -> None:
        self._estate, self._seals, self._state = plan.estate, plan.seals, state
        self._accepted = tuple(accepted)
        self._without_worker: dict[str, Finding] = {}
        """By a cluster's own task queue that no worker polls, as far as was seen last."""

    async def observe(self, action: Action, stage: str) -> Reading:
        """Return the reading of an observation; ActivityError where there is none."""
        reading: Reading = await self._run(action, stage, 1)
        if isinstance(reading, TemporalReading):
            unpolled = (queue for queue, builds in reading.own_queues.items() if not builds)
            seen = "no worker that polls it"
            self._without_worker = {queue: self._no_worker(queue, seen) for queue in unpolled}
        return reading

    def no_worker_for(self, action: Action) -> Finding | None:
        """Return the finding that no worker polls the action's task queue; None if one does."""
        queue = self._own_queue(action)
        return None if queue is None else self._without_worker.get(queue)

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
        queue = self._own_queue(action)
        if queue is None:
            return await workflow.execute_activity_method(route.activity, given, **options)
        own = activity_options.on_own_queue(queue, action, self._estate.timing)
        options.update(own)
        try:
            return await workflow.execute_activity_method(route.activity, given, **options)
        except ActivityError as error:
            if not _was_never_begun(error):
                raise
            within = duration(own["schedule_to_start_timeout"] or timedelta())
            seen = f"no worker that took an action from it within {within}"
            self._without_worker[queue] = finding = self._no_worker(queue, seen)
            raise error from _not_begun(finding)

    def _no_worker(self, queue: str, seen: str) -> Finding:
        clusters = (one.name for one in self._estate.clusters if one.task_queue == queue)
        return no_worker_polls.finding(
            queue,
            seen=seen,
            expected=f"a worker near {listed(clusters)}",
            advice=f"start one there: python -m worker --task-queue {queue} --estates DIR "
            "--seal-keys FILE, with the main worker's file of seal keys",
        )

    def _own_queue(self, action: Action) -> str | None:
        """Return the task queue of the cluster on whose node the action is; None for the main one.

        A replication link has the databases of both clusters, and the load balancer is neither's.
        """
        return self._estate.task_queue_of(action.node) if isinstance(action, OnNode) else None


def _was_never_begun(error: ActivityError) -> bool:
    """Whether no worker took the last attempt."""
    cause = error.cause
    return isinstance(cause, ActivityTimeout) and cause.type is TimeoutType.SCHEDULE_TO_START


def _not_begun(finding: Finding) -> ApplicationError:
    """Return why the last attempt was not begun; as after silence, an earlier one may have been."""
    message = f"task queue {finding.place}: {finding.seen}; {finding.advice}"
    return ApplicationError(message, type=Unreachable.__name__, non_retryable=True)
