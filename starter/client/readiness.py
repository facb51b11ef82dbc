"""Looking at an estate's readiness from here: a run is started, or joined, and waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from datetime import timedelta

from rich.console import Console
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from starter.client.connection import ANSWER, Temporal
from starter.client.errors import NoWorker, Stop, translated
from starter.client.operations import BEGUN, wished
from starter.client.sanitize import clean
from workflows.activity_options import TASK_QUEUE
from workflows.model.request import Request
from workflows.preflight.report import ReadinessReport
from workflows.readiness import Readiness

Look = WorkflowHandle[Readiness, ReadinessReport]

GLANCE = 0.3
"""Seconds between two looks at a run."""

LONGEST = timedelta(minutes=5)
"""A place that does not answer is given up sooner; a run that no worker takes does not stay."""

TRIES = 5
"""How many runs of others are waited for, before someone is told."""

MOST_PLACES = 4


async def looked(temporal: Temporal, request: Request, console: Console) -> ReadinessReport:
    """Return a verdict on what was asked; Stop where none can be had.

    A run of the same estate that is under way is joined. It may be about the way back, or about
    other findings that may stand: then another one follows.
    """
    for _ in range(TRIES):
        with translated():
            run = await temporal.client.start_workflow(
                Readiness.run,
                wished(request),
                id=f"readiness-{request.estate}",
                task_queue=TASK_QUEUE,
                execution_timeout=LONGEST,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"{request.estate}: {request.source} → {request.target}",
            )
        verdict = await _ended(run, console)
        if _answers(verdict, request):
            return verdict
    raise Stop(f"{request.estate} is being checked for others again and again; try later")


def under_way(activities: Iterable[PendingActivityInfo]) -> str:
    """Say what is being looked at."""
    # Temporal names them in an order of its own, another one each time.
    places = sorted({_place(activity) for activity in activities})
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return clean(f"looking at {', '.join(places[:MOST_PLACES]) or 'the estate'}{more}")


async def _ended(run: Look, console: Console) -> ReadinessReport:
    live = console.status(under_way(())) if console.is_terminal else nullcontext()
    with live as status:
        await _over(run, status.update if status is not None else _nothing)
    with translated():
        return await run.result()


async def _over(run: Look, tell: Callable[[str], None]) -> None:
    """Wait for the end; NoWorker where nobody takes the run up."""
    taken = time.monotonic()
    while True:
        with translated():
            description = await run.describe(rpc_timeout=ANSWER)
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return
        if not _is_untaken(description):
            taken = time.monotonic()
        elif time.monotonic() - taken > BEGUN.total_seconds():
            raise NoWorker
        tell(under_way(description.raw_description.pending_activities))
        await asyncio.sleep(GLANCE)


def _is_untaken(description: WorkflowExecutionDescription) -> bool:
    raw = description.raw_description
    waits = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    return raw.HasField("pending_workflow_task") and raw.pending_workflow_task.state == waits


def _answers(verdict: ReadinessReport, request: Request) -> bool:
    wanted = (request.estate, request.source, request.target, request.accept)
    return (verdict.estate, verdict.source, verdict.target, verdict.accepted) == wanted


def _place(activity: PendingActivityInfo) -> str:
    """An order's activity is named by what, where and which round."""
    parts = activity.activity_id.split(".")
    return parts[1] if len(parts) > 1 else activity.activity_type.name.replace("_", " ")


def _nothing(_: str) -> None:
    """Where nobody looks, nobody is told."""
