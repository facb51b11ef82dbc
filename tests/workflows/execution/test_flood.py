"""Thousands of signals keep no run from its operators, and push no decision out of the record."""

import asyncio
import os
import time
from collections.abc import Awaitable

import pytest
from temporalio.client import Client

from bench.readiness import busy
from tests.support.run import Run, at_work, new_run
from tests.support.temporal_cli import no_task_failed

GATE = {"approve_before": ["stop_monitors"]}
APPROVAL = {"stage": "stop_monitors", "by": "ann"}
FLOOD = int(os.environ.get("FLOOD", "600"))
"""`scripts/prove` sends 10,000, which is all that the server takes for a run."""
DECIDED_WITHIN = 10.0
BUSY = 6
JUNK: tuple[tuple[str, object], ...] = (
    ("approve", "stop_monitors"),
    ("approve", {"stage": "redirect_traffic", "by": "mallory"}),
    ("retry", {"stage": "stop_monitors", "by": "mallory"}),
    ("aprove", {"stage": "stop_monitors"}),
    ("pause", {"mood": "x" * 3000}),
)


async def flood(run: Run, signals: int) -> None:
    """Send so many signals that decide nothing, a hundred at a time."""
    room = asyncio.Semaphore(100)

    async def one(number: int) -> None:
        async with room:
            name, payload = JUNK[number % len(JUNK)]
            await run.handle.signal(name, payload)

    await asyncio.gather(*map(one, range(signals)))


async def goes_on_in_time(run: Run, approval: Awaitable[object]) -> None:
    """The run goes on within the limit after its approval was sent."""
    began = time.monotonic()
    await approval
    await run.reaches(lambda progress: progress.waiting is None)
    assert time.monotonic() - began < DECIDED_WITHIN


async def is_recorded(run: Run, junk: int) -> None:
    """The outcome has the approval and its sender, counts the junk, and is no large message."""
    outcome = await run.ends("completed")
    [approval] = [one for one in outcome.decisions if one.counted]
    assert (approval.by, approval.sender) == ("ann", run.client.identity)
    assert len(outcome.decisions) + outcome.ignored_messages == junk + 1
    assert len(outcome.model_dump_json()) < 256 * 1024
    assert await no_task_failed(run)


@pytest.mark.timeout(300)
async def test_a_flood_while_no_worker_runs(temporal: Client) -> None:
    """The first worker finds all of it in one workflow task, and the approval behind it."""
    run = new_run(temporal)
    async with at_work(run):
        await run.start(**GATE)
        await run.waits("approval")
    await flood(run, FLOOD - 1)
    async with at_work(run):
        await goes_on_in_time(run, run.handle.signal("approve", APPROVAL))
        await is_recorded(run, FLOOD - 1)


@pytest.mark.timeout(300)
async def test_a_flood_on_a_busy_machine(temporal: Client) -> None:
    """It arrives in many workflow tasks; another worker reads them all again.

    After 10,000 signals the server takes no more; an update still arrives.
    """
    run = new_run(temporal)
    async with at_work(run):
        await run.start(**GATE)
        await run.waits("approval")
        with busy(BUSY):
            await flood(run, FLOOD)
            await run.status()
            await goes_on_in_time(run, run.handle.execute_update("approve", APPROVAL))
    async with at_work(run):
        await is_recorded(run, FLOOD)
