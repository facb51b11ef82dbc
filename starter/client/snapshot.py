"""What can be seen of a run from here: its progress, and what its pending activities say."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionStatus
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.client.connection import ANSWER, Run
from starter.client.errors import NoWorker, Stop, translated
from workflows.model.progress import Progress
from workflows.model.results import Left, QueueLeft, SessionsLeft
from workflows.ports.contract import Waits
from workflows.switchover import Switchover

HEARTBEATS: dict[str, type[Left]] = {
    Waits.await_sessions.__name__: SessionsLeft,
    Waits.await_queue.__name__: QueueLeft,
    Waits.await_work_in_hand.__name__: QueueLeft,
}


@dataclass(frozen=True)
class Pending:
    """An activity that is under way, as Temporal sees it."""

    activity_id: str
    attempt: int
    left: Left | None
    """What the last heartbeat of a wait said."""
    trouble: str
    """Why the attempt before failed."""


@dataclass(frozen=True)
class Sight:
    """One look at a run."""

    progress: Progress | None
    """None where the run has no plan yet, or nobody could be asked."""
    pending: tuple[Pending, ...] = ()
    over: bool = False
    trouble: str = ""
    """Why not everything could be seen."""


async def look(run: Run) -> Sight:
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
        return Sight(progress=None, pending=pending, over=over, trouble=str(silence))
    return Sight(progress=progress, pending=pending, over=over)


async def _pending(activity: PendingActivityInfo) -> Pending:
    kind = HEARTBEATS.get(activity.activity_type.name)
    payloads = activity.heartbeat_details.payloads
    left = None
    if kind is not None and payloads:
        [left] = await pydantic_data_converter.decode(payloads, [kind])
    return Pending(
        activity_id=activity.activity_id,
        attempt=activity.attempt,
        left=left,
        trouble=activity.last_failure.message,
    )
