"""What is done on a cluster's nodes is done by workers that poll that cluster's own task queue."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Worker

from tests.support import estates
from tests.support.run import Run, at_work
from worker.interceptor import AttemptInterceptor
from worker.worker import ON_NODES
from workflows.model.estate import Estate

SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
NODES = ("server1", "edge1")


@pytest.fixture
def run(temporal: Client) -> Run:
    """A run whose clusters have task queues of their own."""
    name = f"lab-{uuid4().hex[:8]}"
    # What no worker takes is asked about after this time, in seconds.
    timing = {"unreachable_timeout": 1}
    given = estates.written(1, 1, name=name, timing=timing)
    for cluster in given["clusters"]:
        cluster["task_queue"] = f"{name}-{cluster['name']}"
    return Run(temporal, Estate.model_validate(given))


def queue(run: Run, number: int) -> str:
    """The own task queue of a cluster."""
    return f"{run.fakes.estate.name}-cluster{number}"


def near(run: Run, number: int) -> Worker:
    """A worker of a cluster's own task queue, with what such a worker has."""
    return Worker(
        run.client,
        task_queue=queue(run, number),
        activities=[one for one in run.fakes.activities if one.__name__ in ON_NODES],
        interceptors=[AttemptInterceptor()],
    )


def polled(run: Run, **workers: dict[str, str]) -> None:
    """Let Temporal's reading say who polls each cluster's queue."""
    own = {queue(run, int(name[-1])): builds for name, builds in workers.items()}
    key = f"observe_temporal.{run.fakes.estate.name}"
    run.fakes.readings[key] = {"own_queues": own}


async def asked(run: Run) -> list[tuple[str, str]]:
    """Return the id and the task queue of every activity that the run asked for."""
    history = await run.handle.fetch_history()
    given = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.event_type == SCHEDULED
    ]
    return [(one.activity_id, one.task_queue.name) for one in given]


def on_nodes(run: Run, activities: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """Yield each activity on a node: its id, its queue, and the queue of the node's cluster."""
    for key, used in activities:
        for number in (1, 2):
            if any(f".cluster{number}-{node}." in f"{key}." for node in NODES):
                yield key, used, queue(run, number)


async def test_what_is_done_on_nodes_is_asked_of_their_cluster_s_own_queue(run: Run) -> None:
    """All else stays on the main one: databases, the load balancer, comparisons, Temporal."""
    polled(run, cluster1={"1@a": "x"}, cluster2={"1@b": "x"})
    async with at_work(run), near(run, 1), near(run, 2):
        await run.start()
        await run.ends("completed")
        activities = await asked(run)
    placed = list(on_nodes(run, activities))
    assert {own for _, _, own in placed} == {queue(run, 1), queue(run, 2)}
    assert all(used == own for _, used, own in placed), placed
    elsewhere = {pair for pair in activities if pair not in {(k, u) for k, u, _ in placed}}
    assert {used for _, used in elsewhere} == {run.queue}
    kinds = {key.partition(".")[0] for key, _ in elsewhere}
    assert {"suspend_replication", "redirect", "verify_traffic", "compare_storage"} <= kinds


async def test_a_rejoin_asks_the_own_queues_too(run: Run) -> None:
    """And reads who polls them once more before it judges the nodes that are back."""
    polled(run, cluster1={"1@a": "x"}, cluster2={"1@b": "x"})
    async with at_work(run), near(run, 1), near(run, 2):
        await run.start()
        await run.ends("completed")
        await run.rejoin()
        await run.ends("completed")
        activities = await asked(run)
    placed = list(on_nodes(run, activities))
    assert {own for _, _, own in placed} == {queue(run, 1), queue(run, 2)}
    assert all(used == own for _, used, own in placed), placed
    assert sum(key.startswith("observe_temporal.") for key, _ in activities) == 2


async def test_a_queue_that_no_worker_polls_is_one_finding_at_once(run: Run) -> None:
    """However many nodes the cluster has; nothing is asked of a queue without a worker."""
    polled(run, cluster1={}, cluster2={"1@b": "x"})
    began = time.monotonic()
    async with at_work(run), near(run, 2):
        await run.start()
        reason = await run.failure()
        activities = await asked(run)
    assert time.monotonic() - began < 10
    assert reason.count("no_worker_polls") == 1
    assert "saw no worker that polls it, expected a worker near cluster1" in reason
    assert f"start one there: python -m worker --task-queue {queue(run, 1)}" in reason
    assert {used for _, used in activities} == {run.queue, queue(run, 2)}


async def test_both_queues_without_a_worker_are_two_findings(run: Run) -> None:
    """Each names its queue."""
    polled(run, cluster1={}, cluster2={})
    async with at_work(run):
        await run.start()
        reason = await run.failure()
    assert reason.count("no_worker_polls") == 2
    assert all(f"{queue(run, number)}: no_worker_polls: " in reason for number in (1, 2))


async def test_a_worker_that_died_a_moment_ago_is_one_finding_soon(run: Run) -> None:
    """Temporal still lists it, and no other takes a reading: the run does not wait for long."""
    polled(run, cluster1={"1@a": "x"}, cluster2={"1@b": "x"})
    async with at_work(run), near(run, 2):
        await run.start()
        reason = await run.failure()
    assert reason.count("no_worker_polls") == 1
    assert "no worker that took an action from it within 1 s" in reason
    assert "no_reading" not in reason


async def test_a_worker_that_dies_later_is_asked_about(run: Run) -> None:
    """The run names the queue and asks; once a worker is there, a retry goes on."""
    polled(run, cluster1={"1@a": "x"}, cluster2={"1@b": "x"})
    async with AsyncExitStack() as stack:
        for one in (at_work(run), near(run, 2)):
            await stack.enter_async_context(one)
        async with near(run, 1):
            await run.start(approve_before=["stop_monitors"])
            await run.waits("approval")
        await run.says("approve", stage="stop_monitors", by="operator")
        question = await run.waits("decision")
        assert f"task queue {queue(run, 1)}: no worker that took an action" in question.message
        assert not any("stop_monitor" in operation for operation in run.fakes.effects)
        await stack.enter_async_context(near(run, 1))
        await run.says("retry", stage="stop_monitors", by="operator")
        await run.ends("completed")
    assert all(times == 1 for times in run.fakes.effects.values())


async def test_a_wait_goes_on_by_itself_once_a_worker_is_back(run: Run) -> None:
    """Sessions are counted again without a decision; the question about it ends."""
    polled(run, cluster1={"1@a": "x"}, cluster2={"1@b": "x"})
    waits = "await_sessions.cluster1-server1"
    run.fakes.held[waits] = asyncio.Event()
    async with at_work(run), near(run, 2):
        async with near(run, 1):
            await run.start()
            await run.reaches(lambda _: any(waits in operation for operation in run.fakes.asked))
        question = await run.waits("decision")
        assert queue(run, 1) in question.message
        run.fakes.held[waits].set()
        async with near(run, 1):
            await run.ends("completed")


@pytest.mark.parametrize("number", [1, 2])
def test_one_cluster_alone_may_have_a_queue(number: int) -> None:
    """The other one's nodes stay on the main queue."""
    given: dict[str, Any] = estates.written()
    given["clusters"][number - 1]["task_queue"] = "near"
    estate = Estate.model_validate(given)
    found = [estate.task_queue_of(f"cluster{n}-server1") for n in (1, 2)]
    assert found == (["near", None] if number == 1 else [None, "near"])
