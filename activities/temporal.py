"""What does Temporal know of an estate: other runs, workers, earlier verdicts?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.runtime.heartbeat import heartbeating
from activities.runtime.partial_reading import reading_or_finding
from workflows.activity_options import TASK_QUEUE
from workflows.errors import Unreachable
from workflows.model.actions import ObserveTemporal
from workflows.model.findings import Finding
from workflows.model.observations import TemporalReading
from workflows.ports.inputs import ActionInput
from workflows.ports.temporal import TemporalPort
from workflows.preflight import access
from workflows.preflight.report import Direction, ReadinessReport, parse_report
from workflows.search_attributes import ESTATE, SEARCH_ATTRIBUTES

T = TypeVar("T")

SILENCE = access.temporal_unreadable

COMPLETED = ("completed", "completed_with_exceptions")
"""Outcomes after which traffic is on the other side."""

FRESH = timedelta(seconds=75)
"""The server names a poller for minutes after its worker has gone. One that is alive asks anew
every minute at the latest, so that one that has not for longer does not count; until then a worker
that was just replaced by another build is still seen."""

MOST_RUNS = 50
"""How far back a run is looked for: an estate is checked often, and mostly in one direction."""


class TemporalReader(TemporalPort):
    """The Temporal server that the worker itself works for."""

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._client = client
        self._queue = task_queue

    @activity.defn
    async def observe_temporal(self, given: ActionInput[ObserveTemporal]) -> TemporalReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""
        estate, asks = given.action.estate, given.operation.identity
        async with heartbeating():
            run, completed, missing, builds = await asyncio.gather(
                self._read(estate, lambda: self._open_run(estate, asks)),
                self._read(estate, lambda: self._completed(estate)),
                self._read(estate, self._missing_attributes),
                self._read(estate, self._builds),
            )
        found = [one for one in (run, completed, missing, builds) if isinstance(one, Finding)]
        return TemporalReading(
            place=estate,
            open_run=_or(run, None),
            completed=_or(completed, None),
            missing_attributes=_or(missing, ()),
            builds=_or(builds, {}),
            # A server that does not answer is one finding, whatever was asked of it.
            findings=tuple({one.name: one for one in found}.values()),
        )

    @activity.defn
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        """Return the newest verdict about this switchover; None where nobody finds one."""
        query = (
            f"WorkflowType = 'Readiness' AND {ESTATE.name} = '{direction.estate}' "
            "AND ExecutionStatus = 'Completed'"
        )
        async with heartbeating():
            try:
                async for run in self._runs(query):
                    verdict = parse_report(await self._result(run))
                    if verdict is not None and verdict.direction == direction:
                        return verdict
            except RPCError as refusal:
                activity.logger.warning("Temporal lists no verdicts: %s", refusal.message)
        return None

    async def _read(self, estate: str, reading: Callable[[], Awaitable[T]]) -> T | Finding:
        async def asked() -> T:
            try:
                return await reading()
            except RPCError as refusal:
                raise Unreachable(f"Temporal: {refusal.message}") from refusal

        return await reading_or_finding(asked, estate, SILENCE)

    async def _open_run(self, estate: str, asks: str) -> str | None:
        """Return the run that holds the estate's lock, unless it is the one that asks."""
        try:
            there = await self._client.get_workflow_handle(f"switchover-{estate}").describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        first = there.raw_info.first_run_id
        return there.run_id if there.close_time is None and first != asks else None

    async def _completed(self, estate: str) -> datetime | None:
        """Say when traffic was last moved to the other side; what was taken back is not that."""
        query = f"WorkflowId = 'switchover-{estate}' AND ExecutionStatus = 'Completed'"
        async for run in self._runs(query):
            result = await self._result(run)
            if isinstance(result, dict) and result.get("outcome") in COMPLETED:
                return run.close_time
        return None

    async def _missing_attributes(self) -> tuple[str, ...]:
        there = await self._client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=self._client.namespace)
        )
        return tuple(name for name in SEARCH_ATTRIBUTES if name not in there.custom_attributes)

    async def _builds(self) -> dict[str, str]:
        """Return which build each worker runs that still asks for work, of whichever type."""
        since = datetime.now(UTC) - FRESH
        kinds = (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
        answers = await asyncio.gather(
            *(
                self._client.workflow_service.describe_task_queue(
                    DescribeTaskQueueRequest(
                        namespace=self._client.namespace,
                        task_queue=TaskQueue(name=self._queue),
                        task_queue_type=kind,
                    )
                )
                for kind in kinds
            )
        )
        return {
            poller.identity: _build(poller)
            for answer in answers
            for poller in answer.pollers
            if poller.last_access_time.ToDatetime(UTC) >= since
        }

    def _runs(self, query: str) -> AsyncIterator[WorkflowExecution]:
        """Yield runs, the one that closed last first."""
        return self._client.list_workflows(query, limit=MOST_RUNS)

    async def _result(self, run: WorkflowExecution) -> object:
        """Return a result as it stands there, whatever version of ours has written it."""
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        result: object = await handle.result(follow_runs=False)
        return result


def _build(poller: PollerInfo) -> str:
    """Return what a worker says of itself, wherever its SDK says it."""
    return (
        poller.deployment_options.build_id
        or poller.worker_version_capabilities.build_id
        or "unknown"
    )


def _or(result: T | Finding, otherwise: T) -> T:
    return otherwise if isinstance(result, Finding) else result
