"""What the console asks of Temporal: a plan, a start, a decision, an outcome."""

from __future__ import annotations

import asyncio
import json
import shlex
import time
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import TerminatedError, WorkflowAlreadyStartedError
from temporalio.exceptions import TimeoutError as RanOutOfTime
from temporalio.service import RPCError

from starter.client.connection import ANSWER, Run, Temporal, workflow_id
from starter.client.errors import NO_WORKER, NoWorker, Stop, translated
from starter.client.snapshot import Snapshot, look
from workflows.activity_options import TASK_QUEUE
from workflows.model.decisions import Decision
from workflows.model.outcome import Outcome
from workflows.model.request import Request
from workflows.plan_review import PlanReview
from workflows.planning.preview import Review
from workflows.switchover import Switchover

BEGUN = timedelta(seconds=10)
"""A worker that is there takes what it is asked much sooner."""

REVIEW = timedelta(minutes=5)
"""A place that does not answer is given up sooner, and storages have been compared."""

UNSEEN = 2
"""Events of a workflow that no worker has ever taken up."""


async def review(temporal: Temporal, request: Request) -> Review:
    """Have a worker plan and look, and change nothing; Stop where it cannot."""
    with translated():
        asked = await temporal.client.start_workflow(
            PlanReview.run,
            wished(request),
            id=f"plan-{request.estate}-{uuid4().hex[:8]}",
            task_queue=TASK_QUEUE,
            execution_timeout=REVIEW,
        )
        watching = asyncio.create_task(_end_unseen(asked))
        try:
            return await asked.result()
        except WorkflowFailureError as error:
            if isinstance(error.cause, RanOutOfTime | TerminatedError):
                raise NoWorker from error
            raise
        finally:
            watching.cancel()


async def _end_unseen(asked: WorkflowHandle[PlanReview, Review]) -> None:
    """End what no worker takes up in time: nobody waits for it any longer."""
    await asyncio.sleep(BEGUN.total_seconds())
    with suppress(RPCError):
        if (await asked.describe()).history_length <= UNSEEN:
            await asked.terminate("no worker took it up")


async def begin(temporal: Temporal, request: Request) -> Run:
    """Start a switchover; Stop where one of this estate is under way."""
    with translated():
        try:
            started = await temporal.client.start_workflow(
                Switchover.run,
                wished(request),
                id=workflow_id(request.estate),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                static_summary=f"{request.estate}: {request.source} → {request.target}",
            )
        except WorkflowAlreadyStartedError as there:
            raise Stop(
                f"a switchover of {request.estate} is under way already (run {there.run_id}); "
                f"`switchover watch {request.estate}` shows it"
            ) from there
    return temporal.run(request.estate, started.result_run_id)


async def settled(run: Run) -> Snapshot:
    """Look until the run has a plan, has ended or nobody answers: a wrong input shows at once."""
    give_up = time.monotonic() + BEGUN.total_seconds()
    while True:
        sight = await look(run)
        if sight.over or sight.progress or sight.error or time.monotonic() > give_up:
            return sight


async def decide(temporal: Temporal, estate: str, verb: str, decision: Decision) -> str:
    """Tell a run what an operator decided, and return its answer; Stop where it refuses."""
    payload = decision.model_dump(mode="json", exclude_defaults=True)
    try:
        with translated(NoWorker):
            answer: str = await temporal.run(estate).execute_update(
                verb, payload, result_type=str, rpc_timeout=ANSWER
            )
    except NoWorker as silence:
        words = ["temporal", "workflow", "signal", "--workflow-id", workflow_id(estate)]
        signal = shlex.join([*words, "--name", verb, "--input", json.dumps(payload)])
        raise Stop(
            f"{NO_WORKER}; this {verb} may count as soon as one is there, so look with "
            f"`switchover status {estate}` before you say it again; a signal is kept "
            f"whatever happens: {signal}"
        ) from silence
    return answer


async def ended(run: Run, estate: str) -> Outcome:
    """Return the outcome of a run; Stop while it is under way, or where it failed."""
    with translated():
        description = await run.describe(rpc_timeout=ANSWER)
    if description.status is WorkflowExecutionStatus.RUNNING:
        raise Stop(f"the switchover is still under way; `switchover watch {estate}` shows it")
    return await outcome_of(run)


async def outcome_of(run: Run) -> Outcome:
    """Return what a run that has ended came to; Stop where it failed."""
    with translated():
        return await run.result()


def wished(request: Request) -> dict[str, object]:
    """Return the JSON object that a form of the Web UI would send."""
    return request.model_dump(mode="json", exclude_defaults=True)
