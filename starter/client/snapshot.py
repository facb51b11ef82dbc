"""What can be seen of a run from here: its progress, and what its pending activities say."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.client.connection import ANSWER, Run
from starter.client.errors import NoWorker, Stop, translated
from workflows.model.progress import Progress
from workflows.model.results import Remaining, RemainingQueue, RemainingSessions
from workflows.ports.drain import DrainPort
from workflows.switchover import Switchover

HEARTBEATS: dict[str, type[Remaining]] = {
    DrainPort.await_sessions.__name__: RemainingSessions,
    DrainPort.await_queue.__name__: RemainingQueue,
    DrainPort.await_in_flight_events.__name__: RemainingQueue,
}


@dataclass(frozen=True)
class Pending:
    """An activity that is under way, as Temporal sees it."""

    activity_id: str
    attempt: int
    remaining: Remaining | None
    """What the last heartbeat of a wait said."""
    error: str
    """Why the attempt before failed."""


@dataclass(frozen=True)
class Snapshot:
    """One look at a run."""

    progress: Progress | None
    """None where the run has no plan yet, or nobody could be asked."""
    pending: tuple[Pending, ...] = ()
    over: bool = False
    error: str = ""
    """Why not everything could be seen."""


async def look(run: Run) -> Snapshot:
    """Look at a run, whether or not a worker answers.

    Raises:
        Stop: there is no such run, or Temporal does not answer.
    """
    with translated():
        description = await run.describe(rpc_timeout=ANSWER)
    raw = description.raw_description.pending_activities
    pending = tuple([await _pending(activity) for activity in raw])
    over = description.status is not WorkflowExecutionStatus.RUNNING
    try:
        with translated(NoWorker):
            progress = await run.query(Switchover.status, rpc_timeout=ANSWER)
    except Stop as silence:
        return Snapshot(progress=None, pending=pending, over=over, error=str(silence))
    return Snapshot(progress=progress, pending=pending, over=over)


async def _pending(activity: PendingActivityInfo) -> Pending:
    kind = HEARTBEATS.get(activity.activity_type.name)
    payloads = activity.heartbeat_details.payloads
    left = None
    if kind is not None and payloads:
        [left] = await pydantic_data_converter.decode(payloads, [kind])
    return Pending(
        activity_id=activity.activity_id,
        attempt=activity.attempt,
        remaining=left,
        error=activity.last_failure.message,
    )
