"""Read what Temporal knows about an estate: other runs, workers, earlier readiness reports."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.runtime.heartbeat import heartbeating
from activities.runtime.partial_reading import PartialReading
from activities.watch_records import WatchRecords
from workflows.errors import Unreachable
from workflows.model.actions import ObserveTemporal
from workflows.model.configuration import ConfigurationRecord
from workflows.model.observations import TemporalReading
from workflows.model.task_queues import TASK_QUEUE
from workflows.ports.inputs import ActionInput
from workflows.ports.temporal import TemporalPort
from workflows.preflight import access
from workflows.preflight.report import Direction, ReadinessReport, parse_report
from workflows.search_attributes import ESTATE, SEARCH_ATTRIBUTES

T = TypeVar("T")

UNREADABLE = access.temporal_unreadable

COMPLETED = ("completed", "completed_with_exceptions")
"""Outcomes after which traffic is on the other side."""

POLLER_MAX_AGE = timedelta(seconds=75)
"""The server lists a poller for minutes after its worker has ended. A live worker polls again
within a minute, so an older poller does not count; until then, a worker that was just replaced by
another build is still listed."""

ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
ALL = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, ACTIVITIES)

MAX_LISTED_RUNS = 50
"""How many earlier runs are read: an estate is checked often, and mostly in one direction."""


class TemporalReader(TemporalPort):
    """Reads the Temporal server that the worker is connected to."""

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._client = client
        self._queue = task_queue

    @activity.defn
    async def observe_temporal(self, given: ActionInput[ObserveTemporal]) -> TemporalReading:
        estate, asks = given.action.estate, given.operation.identity
        parts = PartialReading(estate)
        async with heartbeating():
            run, completed, missing, builds, own = await asyncio.gather(
                parts.part(lambda: _translated(self._open_run(estate, asks)), UNREADABLE, None),
                parts.part(lambda: _translated(self._completed(estate)), UNREADABLE, None),
                parts.part(lambda: _translated(self._missing_attributes()), UNREADABLE, ()),
                parts.part(lambda: _translated(self._builds(self._queue, *ALL)), UNREADABLE, {}),
                parts.part(
                    lambda: _translated(self._own_builds(given.action.task_queues)), UNREADABLE, {}
                ),
            )
        return TemporalReading(
            place=estate,
            open_run=run,
            completed=completed,
            missing_attributes=missing,
            builds=builds,
            own_queues=own,
            findings=parts.findings,
        )

    @activity.defn
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        query = (
            f"WorkflowType = 'Readiness' AND {ESTATE.name} = '{direction.estate}' "
            "AND ExecutionStatus = 'Completed'"
        )
        async with heartbeating():
            try:
                async for run in self._runs(query):
                    report = parse_report(await self._result(run))
                    if report is not None and report.direction == direction:
                        return report
            except RPCError as refusal:
                activity.logger.warning("Temporal lists no readiness reports: %s", refusal.message)
        return None

    @activity.defn
    async def take_over_watch(self, direction: Direction) -> ConfigurationRecord | None:
        async with heartbeating():
            return await _translated(WatchRecords(self._client).take_over(direction.estate))

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
        """Return when traffic last moved to the other cluster; rolled-back runs do not count."""
        query = (
            f"WorkflowId = 'switchover-{estate}' AND WorkflowType = 'Switchover' "
            "AND ExecutionStatus = 'Completed'"
        )
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

    async def _own_builds(self, queues: tuple[str, ...]) -> dict[str, dict[str, str]]:
        """Return the build of each worker that polls a cluster's own queue for activities."""
        found = await asyncio.gather(*(self._builds(queue, ACTIVITIES) for queue in queues))
        return dict(zip(queues, found, strict=True))

    async def _builds(self, queue: str, *kinds: TaskQueueType.ValueType) -> dict[str, str]:
        """Return the build of each worker that polls the queue for tasks of these kinds."""
        since = datetime.now(UTC) - POLLER_MAX_AGE

        async def described(kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
            return await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace,
                    task_queue=TaskQueue(name=queue),
                    task_queue_type=kind,
                )
            )

        answers = await asyncio.gather(*map(described, kinds))
        return {
            poller.identity: _build(poller)
            for answer in answers
            for poller in answer.pollers
            if poller.last_access_time.ToDatetime(UTC) >= since
        }

    def _runs(self, query: str) -> AsyncIterator[WorkflowExecution]:
        """Yield runs, the latest first."""
        return self._client.list_workflows(query, limit=MAX_LISTED_RUNS)

    async def _result(self, run: WorkflowExecution) -> object:
        """Return a result as plain data, whatever version of the worker wrote it."""
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        result: object = await handle.result(follow_runs=False)
        return result


async def _translated(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except RPCError as refusal:
        raise Unreachable(f"Temporal: {refusal.message}") from refusal


def _build(poller: PollerInfo) -> str:
    """Return a worker's build id, in whichever field its SDK sends it."""
    return (
        poller.deployment_options.build_id
        or poller.worker_version_capabilities.build_id
        or "unknown"
    )
