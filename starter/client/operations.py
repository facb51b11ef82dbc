"""What the console asks of Temporal: a plan, a start, a decision, an outcome."""

import asyncio
import json
import shlex
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import TerminatedError, WorkflowAlreadyStartedError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.service import RPCError

from starter.client.connection import RPC_TIMEOUT, Run, Temporal, workflow_id
from starter.client.errors import CommandError, NoWorker, translated
from starter.client.snapshot import Snapshot, read_snapshot, why_silent
from workflows.model.decisions import Decision
from workflows.model.outcome import Outcome
from workflows.model.request import AnyRequest, BaseRequest, RejoinRequest
from workflows.model.task_queues import TASK_QUEUE
from workflows.plan_review import PlanReview
from workflows.planning.preview import Review
from workflows.rejoin import Rejoin
from workflows.switchover import Switchover
from workflows.views.direction import subject

R = TypeVar("R")

PICKUP_TIMEOUT = timedelta(seconds=10)
"""A running worker picks up a new workflow much sooner."""

REVIEW_TIMEOUT = timedelta(minutes=5)
"""Longer than a worker waits for a silent node, and than it compares two storages."""

EVENTS_BEFORE_PICKUP = 2
"""History length of a workflow that no worker has picked up."""


async def review(temporal: Temporal, request: BaseRequest) -> Review:
    """Have a worker plan and read the estate's state; nothing is changed."""
    return await result_of_short_run(
        lambda: temporal.client.start_workflow(
            PlanReview.run,
            workflow_input(request),
            id=f"plan-{request.estate}-{uuid4().hex[:8]}",
            task_queue=TASK_QUEUE,
            execution_timeout=REVIEW_TIMEOUT,
        )
    )


async def result_of_short_run(start: Callable[[], Awaitable[WorkflowHandle[Any, R]]]) -> R:
    """Start a workflow that only reads, and return its result; NoWorker where none takes it up."""
    with translated():
        run = await start()
        guard = asyncio.create_task(_terminate_if_not_picked_up(run))
        try:
            return await run.result()
        except WorkflowFailureError as error:
            if isinstance(error.cause, TemporalTimeoutError | TerminatedError):
                raise NoWorker from error
            raise
        finally:
            guard.cancel()


async def _terminate_if_not_picked_up(run: WorkflowHandle[Any, Any]) -> None:
    """Leave no workflow behind that a later worker would carry out for nothing."""
    await asyncio.sleep(PICKUP_TIMEOUT.total_seconds())
    with suppress(RPCError):
        if (await run.describe()).history_length <= EVENTS_BEFORE_PICKUP:
            await run.terminate("no worker picked it up")


async def start_run(temporal: Temporal, request: AnyRequest) -> Run:
    """Start a switchover or a rejoin; CommandError if a run of this estate is under way."""
    workflow = Rejoin if isinstance(request, RejoinRequest) else Switchover
    with translated():
        try:
            started = await temporal.client.start_workflow(
                workflow.run,
                workflow_input(request),
                id=workflow_id(request.estate),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=subject(request),
            )
        except WorkflowAlreadyStartedError as running:
            raise CommandError(
                f"a run of {request.estate} is under way already (run {running.run_id}); "
                f"`switchover watch {request.estate}` shows it"
            ) from running
    return temporal.run(request.estate, started.result_run_id)


async def first_snapshot(run: Run) -> Snapshot:
    """Wait until the run has a plan or has ended, so that wrong input is reported at once."""
    deadline = time.monotonic() + PICKUP_TIMEOUT.total_seconds()
    while True:
        snapshot = await read_snapshot(run)
        if snapshot.ended or snapshot.progress or snapshot.error or time.monotonic() > deadline:
            return snapshot


async def decide(temporal: Temporal, estate: str, verb: str, decision: Decision) -> str:
    """Send a decision to the run of an estate and return its answer."""
    payload = decision.model_dump(mode="json", exclude_defaults=True)
    try:
        with translated(NoWorker):
            answer: str = await temporal.run(estate).execute_update(
                verb, payload, result_type=str, rpc_timeout=RPC_TIMEOUT
            )
    except NoWorker as silence:
        reason = await why_silent(temporal.run(estate), silence)
        argv = ["temporal", "workflow", "signal", "--workflow-id", workflow_id(estate)]
        signal = shlex.join([*argv, "--name", verb, "--input", json.dumps(payload)])
        raise CommandError(
            f"{reason}; this {verb} may still take effect once a worker runs, so check "
            f"`switchover status {estate}` before you send it again; a signal is kept "
            f"until then: {signal}"
        ) from silence
    return answer


async def finished_outcome(run: Run, estate: str) -> Outcome:
    """Return the outcome of a run; CommandError while it is under way, or if it failed."""
    with translated():
        description = await run.describe(rpc_timeout=RPC_TIMEOUT)
    if description.status is WorkflowExecutionStatus.RUNNING:
        raise CommandError(f"the run is still under way; `switchover watch {estate}` shows it")
    return await outcome_of(run)


async def outcome_of(run: Run) -> Outcome:
    """Wait for the end of a run and return its outcome; CommandError if it failed."""
    with translated():
        return await run.result()


def workflow_input(request: BaseRequest) -> dict[str, object]:
    """Return the JSON object that the Web UI's form would send."""
    return request.model_dump(mode="json", exclude_defaults=True)
