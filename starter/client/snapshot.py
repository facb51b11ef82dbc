"""Read a run's progress and its pending activities."""

from dataclasses import dataclass

from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.client.connection import RPC_TIMEOUT, Run
from starter.client.errors import CommandError, NoAnswer, NoWorker, TaskFails, translated
from workflows.model.progress import Progress
from workflows.model.results import Remaining, RemainingQueue, RemainingSessions
from workflows.ports.drain import DrainPort
from workflows.switchover import Switchover
from workflows.task_failure import attempts, task_failure

HEARTBEATS: dict[str, type[Remaining]] = {
    DrainPort.await_sessions.__name__: RemainingSessions,
    DrainPort.await_queue.__name__: RemainingQueue,
    DrainPort.await_in_flight_events.__name__: RemainingQueue,
}

FAILED_ONCE = 2
"""The attempt of a workflow task after one that failed, or in which its worker died."""


@dataclass(frozen=True)
class Pending:
    """An activity in progress, as Temporal describes it."""

    activity_id: str
    attempt: int
    remaining: Remaining | None
    """The details of a wait's last heartbeat."""
    error: str
    """Why the previous attempt failed."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a run at one moment."""

    progress: Progress | None
    """None while the run has no plan, or if no worker answers."""
    pending: tuple[Pending, ...] = ()
    ended: bool = False
    error: str = ""
    """Why the snapshot is incomplete."""


async def read_snapshot(run: Run) -> Snapshot:
    """Read the state of a run, whether or not a worker answers.

    Raises:
        CommandError: there is no such run, or Temporal does not answer.
    """
    with translated():
        description = await run.describe(rpc_timeout=RPC_TIMEOUT)
    raw = description.raw_description.pending_activities
    pending = tuple([await _pending(activity) for activity in raw])
    ended = description.status is not WorkflowExecutionStatus.RUNNING
    try:
        progress = await _progress(run)
    except CommandError as error:
        return Snapshot(progress=None, pending=pending, ended=ended, error=str(error))
    return Snapshot(progress=progress, pending=pending, ended=ended)


async def _progress(run: Run) -> Progress | None:
    """Ask the run; once more if its worker refuses (see ``worker.clock_guard``)."""
    try:
        with translated(NoWorker):
            try:
                return await run.query(Switchover.status, rpc_timeout=RPC_TIMEOUT)
            except WorkflowQueryFailedError:
                return await run.query(Switchover.status, rpc_timeout=RPC_TIMEOUT)
    except NoWorker as silence:
        raise await why_silent(run, silence) from silence


async def why_silent(run: Run, silence: NoWorker) -> NoAnswer:
    """Return why no worker answers for a run: none is there, or its workflow task fails."""
    with translated():
        if attempts(await run.describe(rpc_timeout=RPC_TIMEOUT)) < FAILED_ONCE:
            return silence
        events = [event async for event in run.fetch_history_events(rpc_timeout=RPC_TIMEOUT)]
    failure = task_failure(events)
    return silence if failure is None else TaskFails(failure)


async def _pending(activity: PendingActivityInfo) -> Pending:
    kind = HEARTBEATS.get(activity.activity_type.name)
    payloads = activity.heartbeat_details.payloads
    remaining = None
    if kind is not None and payloads:
        [remaining] = await pydantic_data_converter.decode(payloads, [kind])
    return Pending(
        activity_id=activity.activity_id,
        attempt=activity.attempt,
        remaining=remaining,
        error=activity.last_failure.message,
    )
