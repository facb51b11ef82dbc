"""A query does not carry on a run whose clock stands still."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.worker import Replayer, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.support.polling import eventually
from tests.support.stopwatch import LASTS, Stopwatch
from worker.clock_guard import REFUSAL, ClockGuardRunner

QUERIES = 1
"""Sent while no worker runs, so that the next worker probably hears one of them first."""
ATTEMPTS = 40


async def measure(client: Client, runner: WorkflowRunner) -> tuple[float, list[BaseException]]:
    """Let a timer fire between two workers; return the time it took, and failed queries."""
    name = f"stopwatch-{uuid4().hex[:8]}"
    run = await client.start_workflow(Stopwatch.run, id=name, task_queue=name)

    async def happened(kind: EventType.ValueType) -> bool:
        return any(event.event_type == kind for event in (await run.fetch_history()).events)

    def worker() -> Worker:
        return Worker(client, task_queue=name, workflows=[Stopwatch], workflow_runner=runner)

    async with worker():
        await eventually(lambda: happened(EventType.EVENT_TYPE_TIMER_STARTED))
    queries = [asyncio.create_task(run.query(Stopwatch.status)) for _ in range(QUERIES)]
    await eventually(lambda: happened(EventType.EVENT_TYPE_TIMER_FIRED))
    async with worker():
        seconds = await run.result()
        answers = await asyncio.gather(*queries, return_exceptions=True)
    await Replayer(workflows=[Stopwatch], workflow_runner=runner).replay_workflow(
        await run.fetch_history()
    )
    return seconds, [answer for answer in answers if isinstance(answer, BaseException)]


async def test_a_query_that_would_carry_on_the_run_is_refused(temporal: Client) -> None:
    """The workflow task after it has the right time."""
    for _ in range(ATTEMPTS):
        seconds, failed = await measure(temporal, ClockGuardRunner())
        assert seconds >= LASTS.total_seconds()
        if failed:
            assert {type(one) for one in failed} == {WorkflowQueryFailedError}
            assert all(REFUSAL in str(one) for one in failed)
            return
    pytest.fail("no query came first")


async def test_without_the_guard_no_time_passes(temporal: Client) -> None:
    """The SDK still does so; when this fails, `worker/clock_guard.py` can be deleted."""
    for _ in range(ATTEMPTS):
        seconds, _ = await measure(temporal, SandboxedWorkflowRunner())
        if seconds == 0:
            return
    pytest.fail("the clock was right")
