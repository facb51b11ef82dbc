"""Manage the Temporal schedule that checks an estate's readiness, and read its results."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import client
from temporalio.service import RPCError, RPCStatusCode

from starter.client.connection import RPC_TIMEOUT, Temporal
from starter.client.errors import CommandError, ExitCode, translated
from starter.client.operations import workflow_input
from starter.client.readiness import READINESS_TIMEOUT
from workflows.model.request import Request
from workflows.model.task_queues import TASK_QUEUE
from workflows.readiness import Readiness
from workflows.views.readiness_markdown import summary

MIN_INTERVAL = timedelta(minutes=1)
"""A check takes seconds and sends commands to every node."""

MAX_SHOWN_RUNS = 5
"""Of the next runs, and of the last ones."""


@dataclass(frozen=True)
class ScheduledRun:
    """One run of a schedule."""

    at: datetime
    workflow_id: str
    run_id: str
    message: str
    findings: int | None
    """How many; None if the run has no report."""


@dataclass(frozen=True)
class ScheduleStatus:
    """A schedule as Temporal has it, with its next and last runs."""

    id: str
    every: timedelta | None
    """None if the schedule was not made by this console."""
    paused: bool
    accepted: tuple[str, ...]
    next: tuple[datetime, ...]
    last: tuple[ScheduledRun, ...]

    def as_json(self) -> dict[str, Any]:
        """Return what scripts read."""
        every = self.every.total_seconds() if self.every else None
        return {
            **asdict(self),
            "every": every,
            "next": [at.isoformat() for at in self.next],
            "last": [{**asdict(ran), "at": ran.at.isoformat()} for ran in self.last],
        }


def schedule_id(request: Request) -> str:
    """Return the id of the schedule for this estate and direction."""
    return f"readiness-{request.estate}-{request.source}-{request.target}"


async def set_schedule(temporal: Temporal, request: Request, every: timedelta) -> None:
    """Create the schedule, or change its interval and accepted findings."""
    if every < MIN_INTERVAL:
        message = f"--every: the shortest interval is {MIN_INTERVAL.seconds} s"
        raise CommandError(message, ExitCode.BAD_INPUT)
    schedule = _schedule(request, every)

    def update(current: client.ScheduleUpdateInput) -> client.ScheduleUpdate:
        # A schedule that an operator has paused stays paused.
        schedule.state = current.description.schedule.state
        return client.ScheduleUpdate(schedule=schedule)

    with translated():
        try:
            await temporal.client.create_schedule(schedule_id(request), schedule)
        except client.ScheduleAlreadyRunningError:
            await _handle(temporal, request).update(update)


async def delete_schedule(temporal: Temporal, request: Request) -> bool:
    """Delete the schedule; False if there was none."""
    with translated():
        try:
            await _handle(temporal, request).delete()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


async def read_schedule(temporal: Temporal, request: Request) -> ScheduleStatus:
    """Return the schedule with its next and last runs; CommandError if there is none."""
    with translated():
        try:
            found = await _handle(temporal, request).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise CommandError(
                f"there is no schedule {schedule_id(request)}; make one with --every 30m",
                ExitCode.BAD_INPUT,
            ) from error
        recent = list(reversed(found.info.recent_actions))[:MAX_SHOWN_RUNS]
        last = tuple([await _scheduled_run(temporal, result) for result in recent])
    intervals = found.schedule.spec.intervals
    return ScheduleStatus(
        id=found.id,
        every=intervals[0].every if len(intervals) == 1 else None,
        paused=found.schedule.state.paused,
        accepted=await _accepted(temporal, found),
        next=tuple(found.info.next_action_times[:MAX_SHOWN_RUNS]),
        last=last,
    )


def _schedule(request: Request, every: timedelta) -> client.Schedule:
    return client.Schedule(
        action=client.ScheduleActionStartWorkflow(
            Readiness.run,
            workflow_input(request),
            id=schedule_id(request),
            task_queue=TASK_QUEUE,
            execution_timeout=READINESS_TIMEOUT,
            static_summary=f"{request.estate}: {request.source} → {request.target}",
        ),
        spec=client.ScheduleSpec(intervals=[client.ScheduleIntervalSpec(every=every)]),
        policy=client.SchedulePolicy(overlap=client.ScheduleOverlapPolicy.SKIP),
    )


def _handle(temporal: Temporal, request: Request) -> client.ScheduleHandle:
    return temporal.client.get_schedule_handle(schedule_id(request))


async def _accepted(temporal: Temporal, found: client.ScheduleDescription) -> tuple[str, ...]:
    """Return the findings that the schedule's input accepts."""
    action = found.schedule.action
    if not isinstance(action, client.ScheduleActionStartWorkflow) or not action.args:
        return ()
    [given, *_] = await temporal.client.data_converter.decode(list(action.args))
    accept = given.get("accept") if isinstance(given, dict) else None
    return tuple(accept) if isinstance(accept, dict) else ()


async def _scheduled_run(temporal: Temporal, result: client.ScheduleActionResult) -> ScheduledRun:
    action = result.action
    # Every schedule of ours starts a workflow.
    assert isinstance(action, client.ScheduleActionExecutionStartWorkflow)  # noqa: S101
    run_id = action.first_execution_run_id
    run = temporal.client.get_workflow_handle_for(Readiness.run, action.workflow_id, run_id=run_id)
    findings = None
    try:
        status = (await run.describe(rpc_timeout=RPC_TIMEOUT)).status
        if status is client.WorkflowExecutionStatus.COMPLETED:
            report = await run.result()
            message, findings = summary(report), len(report.findings)
        else:
            message = status.name.lower().replace("_", " ") if status else "unknown"
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        message = "Temporal no longer has this run"
    return ScheduledRun(
        at=result.started_at,
        workflow_id=action.workflow_id,
        run_id=run_id,
        message=message,
        findings=findings,
    )
