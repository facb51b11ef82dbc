"""A wait that makes no progress asks an operator, and goes on meanwhile."""

import asyncio

from temporalio.client import Client

from tests.support.run import Run, at_work, new_run
from workflows.errors import Stuck, Unresolved
from workflows.model.stages import StageName

EDGE = "cluster1-edge1"
DRAIN = StageName.DRAIN_PROTOCOL_SERVERS
SESSIONS = f"await_sessions.{EDGE}"
TM = StageName.DRAIN_TRANSACTION_MANAGER
SERVERS = ("cluster1-server1", "cluster1-server2")
QUEUE = f"await_queue.{SERVERS[0]}"


def fails_at_first(run: Run, stage: StageName, key: str, error: Exception) -> asyncio.Event:
    """Let the first attempt at a wait fail, and hold the second until the event is set."""
    ended, first = asyncio.Event(), f"{stage}.{key}.1"
    run.fakes.failures[key] = [error]

    async def hold(met: str) -> None:
        if met == key and run.fakes.asked[first] > 1:
            run.fakes.held[key] = ended

    run.fakes.when_met = hold
    return ended


def cannot_read_at_first(run: Run) -> asyncio.Event:
    """Let the first attempt at a wait for sessions read nothing."""
    return fails_at_first(run, DRAIN, SESSIONS, Unresolved("what remains could not be read"))


async def test_a_wait_that_cannot_read_asks_and_goes_on(run: Run) -> None:
    """Its question needs no answer where the sessions end meanwhile."""
    readable = cannot_read_at_first(run)
    await run.start()
    question = await run.waits("decision")
    assert "could not be read" in question.message
    assert question.answers == ("extend", "force", "roll_back", "abort")
    readable.set()
    await run.ends("completed")
    assert run.fakes.asked[f"{DRAIN}.{SESSIONS}.1"] == 2


async def test_a_wait_that_can_read_again_asks_no_longer(temporal: Client) -> None:
    """An attempt that outlasts the limit has read: its question closes, and the wait goes on."""
    async with at_work(run := new_run(temporal, timing={"unreachable_timeout": 0.2})):
        readable = cannot_read_at_first(run)
        await run.start()
        await run.waits("decision")
        await run.reaches(lambda p: p.waiting is None and p.stage is DRAIN)
        readable.set()
        await run.ends("completed")


async def test_a_wait_that_cannot_read_can_be_ended(run: Run) -> None:
    """Who knows that no client is there may say so; the outcome records it."""
    cannot_read_at_first(run)
    await run.start()
    await run.waits("decision")
    await run.says("force", stage=DRAIN, node=EDGE, by="ann", reason="no client is there")
    outcome = await run.ends("completed_with_exceptions")
    assert any("no client is there" in exception for exception in outcome.exceptions)


async def test_a_wait_on_a_dead_node_is_forced_by_declaring_it_down(run: Run) -> None:
    """Nothing there answers: the run goes on without the node, and asks no second time."""
    cannot_read_at_first(run)
    await run.start()
    question = await run.waits("decision")
    assert question.silent == (EDGE,)
    run.fakes.world.dies(EDGE)
    await run.says("force", stage=DRAIN, node=EDGE, by="ann", reason="its disk is dead")
    outcome = await run.ends("completed_with_exceptions")
    assert [words for words in outcome.exceptions if "counts as down" in words]
    assert not [key for key in run.fakes.asked if f"stop_gracefully.{EDGE}" in key]


async def test_a_wait_for_stuck_events_can_be_ended_alone(temporal: Client) -> None:
    """The node answers, so it is not declared down; the other waits are not ended."""
    async with at_work(run := new_run(temporal, 2, 1)):
        fails_at_first(run, TM, QUEUE, Stuck("nothing remains but active events"))
        run.fakes.held[other := f"await_queue.{SERVERS[1]}"] = asyncio.Event()
        await run.start()
        question = await run.waits("decision")
        assert "nothing remains" in question.message
        await run.says("force", stage=TM, node=SERVERS[0], by="ann", reason="its transfer failed")
        await run.reaches(lambda p: p.waiting is None)
        run.fakes.held[other].set()
        outcome = await run.ends("completed_with_exceptions")
    [ended] = [words for words in outcome.exceptions if "ann" in words]
    assert ended.startswith(f"ann ended the wait at {SERVERS[0]}: its transfer failed")


async def test_a_wait_whose_stuck_events_were_deleted_asks_no_longer(run: Run) -> None:
    """Whoever deletes them need not answer."""
    run.fakes.failures[QUEUE] = [Stuck("nothing remains but active events")]
    await run.start(on_fault="roll_back")
    await run.ends("completed")
