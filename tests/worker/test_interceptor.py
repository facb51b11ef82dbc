"""Attempts that are to be cancelled, and places that do not answer, on a real Temporal server."""

import asyncio
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.support import estates
from tests.support.activity_runner import ActionExecutor, Place
from worker.interceptor import AttemptInterceptor
from worker.payload_converter import DATA_CONVERTER
from worker.unreachable_budget import MAX_FRUITLESS_ATTEMPT, UnreachableBudget, UnreachableTimeout
from workflows.errors import Unreachable
from workflows.model.actions import StopGracefully
from workflows.model.estate import Protocol, Timing
from workflows.model.results import Operation
from workflows.ports.inputs import NodeInput

GRACE = timedelta(seconds=0.5)


@pytest.fixture
async def client(temporal: Client) -> Client:
    """A client as a worker has it."""
    return await Client.connect(
        temporal.service_client.config.target_host, data_converter=DATA_CONVERTER
    )


class Carrying:
    """One activity of a workflow of its own."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.place = Place()
        self.queue = f"conduct-{uuid.uuid4()}"

    def worker(self) -> Worker:
        """Return a worker that behaves."""
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[ActionExecutor],
            activities=[self.place.act, self.place.wait, self.place.reach],
            interceptors=[AttemptInterceptor(GRACE)],
            workflow_runner=UnsandboxedWorkflowRunner(),
            graceful_shutdown_timeout=GRACE,
            max_heartbeat_throttle_interval=timedelta(seconds=0.2),
        )

    async def start(self, kind: str, unreachable_timeout: float = 60) -> WorkflowHandle[Any, str]:
        """Have the activity done."""
        return await self.client.start_workflow(
            ActionExecutor.run,
            args=[kind, input_for(), unreachable_timeout],
            id=self.queue,
            task_queue=self.queue,
        )


def input_for() -> NodeInput[StopGracefully]:
    """Return some action."""
    action = StopGracefully(
        node="cluster1-edge1", protocol=Protocol.SSH, grace=timedelta(seconds=1)
    )
    return NodeInput(
        operation=Operation(identity="run", stage="stage", action=action.key),
        action=action,
        timing=Timing(),
        node=estates.estate().node(action.node),
    )


@pytest.fixture
def carrying(client: Client) -> Carrying:
    """One activity to be carried out."""
    return Carrying(client)


async def test_a_cancel_request_does_not_interrupt_an_effect(carrying: Carrying) -> None:
    """Its attempt goes on to its own end, and its result is the activity's."""
    async with carrying.worker():
        handle = await carrying.start("stop_gracefully")
        await carrying.place.begun.wait()
        await handle.signal(ActionExecutor.cancel)
        await asyncio.sleep(1.5)  # heartbeats have brought the request by now
        assert carrying.place.interrupted == 0
        carrying.place.may_end.set()
        assert await handle.result() == "done"
    assert carrying.place.attempts == 1
    kinds = [event.event_type async for event in handle.fetch_history_events()]
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED in kinds
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED in kinds


async def test_a_cancel_request_ends_a_wait_at_once(carrying: Carrying) -> None:
    """Nothing happens anywhere because of a wait."""
    async with carrying.worker():
        handle = await carrying.start("await_sessions")
        await carrying.place.begun.wait()
        await handle.signal(ActionExecutor.cancel)
        assert await asyncio.wait_for(handle.result(), 5) == "cancelled"
    assert carrying.place.interrupted == 1


async def test_a_worker_that_leaves_interrupts_an_effect_and_the_next_goes_on(
    carrying: Carrying,
) -> None:
    """What was begun on the machine goes on, and the next attempt attaches to it."""
    async with carrying.worker():
        handle = await carrying.start("stop_gracefully")
        await carrying.place.begun.wait()
    assert carrying.place.interrupted == 1
    carrying.place.may_end.set()
    async with carrying.worker():
        assert await asyncio.wait_for(handle.result(), 40) == "done"
    assert carrying.place.attempts == 2


