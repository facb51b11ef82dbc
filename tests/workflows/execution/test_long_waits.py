"""Waits of days, with the workflow's clock moved forward on a real server."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.run import Run, at_work, new_run
from workflows.model.results import Service, State
from workflows.model.stages import StageName


@pytest.fixture
async def run(clockwork: WorkflowEnvironment) -> AsyncIterator[Run]:
    """A run whose clock can be moved forward."""
    async with at_work(run := new_run(clockwork.client)):
        yield run


async def test_after_a_long_wait_the_checks_run_again(
    run: Run, clockwork: WorkflowEnvironment
) -> None:
    """Ten minutes at a gate, a target that went down meanwhile: nothing is moved onto it."""
    await run.start(approve_before=["redirect_traffic"])
    await run.waits("approval")
    await clockwork.fast_forward(run.handle, timedelta(minutes=10))
    down = {**run.fakes.services("cluster2-edge1"), Service.SSH: State.STOPPED}
    run.fakes.readings["cluster2-edge1"] = {"services": down}
    await run.handle.signal("approve", {"stage": "redirect_traffic"})
    question = await run.waits("decision")
    assert "cluster2-edge1: protocol_server_not_running" in question.message
    assert len(run.fakes.world.replicating) == 2
    run.fakes.readings.clear()
    await run.handle.signal("retry", {"stage": "suspend_replication"})
    await run.ends("completed")


async def test_a_short_wait_costs_no_recheck(run: Run, clockwork: WorkflowEnvironment) -> None:
    """Four minutes at a gate: every observation was made once."""
    await run.start(approve_before=["redirect_traffic"])
    await run.waits("approval")
    await clockwork.fast_forward(run.handle, timedelta(minutes=4))
    await run.handle.signal("approve", {"stage": "redirect_traffic"})
    await run.ends("completed")
    assert set(run.fakes.asked.values()) == {1}


async def test_a_month_at_a_gate_stays_small(run: Run, clockwork: WorkflowEnvironment) -> None:
    """Thirty days of waiting are a handful of events, and an answer still counts."""
    await run.start(approve_before=["redirect_traffic"])
    await run.waits("approval")
    before = (await run.handle.describe()).history_length
    await clockwork.fast_forward(run.handle, timedelta(days=31))
    after = (await run.handle.describe()).history_length
    assert after - before < 20
    progress = await run.status()
    assert progress is not None
    assert progress.stage is StageName.SUSPEND_REPLICATION
    await run.handle.signal("approve", {"stage": "redirect_traffic"})
    await run.ends("completed")
