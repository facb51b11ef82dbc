"""The `by_node` variant: Edges drain first, then each source Server runs its own chain."""

import asyncio

import pytest
from temporalio.client import Client

from tests.support.run import Run, at_work, new_run
from workflows.errors import CommandFailed
from workflows.model.progress import Progress, Status
from workflows.model.results import Service
from workflows.model.stages import StageName

SLOW, QUICK = "cluster1-server1", "cluster1-server2"
SCHEDULED = ("cluster2-server1", Service.SCHEDULER)


@pytest.fixture
def run(run: Run) -> Run:
    """A run that has not started yet, on a model that judges each node by itself."""
    run.fakes.world.by_node = True
    return run


def is_done(progress: Progress, key: str) -> bool:
    """Whether an action has succeeded."""
    return any(o.status is Status.DONE for s in progress.stages for o in s.actions if o.key == key)


async def test_every_action_is_done_once_and_no_invariant_breaks(run: Run) -> None:
    """The chains together do the whole plan."""
    await run.start(variant="by_node")
    outcome = await run.ends("completed")
    assert run.fakes.world.violations == []
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert run.fakes.asked
    assert set(run.fakes.asked.values()) == {1}


async def test_a_slow_server_delays_only_the_end(run: Run) -> None:
    """While one drains, the other's Transaction Manager stops; `stop_all` waits for both."""
    run.fakes.held[f"await_sessions.{SLOW}"] = asyncio.Event()
    await run.start(variant="by_node")
    progress = await run.reaches(lambda p: is_done(p, f"stop_transaction_manager.{QUICK}"))
    assert not is_done(progress, f"stop_gracefully.{SLOW}.ssh")
    assert progress.stages[StageName.STOP_REMAINING_SERVICES.number].status is Status.PENDING
    run.fakes.held[f"await_sessions.{SLOW}"].set()
    await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_no_server_stops_scheduling_before_the_edges_have_drained(run: Run) -> None:
    """Edges first; meanwhile the source's Schedulers still run."""
    run.fakes.held["await_sessions.cluster1-edge1"] = asyncio.Event()
    await run.start(variant="by_node")
    await run.reaches(lambda p: is_done(p, "await_sessions.cluster1-edge2"))
    assert (SLOW, Service.SCHEDULER) in run.fakes.world.running
    run.fakes.held["await_sessions.cluster1-edge1"].set()
    await run.ends("completed")


async def test_the_target_schedules_only_after_all_of_the_source_has_stopped(run: Run) -> None:
    """Step 5 follows step 4 on all Servers, and waits for no drain."""
    proof = f"verify_scheduling_stopped.{SLOW}"
    run.fakes.held |= {proof: asyncio.Event(), f"await_sessions.{QUICK}": asyncio.Event()}
    await run.start(variant="by_node")
    await run.reaches(lambda p: is_done(p, f"verify_scheduling_stopped.{QUICK}"))
    assert SCHEDULED not in run.fakes.world.running
    run.fakes.held[proof].set()
    await run.reaches(lambda p: is_done(p, "start_scheduling.cluster2-server1"))
    run.fakes.held[f"await_sessions.{QUICK}"].set()
    await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_two_chains_ask_at_once_and_are_answered_one_by_one(run: Run) -> None:
    """Each chain asks its own question; no chain waits for the other's answer."""
    for server in (SLOW, QUICK):
        run.fakes.failures[f"stop_gracefully.{server}.ssh"] = [CommandFailed("no")]
    await run.start(variant="by_node")
    await run.reaches(lambda p: p.waiting is not None and len(p.also_waiting) == 1)
    stage = StageName.DRAIN_PROTOCOL_SERVERS
    await run.says("retry", stage=stage, node=QUICK)
    await run.reaches(lambda p: is_done(p, f"stop_transaction_manager.{QUICK}"))
    await run.says("retry", stage=stage, node=SLOW)
    await run.ends("completed")


async def test_an_abort_in_the_chains_still_starts_the_targets_scheduling(run: Run) -> None:
    """From stage 4's first effect on, no run leaves an estate without scheduling."""
    proof = f"verify_scheduling_stopped.{SLOW}"
    run.fakes.held[proof] = asyncio.Event()
    await run.start(variant="by_node")
    await run.reaches(lambda p: is_done(p, f"stop_scheduling.{SLOW}"))
    await run.says("abort", by="ann", reason="enough")
    run.fakes.held[proof].set()
    await run.ends("aborted")
    assert SCHEDULED in run.fakes.world.running
    assert (SLOW, Service.TRANSACTION_MANAGER) in run.fakes.world.running


async def test_a_roll_back_from_the_chains_restores_the_baseline(run: Run) -> None:
    """Both chains stop wherever they are, and everything is rolled back."""
    before = run.fakes.world.picture
    run.fakes.held[f"await_sessions.{SLOW}"] = asyncio.Event()
    await run.start(variant="by_node")
    await run.reaches(lambda p: is_done(p, f"stop_transaction_manager.{QUICK}"))
    await run.says("roll_back", by="ann", reason="not like this")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before
    assert run.fakes.world.violations == []


async def test_a_failure_in_one_chain_rolls_the_others_back(temporal: Client) -> None:
    """Without Edges the chains begin before the point of no return: `on_fault` rolls them back."""
    estate = new_run(temporal, 2, 1).fakes.estate
    clusters = tuple(c.model_copy(update={"nodes": c.servers}) for c in estate.clusters)
    run = Run(temporal, estate.model_copy(update={"clusters": clusters}))
    run.fakes.world.by_node = True
    before = run.fakes.world.picture
    run.fakes.failures[f"stop_scheduling.{SLOW}"] = [CommandFailed("no")]
    run.fakes.held[f"await_sessions.{QUICK}"] = asyncio.Event()
    async with at_work(run):
        await run.start(variant="by_node", on_fault="roll_back")
        await run.ends("rolled_back")
    assert run.fakes.world.picture == before


async def test_the_gate_of_the_transaction_managers_is_asked_once_for_all(run: Run) -> None:
    """Several chains wait at one gate: one question, one answer."""
    gate = StageName.DRAIN_TRANSACTION_MANAGER
    await run.start(variant="by_node", approve_before=[gate])
    await run.waits("approval")
    progress = await run.reaches(lambda p: is_done(p, f"stop_gracefully.{QUICK}.ssh"))
    assert progress.also_waiting == ()
    await run.says("approve", stage=gate, by="ann")
    await run.ends("completed")