async def test_a_worker_that_leaves_does_not_wait_for_what_is_to_be_cancelled(
    carrying: Carrying,
) -> None:
    """It is unknown how the effect ended: it is not reported as cancelled."""
    began = time.monotonic()
    async with carrying.worker():
        handle = await carrying.start("stop_gracefully")
        await carrying.place.begun.wait()
        await handle.signal(ActionExecutor.cancel)
        await asyncio.sleep(1)
    assert time.monotonic() - began < 10
    assert carrying.place.interrupted == 1
    async with carrying.worker():
        message = await asyncio.wait_for(handle.result(), 40)
    assert message.startswith("OutcomeUnknown, ")
    assert "what was begun on the machine goes on" in message
    assert carrying.place.attempts == 1


async def test_a_silent_place_is_given_up_when_the_budget_is_spent(carrying: Carrying) -> None:
    """Much sooner than the action itself may take; the message is the activity's own."""
    began = time.monotonic()
    async with carrying.worker():
        handle = await carrying.start("start_protocol_server", unreachable_timeout=2.5)
        message = await asyncio.wait_for(handle.result(), 40)
    assert 2.5 <= time.monotonic() - began < 8
    assert message == "Unreachable, retryable: False: server1: it does not answer"
    assert carrying.place.attempts == 3
    [failed] = [
        event.activity_task_failed_event_attributes.failure
        async for event in handle.fetch_history_events()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED
    ]
    assert (failed.stack_trace, failed.HasField("cause")) == ("", False)


async def test_a_place_that_comes_back_in_time_is_not_given_up(carrying: Carrying) -> None:
    """A failure within the budget is retried, as the retry policy says."""
    async with carrying.worker():
        handle = await carrying.start("start_protocol_server", unreachable_timeout=30)
        await carrying.place.attempted(2)
        carrying.place.may_end.set()
        assert await asyncio.wait_for(handle.result(), 40) == "done"


async def test_a_place_that_answered_in_between_gets_its_budget_again(carrying: Carrying) -> None:
    """Only failures without an answer in between count."""
    carrying.place.silent = [True, False, True]
    async with carrying.worker():
        handle = await carrying.start("start_protocol_server", unreachable_timeout=3)
        await asyncio.wait_for(handle.result(), 40)
    # After 0, 1, 3 and 7 s: without the answer at 1 s, the attempt at 3 s had been the last one.
    assert carrying.place.attempts == 4


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.at


def test_an_attempt_that_lasted_had_reached_its_place() -> None:
    """A place that is lost after an hour of work is retried for the whole budget."""
    clock, unreachable, limit = Clock(), Unreachable("silent"), timedelta(minutes=5)
    budget = UnreachableBudget(clock)
    key, began = ("run", "action"), clock.at
    clock.at += 3600
    budget.spend(key, began, limit, unreachable)
    for _ in range(4):
        began = clock.at
        clock.at += 60
        budget.spend(key, began, limit, unreachable)
    clock.at += 60
    with pytest.raises(UnreachableTimeout, match="silent"):
        budget.spend(key, clock.at, limit, unreachable)


def test_silences_are_counted_for_each_activity_and_forgotten() -> None:
    """What another worker may have gone on with begins anew; so does a new round."""
    clock, unreachable, limit = Clock(), Unreachable("silent"), timedelta(seconds=30)
    budget = UnreachableBudget(clock)
    budget.spend(("run", "one"), clock.at, limit, unreachable)
    clock.at += 29
    budget.spend(("run", "two"), clock.at, limit, unreachable)
    clock.at += 29
    budget.renew(("run", "one"))
    budget.spend(("run", "one"), clock.at, limit, unreachable)
    clock.at += MAX_FRUITLESS_ATTEMPT + 1
    budget.spend(("run", "two"), clock.at, limit, unreachable)
