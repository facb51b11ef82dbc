"""The `by_node` variant: scheduling moves first, then each source Server drains at its own pace."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from tests.support.run import Run, at_work, new_run
from workflows.errors import CommandFailed
from workflows.model.progress import Progress, Status
from workflows.model.results import Service, State
from workflows.model.stages import StageName

SLOW, QUICK = "cluster1-server1", "cluster1-server2"
EDGE = "cluster1-edge1"
NODES = (SLOW, QUICK, EDGE)
SCHEDULED = ("cluster2-server1", Service.SCHEDULER)
DRAIN = StageName.DRAIN_PROTOCOL_SERVERS


def by_node(run: Run) -> Run:
    """Let the model judge each node by itself."""
    run.fakes.world.by_node = True
    return run


@pytest.fixture
def run(wide_run: Run) -> Run:
    """A run that has not started yet."""
    return by_node(wide_run)


def without_edges(client: Client) -> Run:
    """Return a run on an estate whose clients reach the Servers."""
    estate = new_run(client, 2, 1).fakes.estate
    clusters = tuple(c.model_copy(update={"nodes": c.servers}) for c in estate.clusters)
    return by_node(Run(client, estate.model_copy(update={"clusters": clusters})))


def is_done(progress: Progress, key: str) -> bool:
    """Whether an action has succeeded."""
    return any(o.status is Status.DONE for s in progress.stages for o in s.actions if o.key == key)


def done(*keys: str) -> Callable[[Progress], bool]:
    """Whether all of these actions have succeeded."""
    return lambda progress: all(is_done(progress, key) for key in keys)


def hold(run: Run, key: str) -> asyncio.Event:
    """Let an action last until the event is set."""
    run.fakes.held[key] = asyncio.Event()
    return run.fakes.held[key]


async def test_every_action_is_done_once_and_no_invariant_breaks(run: Run) -> None:
    """The chains together do the whole plan."""
    await run.start(variant="by_node")
    outcome = await run.ends("completed")
    assert run.fakes.world.violations == []
    assert all(stage.status is Status.DONE for stage in outcome.stages)
    assert run.fakes.asked
    assert set(run.fakes.asked.values()) == {1}


async def test_an_estate_without_edges_has_a_chain_for_each_server(temporal: Client) -> None:
    """No Server waits for another one."""
    run = without_edges(temporal)
    drained = hold(run, f"await_sessions.{SLOW}")
    async with at_work(run):
        await run.start(variant="by_node")
        await run.reaches(done(f"stop_remaining.{QUICK}"))
        drained.set()
        await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_while_an_edge_drains_the_target_schedules_already(run: Run) -> None:
    """A drain may take a day: the Servers drain meanwhile, and only their TMs wait for the Edge."""
    drained = hold(run, f"await_sessions.{EDGE}")
    await run.start(variant="by_node")
    servers = [f"stop_gracefully.{server}.ssh" for server in (SLOW, QUICK)]
    progress = await run.reaches(done(*servers))
    assert {place for place, service in run.fakes.world.running if service is SCHEDULED[1]} == {
        "cluster2-server1",
        "cluster2-server2",
    }
    assert progress.stage is DRAIN
    assert (EDGE, Service.SSH) in run.fakes.world.running
    assert not [key for key in run.fakes.asked if key.startswith("drain_transaction_manager")]
    drained.set()
    await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_a_slow_server_delays_no_other(run: Run) -> None:
    """While it drains, the other one is stopped wholly; the Edges' proxies run on for it."""
    drained = hold(run, f"await_sessions.{SLOW}")
    await run.start(variant="by_node")
    progress = await run.reaches(done(f"stop_remaining.{QUICK}"))
    assert not is_done(progress, f"stop_gracefully.{SLOW}.ssh")
    assert not {place for place, _ in run.fakes.world.running if place == QUICK}
    assert (SLOW, Service.TRANSACTION_MANAGER) in run.fakes.world.running
    assert (EDGE, Service.ADMIN) in run.fakes.world.running
    drained.set()
    await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_the_target_schedules_only_after_all_of_the_source_has_stopped(run: Run) -> None:
    """Step 5 follows step 4 on all Servers, and nothing drains before it has ended."""
    proven = hold(run, f"verify_scheduling_stopped.{SLOW}")
    await run.start(variant="by_node")
    await run.reaches(done(f"verify_scheduling_stopped.{QUICK}"))
    assert SCHEDULED not in run.fakes.world.running
    started = hold(run, "start_scheduling.cluster2-server1")
    proven.set()
    await run.reaches(done("start_scheduling.cluster2-server2"))
    assert not [key for key in run.fakes.asked if key.startswith(DRAIN)]
    started.set()
    await run.ends("completed")


