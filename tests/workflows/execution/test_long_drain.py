"""A long drain costs few events, and its progress stays visible."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import Client

from activities.runtime.heartbeat import heartbeating
from tests.support import estates
from tests.support.fake_activities import FakeActivities
from tests.support.run import Run, at_work
from workflows.model import actions
from workflows.model import results as r
from workflows.model.estate import Estate, Protocol
from workflows.model.stages import StageName
from workflows.ports.inputs import SessionInput

FRESH = timedelta(seconds=10)
WAITS = "await_sessions"


class LingeringSessions(FakeActivities):
    """One client on every source node stays until it is released; readings are shown."""

    def __init__(self, estate: Estate) -> None:
        super().__init__(estate)
        self.remaining = asyncio.Event()
        self.begun = 0

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> r.Report:
        """Show a reading ten times a second, as often as the engine takes them."""
        self.begun += 1
        async with heartbeating() as heartbeat:
            while not self.remaining.is_set():
                heartbeat.set_details(
                    r.RemainingSessions(
                        node=given.node.name, at=datetime.now(UTC), connections={Protocol.SSH: 1}
                    )
                )
                await asyncio.sleep(0.1)  # the interval between two readings
        return await self._execute(given)


class Drain(Run):
    """A run whose drain lasts."""

    def __init__(self, client: Client, drain_timeout: int = 86400) -> None:
        name, timing = f"lab-{uuid4().hex[:8]}", {"drain_timeout": drain_timeout}
        super().__init__(client, estates.estate(servers=1, edges=1, name=name, timing=timing))
        self.lingering = LingeringSessions(self.fakes.estate)
        self.fakes = self.lingering

    async def begin(self) -> None:
        """Start, and return when every node has shown a reading."""
        await self.start()
        await self.reaches(lambda p: p.stage is StageName.DRAIN_PROTOCOL_SERVERS)
        await self.sees(lambda readings: len(readings) == 2)

    async def events(self) -> int:
        """How long the history is."""
        return (await self.handle.describe()).history_length

    async def readings(self) -> list[r.RemainingSessions]:
        """What an operator sees of the wait: the heartbeats of the pending activities."""
        description = await self.handle.describe()
        return [
            r.RemainingSessions.model_validate_json(pending.heartbeat_details.payloads[0].data)
            for pending in description.raw_description.pending_activities
            if pending.activity_type.name == WAITS and pending.heartbeat_details.payloads
        ]

    async def sees(self, condition: Callable[[list[r.RemainingSessions]], bool]) -> timedelta:
        """Wait until the readings are so; return the age of the oldest that was seen meanwhile."""
        oldest = timedelta()
        async with asyncio.timeout(40):
            while not condition(readings := await self.readings()):
                now = datetime.now(UTC)
                oldest = max([oldest, *(now - reading.at for reading in readings)])
                await asyncio.sleep(0.1)  # between two polls
        return oldest


@pytest.fixture
def drain(temporal: Client) -> Drain:
    """A drain that has not begun."""
    return Drain(temporal)


async def test_a_drain_costs_no_events_however_long_it_lasts(drain: Drain) -> None:
    """After several more readings of every node the history is as long as after the first."""
    async with at_work(drain):
        await drain.begin()
        before = await drain.events()
        seen: set[datetime] = set()

        def enough(readings: list[r.RemainingSessions]) -> bool:
            seen.update(reading.at for reading in readings)
            return len(seen) >= 6

        await drain.sees(enough)
        assert await drain.events() == before
        drain.lingering.remaining.set()
        await drain.ends("completed")


async def test_progress_stays_fresh_when_workers_come_and_go(drain: Drain) -> None:
    """Two workers end in the middle of the drain: what is shown of it is never old."""
    before, oldest = 0, timedelta()
    for number in range(3):
        begun, since = drain.lingering.begun, datetime.now(UTC)
        async with at_work(drain):
            if number == 0:
                await drain.begin()
                before = await drain.events()
            oldest = max(oldest, await drain.sees(_newer(since)))
            assert drain.lingering.begun == begun + 2
            assert await drain.events() == before
    async with at_work(drain):
        drain.lingering.remaining.set()
        await drain.ends("completed")
    assert timedelta() < oldest < FRESH
    others = {number for name, number in drain.fakes.asked.items() if WAITS not in name}
    assert others == {1}


async def test_the_drain_timeout_runs_on_the_workflow_s_clock(temporal: Client) -> None:
    """A worker that begins to wait anew does not prolong it: one timer, however many attempts."""
    drain = Drain(temporal, drain_timeout=8)
    async with at_work(drain):
        await drain.begin()
    async with at_work(drain):
        question = await drain.waits("decision")
        assert "drain timeout (0:00:08) expired" in question.message
        begun = [
            event.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
            for event in (await drain.handle.fetch_history()).events
            if b"drain timeout of drain_protocol_servers" in event.user_metadata.summary.data
        ]
        assert begun == [timedelta(seconds=8)]
        assert drain.lingering.begun == 4
        # The wait continues: once the last client is gone, nothing needs a decision.
        await drain.sees(_newer(question.since))
        drain.lingering.remaining.set()
        await drain.ends("completed")
        assert drain.lingering.begun == 4


def _newer(than: datetime) -> Callable[[list[r.RemainingSessions]], bool]:
    """Whether every node was read since."""
    return lambda readings: len(readings) == 2 and all(reading.at > than for reading in readings)
