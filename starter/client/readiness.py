"""Start a readiness check, or join the one that is running, and wait for its report."""

import asyncio
import time
from collections.abc import Iterable
from datetime import timedelta

from rich.console import Console
from rich.status import Status
from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from starter.client.connection import RPC_TIMEOUT, Temporal
from starter.client.errors import CommandError, NoWorker, translated
from starter.client.operations import PICKUP_TIMEOUT, workflow_input
from workflows.model.request import Request
from workflows.model.task_queues import TASK_QUEUE
from workflows.model.text import listed, printable
from workflows.preflight.report import ReadinessReport
from workflows.readiness import Readiness

ReadinessRun = WorkflowHandle[Readiness, ReadinessReport]

POLL_INTERVAL = 0.3
"""Seconds."""

READINESS_TIMEOUT = timedelta(minutes=5)
"""Longer than a worker waits for a silent node; ends a run that no worker picks up."""

MAX_JOINED_RUNS = 5

MAX_SHOWN_PLACES = 4


async def check_readiness(
    temporal: Temporal, request: Request, console: Console
) -> ReadinessReport:
    """Return a report on what was requested.

    A running check of the same estate is joined. If that one is about the other direction or
    accepts other findings, a further run follows it.
    """
    for _ in range(MAX_JOINED_RUNS):
        with translated():
            run = await temporal.client.start_workflow(
                Readiness.run,
                workflow_input(request),
                id=f"readiness-{request.estate}",
                task_queue=TASK_QUEUE,
                execution_timeout=READINESS_TIMEOUT,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"{request.estate}: {request.source} → {request.target}",
            )
        report = await _result(run, console)
        if _answers(report, request):
            return report
    raise CommandError(
        f"{request.estate} is being checked by other operators again and again; try later"
    )


def activity_line(activities: Iterable[PendingActivityInfo]) -> str:
    """Name the places that are being read."""
    # Temporal lists them in a new sequence each time.
    places = sorted({_place(activity) for activity in activities})
    return printable(f"reading {listed(places, MAX_SHOWN_PLACES) or 'the estate'}")


async def _result(run: ReadinessRun, console: Console) -> ReadinessReport:
    with console.status(activity_line(())) as status:  # shows nothing if this is no terminal
        await _wait_for_end(run, status)
    with translated():
        return await run.result()


async def _wait_for_end(run: ReadinessRun, status: Status) -> None:
    """Wait for the end; NoWorker if no worker picks the run up."""
    last_picked_up = time.monotonic()
    while True:
        with translated():
            description = await run.describe(rpc_timeout=RPC_TIMEOUT)
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return
        if not _waits_for_worker(description):
            last_picked_up = time.monotonic()
        elif time.monotonic() - last_picked_up > PICKUP_TIMEOUT.total_seconds():
            raise NoWorker
        status.update(activity_line(description.raw_description.pending_activities))
        await asyncio.sleep(POLL_INTERVAL)


def _waits_for_worker(description: WorkflowExecutionDescription) -> bool:
    raw = description.raw_description
    scheduled = PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
    return raw.HasField("pending_workflow_task") and raw.pending_workflow_task.state == scheduled


def _answers(report: ReadinessReport, request: Request) -> bool:
    requested = (request.estate, request.source, request.target, request.accept)
    return (report.estate, report.source, report.target, report.accepted) == requested


def _place(activity: PendingActivityInfo) -> str:
    """Return the place out of an activity id such as ``observe_node.NODE.1``."""
    parts = activity.activity_id.split(".")
    return parts[1] if len(parts) > 1 else activity.activity_type.name.replace("_", " ")