async def test_two_chains_ask_at_once_and_are_answered_one_by_one(run: Run) -> None:
    """Each chain asks its own question; no chain waits for the other's answer."""
    for server in (SLOW, QUICK):
        run.fakes.failures[f"stop_gracefully.{server}.ssh"] = [CommandFailed("no")]
    await run.start(variant="by_node")
    await run.reaches(lambda p: p.waiting is not None and len(p.also_waiting) == 1)
    await run.says("retry", stage=DRAIN, node=QUICK)
    await run.reaches(done(f"stop_transaction_manager.{QUICK}"))
    await run.says("retry", stage=DRAIN, node=SLOW)
    await run.ends("completed")


async def test_an_abort_before_the_chains_still_starts_the_targets_scheduling(run: Run) -> None:
    """From stage 4's first effect on, no run leaves an estate without scheduling."""
    proven = hold(run, f"verify_scheduling_stopped.{SLOW}")
    await run.start(variant="by_node")
    await run.reaches(done(f"stop_scheduling.{SLOW}"))
    await run.says("abort", by="ann", reason="enough")
    proven.set()
    await run.ends("aborted")
    assert SCHEDULED in run.fakes.world.running
    assert not [key for key in run.fakes.asked if key.startswith(DRAIN)]


async def test_an_abort_ends_every_chain(run: Run) -> None:
    """Also those that wait for another one: the target schedules, so nothing has to go on."""
    hold(run, f"await_sessions.{EDGE}")
    await run.start(variant="by_node")
    await run.reaches(done(f"stop_gracefully.{SLOW}.ssh", f"stop_gracefully.{QUICK}.ssh"))
    await run.says("abort", by="ann", reason="enough")
    await run.ends("aborted")
    assert SCHEDULED in run.fakes.world.running
    assert (SLOW, Service.TRANSACTION_MANAGER) in run.fakes.world.running


async def test_a_roll_back_from_the_chains_restores_the_baseline(run: Run) -> None:
    """All chains stop wherever they are, and everything is rolled back."""
    before = run.fakes.world.picture
    hold(run, f"await_sessions.{SLOW}")
    await run.start(variant="by_node")
    await run.reaches(done(f"stop_remaining.{QUICK}"))
    await run.says("roll_back", by="ann", reason="not like this")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before
    assert run.fakes.world.violations == []


async def test_a_failure_in_one_chain_rolls_the_others_back(run: Run) -> None:
    """The chains begin before the point of no return: `on_fault` rolls all of them back."""
    before = run.fakes.world.picture
    for place in (EDGE, QUICK):
        hold(run, f"await_sessions.{place}")
    run.fakes.failures[f"await_sessions.{SLOW}"] = [CommandFailed("no")]
    await run.start(variant="by_node", on_fault="roll_back")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before


@pytest.mark.parametrize("gate", [DRAIN, StageName.STOP_REMAINING_SERVICES])
async def test_a_gate_of_several_chains_is_asked_once(run: Run, gate: StageName) -> None:
    """Several chains wait at one gate: one question, one answer."""
    await run.start(variant="by_node", approve_before=[gate])
    await run.waits("approval")
    managers = [f"stop_transaction_manager.{server}" for server in (SLOW, QUICK)]
    reached = done("start_scheduling.cluster2-server1", *([] if gate is DRAIN else managers))
    progress = await run.reaches(reached)
    assert progress.also_waiting == ()
    assert not [key for key in run.fakes.asked if key.startswith(gate)]
    await run.says("approve", stage=gate, by="ann")
    await run.ends("completed")


