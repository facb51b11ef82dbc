"""A run after a terminated one continues on the estate as it is, or refuses."""

import asyncio

import pytest

from tests.support.run import Run
from workflows.errors import NotReady
from workflows.model.results import Service, State

NAMES = {
    "redirect_traffic": "redirect.loadbalancer1.cluster2",
    "stop_scheduling": "stop_scheduling.cluster1-server2",
    "start_scheduling": "start_scheduling.cluster2-server2",
    "drain_protocol_servers": "stop_gracefully.cluster1-edge2.ssh",
    "drain_transaction_manager": "stop_transaction_manager.cluster1-server2",
    "stop_remaining_services": "stop_remaining.cluster1-edge2",
}
"""An action of each stage, during which a run is terminated."""


@pytest.fixture
def run(wide_run: Run) -> Run:
    """Two nodes of a kind: one of them may be further than the other."""
    return wide_run


async def interrupt(run: Run, key: str) -> None:
    """Start a run, and terminate it during this action, which has no effect then."""
    run.fakes.held[key] = asyncio.Event()
    await run.start()
    await run.reaches(lambda _: any(key in operation for operation in run.fakes.asked))
    await run.handle.terminate("the operator pressed the wrong button")
    run.fakes.failures[key] = [NotReady("the worker has gone")]
    run.fakes.held.pop(key).set()
    await run.acts_no_more(key)
    run.fakes.failures.clear()


@pytest.mark.parametrize("stage", NAMES)
async def test_the_same_roles_go_on_from_where_it_was(run: Run, stage: str) -> None:
    """The next run reads the estate, and completes what the terminated one has not done.

    The opposite direction does not undo it: it is refused with what was found.
    """
    await interrupt(run, NAMES[stage])
    before = run.fakes.world.picture
    await run.start(source="cluster2", target="cluster1")
    assert "replication_not_running" in await run.failure()
    assert run.fakes.world.picture == before
    await run.start()
    outcome = await run.ends("completed")
    assert run.fakes.world.violations == []
    assert [f.name for f in outcome.findings if f.name == "half_switched"] == ["half_switched"]
    assert ("cluster2-server1", Service.SCHEDULER) in run.fakes.world.running
    assert not any(node.startswith("cluster1") for node, _ in run.fakes.world.running)


@pytest.mark.parametrize("stage", NAMES)
async def test_the_same_roles_can_be_rolled_back(run: Run, stage: str) -> None:
    """An operator can have the next run roll back what the terminated one had begun."""
    before = run.fakes.world.picture
    await interrupt(run, NAMES[stage])
    await run.start(approve_before=["stop_monitors"])
    await run.waits("approval")
    await run.says("roll_back", by="ann", reason="back to where we were")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before
    assert run.fakes.world.violations == []


async def test_a_switchover_that_was_done_is_not_done_again(run: Run) -> None:
    """There is nothing to do; most likely source and target are swapped."""
    await run.start()
    await run.ends("completed")
    await run.start()
    assert "already_switched_over" in await run.failure()


async def test_replication_that_is_merely_off_is_no_half_switched_estate(run: Run) -> None:
    """While the source's Monitors run, no switchover has begun."""
    run.fakes.world.replicating.clear()
    await run.start()
    assert "replication_not_running" in await run.failure()


async def test_a_gap_in_the_chain_is_checked_as_usual(run: Run) -> None:
    """A stopped protocol server on a source with traffic was not stopped by a switchover."""
    await interrupt(run, "redirect.loadbalancer1.cluster2")
    run.fakes.world.traffic = {"loadbalancer1": "cluster1"}
    down = {**run.fakes.services("cluster1-edge1"), Service.SSH: State.STOPPED}
    run.fakes.readings["cluster1-edge1"] = {"services": down}
    await run.start()
    assert "protocol_server_not_running" in await run.failure()
