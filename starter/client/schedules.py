"""Looking at an estate's readiness by itself: Temporal's schedule of that, and what came of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionResult,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecutionStatus,
)
from temporalio.service import RPCError, RPCStatusCode

from starter.client.connection import ANSWER, Temporal
from starter.client.errors import Exit, Stop, translated
from starter.client.operations import wished
from starter.client.readiness import LONGEST
from workflows.activity_options import TASK_QUEUE
from workflows.model.request import Request
from workflows.preflight.report import ReadinessReport
from workflows.readiness import Readiness
from workflows.views.readiness_markdown import summary

SHORTEST = timedelta(minutes=1)
"""A look takes seconds, and asks something of every node."""

MOST = 5
"""How many runs are shown, of those to come and of those that were."""


@dataclass(frozen=True)
class Ran:
    """One run of a schedule."""

    at: datetime
    workflow_id: str
    run_id: str
    message: str
    """What came out."""
    findings: int | None
    """How many; None where there is no verdict."""


@dataclass(frozen=True)
class InForce:
    """A schedule as it is in force."""

    id: str
    every: timedelta | None
    """None where someone made it another way."""
    paused: bool
    accepted: tuple[str, ...]
    next: tuple[datetime, ...]
    last: tuple[Ran, ...]

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
    """Return the one id that a schedule of this estate and direction has."""
    return f"readiness-{request.estate}-{request.source}-{request.target}"


async def keep(temporal: Temporal, request: Request, every: timedelta) -> None:
    """Have it looked at so often from now on, whether or not there was a schedule already."""
    if every < SHORTEST:
        raise Stop(f"--every: at least {SHORTEST.seconds} s between two looks", Exit.BAD_INPUT)
    wanted = _schedule(request, every)

    def changed(there: ScheduleUpdateInput) -> ScheduleUpdate:
        # Whoever has paused it meant that.
        wanted.state = there.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    with translated():
        try:
            await temporal.client.create_schedule(schedule_id(request), wanted)
        except ScheduleAlreadyRunningError:
            await _handle(temporal, request).update(changed)


async def drop(temporal: Temporal, request: Request) -> bool:
    """Have it looked at no more; False where there was no schedule."""
    with translated():
        try:
            await _handle(temporal, request).delete()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
    return True


async def in_force(temporal: Temporal, request: Request) -> InForce:
    """Return the schedule as it is in force; Stop where there is none."""
    with translated():
        try:
            there = await _handle(temporal, request).describe(rpc_timeout=ANSWER)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise Stop(
                f"there is no schedule {schedule_id(request)}; make one with --every 30m",
                Exit.BAD_INPUT,
            ) from error
        recent = list(reversed(there.info.recent_actions))[:MOST]
        last = tuple([await _ran(temporal, result) for result in recent])
    intervals = there.schedule.spec.intervals
    return InForce(
        id=there.id,
        every=intervals[0].every if len(intervals) == 1 else None,
        paused=there.schedule.state.paused,
        accepted=await _accepted(temporal, there),
        next=tuple(there.info.next_action_times[:MOST]),
        last=last,
    )


def _schedule(request: Request, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            Readiness.run,
            wished(request),
            id=schedule_id(request),
            task_queue=TASK_QUEUE,
            execution_timeout=LONGEST,
            static_summary=f"{request.estate}: {request.source} → {request.target}",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


def _handle(temporal: Temporal, request: Request) -> ScheduleHandle:
    return temporal.client.get_schedule_handle(schedule_id(request))


async def _accepted(temporal: Temporal, there: ScheduleDescription) -> tuple[str, ...]:
    """Return the findings that may stand in what the schedule asks for."""
    action = there.schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow) or not action.args:
        return ()
    [given, *_] = await temporal.client.data_converter.decode(list(action.args))
    accept = given.get("accept") if isinstance(given, dict) else None
    return tuple(accept) if isinstance(accept, dict) else ()


async def _ran(temporal: Temporal, result: ScheduleActionResult) -> Ran:
    action = result.action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)  # noqa: S101 - ours start one
    run_id = action.first_execution_run_id
    verdict, words = await _outcome(temporal, action.workflow_id, run_id)
    return Ran(
        at=result.started_at,
        workflow_id=action.workflow_id,
        run_id=run_id,
        message=words,
        findings=len(verdict.findings) if verdict else None,
    )


async def _outcome(
    temporal: Temporal, workflow_id: str, run_id: str
) -> tuple[ReadinessReport | None, str]:
    run = temporal.client.get_workflow_handle_for(Readiness.run, workflow_id, run_id=run_id)
    try:
        status = (await run.describe(rpc_timeout=ANSWER)).status
        if status is not WorkflowExecutionStatus.COMPLETED:
            told = status.name.lower().replace("_", " ") if status else "unknown"
            return None, told
        verdict = await run.result()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None, "Temporal has forgotten it"
        raise
    return verdict, summary(verdict)