async def test_the_gate_of_the_transaction_managers_does_not_stop_the_edges(run: Run) -> None:
    """That an Edge's protocol servers are down is verified before anyone approves stage 7."""
    gate = StageName.DRAIN_TRANSACTION_MANAGER
    await run.start(variant="by_node", approve_before=[gate])
    await run.waits("approval")
    progress = await run.reaches(done(f"stop_gracefully.{SLOW}.ssh", f"verify_stopped.{EDGE}"))
    assert progress.also_waiting == ()
    await run.says("approve", stage=gate, by="ann")
    await run.ends("completed")


async def test_a_rejected_gate_of_several_chains_rolls_back(run: Run) -> None:
    """Nothing has drained yet, so no decision is needed."""
    before = run.fakes.world.picture
    await run.start(variant="by_node", approve_before=[DRAIN])
    await run.waits("approval")
    await run.says("reject", stage=DRAIN, by="ann", reason="not tonight")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before


async def test_a_server_that_is_down_waits_for_no_queue(run: Run) -> None:
    """The others wait for it in their own chains; the search for files moves to one of them."""
    silence = ApplicationError("no answer", type="Unreachable", non_retryable=True)
    run.fakes.failures[f"stop_gracefully.{SLOW}.ssh"] = [silence]
    empty = hold(run, f"await_queue.{QUICK}")
    await run.start(variant="by_node")
    await run.waits("decision")
    await run.reaches(lambda _: any(f"await_queue.{QUICK}" in key for key in run.fakes.asked))
    run.fakes.world.dies(SLOW)
    await run.says("force", stage=DRAIN, node=SLOW, by="ann", reason="its power is off")
    skipped = f"stop_transaction_manager.{SLOW}"
    await run.reaches(
        lambda p: any(
            o.status is Status.SKIPPED for s in p.stages for o in s.actions if o.key == skipped
        )
    )
    empty.set()
    await run.ends("completed_with_exceptions")
    assert run.fakes.asked[f"drain_transaction_manager.await_queue.{QUICK}.1"] == 1
    assert run.fakes.asked[f"drain_transaction_manager.find_orphaned_files.{QUICK}.1"] == 1
    assert run.fakes.asked[f"drain_transaction_manager.find_unfinished_work.{QUICK}.1"] == 1
    assert run.fakes.asked[f"drain_transaction_manager.count_records.{QUICK}.1"] == 1


async def test_after_a_long_wait_no_chain_acts_before_the_checks_have_passed(
    clockwork: WorkflowEnvironment,
) -> None:
    """One chain checks again for all."""
    run = by_node(new_run(clockwork.client, 2, 2))
    run.fakes.blind = True  # the clock moves only while no activity is pending
    async with at_work(run):
        await run.start(variant="by_node", approve_before=[DRAIN])
        await run.waits("approval")
        await clockwork.fast_forward(run.handle, timedelta(minutes=10))
        down = {**run.fakes.services("cluster2-edge1"), Service.SSH: State.STOPPED}
        run.fakes.readings["cluster2-edge1"] = {"services": down}
        await run.handle.signal("approve", {"stage": DRAIN})
        question = await run.waits("decision")
        assert "cluster2-edge1: protocol_server_not_running" in question.message
        assert not [key for key in run.fakes.asked if key.startswith(DRAIN)]
        run.fakes.readings.clear()
        await run.handle.signal("retry", {"stage": DRAIN})
        await run.ends("completed")
    assert run.fakes.world.violations == []


async def test_after_a_long_wait_the_nodes_that_still_run_are_checked_again(
    clockwork: WorkflowEnvironment,
) -> None:
    """A Server that was stopped cannot be read any more, the others can."""
    run = by_node(new_run(clockwork.client, 2, 2))
    run.fakes.blind = True  # the clock moves only while no activity is pending
    run.fakes.failures[f"stop_gracefully.{SLOW}.ssh"] = [CommandFailed("no")]
    async with at_work(run):
        await run.start(variant="by_node")
        await run.reaches(done(f"stop_remaining.{QUICK}"))
        await run.waits("decision")
        await clockwork.fast_forward(run.handle, timedelta(minutes=10))
        await run.handle.signal("retry", {"stage": DRAIN})
        await run.ends("completed")
    read = {node: run.fakes.asked[f"check_prerequisites.observe_node.{node}.1"] for node in NODES}
    assert read == {SLOW: 2, QUICK: 1, EDGE: 2}
