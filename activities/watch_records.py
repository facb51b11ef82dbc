"""End an estate's Freeze, and read what watches over the configuration have recorded.

A watch that was ended leaves its record as the Freeze's result. One that was terminated leaves it
in its history: each watch activity was given all that was known by then.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHandle,
)
from temporalio.service import RPCError, RPCStatusCode

from workflows.errors import BadInput, Unreachable
from workflows.model.configuration import TIME, ConfigurationRecord
from workflows.model.freeze import freeze_id, parse_freeze, parse_record
from workflows.ports.configuration import ConfigurationPort, WatchInput

END_TIMEOUT = timedelta(seconds=15)
"""For a Freeze that is cancelled: it ends with its next workflow task."""
WATCH = ConfigurationPort.watch_configuration.__name__


class WatchRecords:
    """Reads the records of one Temporal namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def take_over(self, estate: str) -> ConfigurationRecord | None:
        """End the estate's Freeze and return the newest record; None where nobody has watched.

        Raises:
            Unreachable: the Freeze did not end in time.
        """
        freeze = await self._described(freeze_id(estate))
        if freeze is not None and freeze.close_time is None:
            freeze = await self._ended(freeze)
        last = await self._last_run(estate)
        newest = max(
            (one for one in (freeze, last) if one is not None and one.close_time is not None),
            key=lambda one: one.close_time or datetime.min.replace(tzinfo=UTC),
            default=None,
        )
        if newest is None:
            return None
        record = await self._record(newest)
        if record is None or newest.close_time is None:
            return None
        handed_over = newest is freeze and newest.status is WorkflowExecutionStatus.COMPLETED
        if handed_over and datetime.now(UTC) - newest.close_time < END_TIMEOUT:
            return record
        return record.with_gap(
            f"no Freeze watched from {newest.close_time:{TIME}} to {datetime.now(UTC):{TIME}}"
        )

    async def _ended(self, freeze: WorkflowExecutionDescription) -> WorkflowExecutionDescription:
        handle = self._client.get_workflow_handle(freeze.id)
        await handle.cancel()
        deadline = datetime.now(UTC) + END_TIMEOUT
        while (there := await self._described(freeze.id)) is not None:
            if there.close_time is not None:
                return there
            if datetime.now(UTC) > deadline:
                raise Unreachable(f"{freeze.id} was cancelled, and has not ended yet")
            await asyncio.sleep(0.1)  # between two questions
        raise Unreachable(f"Temporal does not know {freeze.id} any more")

    async def _described(self, workflow_id: str) -> WorkflowExecutionDescription | None:
        try:
            return await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as refusal:
            if refusal.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def _last_run(self, estate: str) -> WorkflowExecutionDescription | None:
        """Return the last run of the estate that was cut off, as far as Temporal lists it."""
        query = (
            f"WorkflowId = 'switchover-{estate}' AND ExecutionStatus IN "
            "('Terminated', 'Failed', 'TimedOut', 'Canceled')"
        )
        async for run in self._client.list_workflows(query, limit=1):
            handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
            return await handle.describe()
        return None

    async def _record(self, run: WorkflowExecutionDescription) -> ConfigurationRecord | None:
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        if run.id.startswith("freeze-") and run.status is WorkflowExecutionStatus.COMPLETED:
            return parse_record(await handle.result(follow_runs=False))
        return await self._last_given(handle)

    async def _last_given(self, handle: WorkflowHandle[Any, Any]) -> ConfigurationRecord | None:
        """Return what the last watch of a history was given, or else what its Freeze began with."""
        found: ConfigurationRecord | None = None
        async for event in handle.fetch_history_events():
            match event.event_type:
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                    started = event.workflow_execution_started_event_attributes
                    if started.workflow_type.name == "Freeze":
                        found = await self._begun_with(started.input)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    scheduled = event.activity_task_scheduled_event_attributes
                    if scheduled.activity_type.name == WATCH:
                        found = await self._given(scheduled.input) or found
        return found

    async def _begun_with(self, given: Payloads) -> ConfigurationRecord | None:
        try:
            return parse_freeze(await self._client.data_converter.decode(given.payloads)).record
        except BadInput:
            return None

    async def _given(self, given: Payloads) -> ConfigurationRecord | None:
        try:
            [one] = await self._client.data_converter.decode(given.payloads, [WatchInput])
        except (ValidationError, ValueError, RuntimeError):
            return None  # of another version
        return one.record if isinstance(one, WatchInput) else None
