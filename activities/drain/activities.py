"""Wait until sessions, events and transfers have ended; read only."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from temporalio import activity

from activities.drain.eta import Trend
from activities.drain.session_watch import NO_READING, READING_FAILED, SessionWatch
from activities.drain.stuck_events import FIELDS, StuckEvents
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import QUICK_READING, PartialReading
from activities.runtime.preview_text import seconds
from activities.securetransport import admin_requests as requests
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from workflows.errors import Unresolved
from workflows.model import actions
from workflows.model.estate import Node, Timing
from workflows.model.results import Remaining, RemainingQueue, RemainingSessions, Report, seen
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import NodeInput, SessionInput

R = TypeVar("R", RemainingSessions, RemainingQueue, Remaining)

_IN_FLIGHT = {"fields": ",".join((*FIELDS, "accountName", "fullTarget"))}
MAX_DESCRIBED_EVENTS = 20
"""Events that one reading of the queue describes."""


class DrainActivities(DrainPort):
    """Reads a node's sockets over its shell, and sessions, events and transfers over its API."""

    def __init__(self, shell: Shell, admin: AdminClient) -> None:
        self._status = ServiceStatusReader(shell)
        self._admin = admin

    @activity.defn
    async def await_in_flight_events(self, given: NodeInput[actions.AwaitInFlightEvents]) -> Report:
        node, timing, trend = given.node, given.timing, Trend()
        first: set[str] | None = None
        readable, stuck = _Readable(timing), StuckEvents(node, timing)

        async def read() -> RemainingQueue:
            nonlocal first
            queued, at = await self._queued(node), datetime.now(UTC)
            first = set(queued) if first is None else first & set(queued)
            stuck.judge([queued[one] for one in sorted(first)], at)
            return RemainingQueue(node=node.name, at=at, events=len(first))

        async with heartbeating() as heartbeat:
            while True:
                remaining = readable.judge(await _read_or_report(read, node))
                eta = {"eta": _eta(remaining, trend)}
                heartbeat.set_details(remaining.model_copy(update=eta))
                if remaining.events == 0:
                    break
                await sleep(timing.reading_interval)
            # What they wrote last must reach the target's storage before its Folder Monitor starts.
            await sleep(timing.storage_delay)
        message = f"the events that were in flight have ended, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def await_queue(self, given: NodeInput[actions.AwaitQueue]) -> Report:
        node, stuck = given.node, StuckEvents(given.node, given.timing)

        async def read() -> RemainingQueue:
            page = await self._admin.first(node, "events", requests.PAGE_SIZE)
            active, at = await self._admin.total(node, "transfers"), datetime.now(UTC)
            alone = active == 0 and page.total == len(page.result)
            stuck.judge(page.result if alone else (), at)
            return RemainingQueue(node=node.name, at=at, events=page.total, active=active)

        await _await_none(given.timing, lambda: _read_or_report(read, node))
        message = f"the event queue is empty and nothing is active, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> Report:
        watch = SessionWatch(self._status, self._admin, given)
        await _await_none(given.timing, watch.read)
        message = f"no session remains on {given.node.name}"
        return seen(given.action, message, datetime.now(UTC), watch.findings)

    @activity.defn
    async def read_sessions(self, given: SessionInput[actions.ReadSessions]) -> RemainingSessions:
        async with heartbeating():
            return await SessionWatch(self._status, self._admin, given).read_quickly()

    @activity.defn
    async def read_queue(self, given: NodeInput[actions.ReadQueue]) -> RemainingQueue:
        node, admin = given.node, self._admin
        parts = PartialReading(node.name, QUICK_READING)
        async with heartbeating():
            page, active = await asyncio.gather(
                parts.part(
                    lambda: admin.first(node, "events", MAX_DESCRIBED_EVENTS), NO_READING, None
                ),
                parts.part(lambda: admin.total(node, "transfers"), NO_READING, None),
            )
        return RemainingQueue(
            node=node.name,
            at=datetime.now(UTC),
            events=page.total if page else None,
            active=active,
            queued=tuple(map(answers.described, page.result)) if page else (),
            error=parts.error,
        )

    def preview(self, given: NodeInput[Any]) -> Iterator[str]:
        """Yield what a wait reads, and until when."""
        node, timing = given.node, given.timing
        stable = f"in {timing.readings} readings, {seconds(timing.reading_interval)} apart"
        match given.action:
            case actions.AwaitSessions():
                served = node.protocols.items()
                ports = ", ".join(f"{port} ({name})" for name, ports in served for port in ports)
                tables = self._status.system(node).preview_sockets()
                yield f"until no client is connected to {ports} {stable}: {tables}"
                yield f"until no session is listed {stable}: {requests.SESSIONS}"
            case actions.AwaitQueue():
                for reading in (requests.first("events"), requests.counting("transfers")):
                    yield f"until totalCount is 0 {stable}: {reading}"
            case actions.AwaitInFlightEvents():
                listing = requests.page("events", _IN_FLIGHT)
                yield f"until every event listed first has ended: {listing}"
                yield f"then {seconds(timing.storage_delay)} more"

    async def _queued(self, node: Node) -> dict[str, dict[str, Any]]:
        events = await self._admin.items(node, "events", _IN_FLIGHT)
        return {answers.identifier(event): event for event in events}


class _Readable:
    """Ends a wait that could make no reading for as long as the estate allows.

    It counts in this worker's memory: after a restart, the operator is asked later.
    """

    def __init__(self, timing: Timing) -> None:
        self._limit = timing.unreachable_timeout
        self._since: datetime | None = None

    def judge(self, remaining: R) -> R:
        """Return the reading; Unresolved where for too long none could be made."""
        if remaining.error is None:
            self._since = None
            return remaining
        self._since = self._since or remaining.at
        if remaining.at - self._since >= self._limit:
            raise Unresolved(
                f"{remaining.node}: what remains could not be read since "
                f"{self._since:%H:%M:%S} UTC: {remaining.error}"
            )
        return remaining


async def _await_none(timing: Timing, read: Callable[[], Awaitable[Remaining]]) -> None:
    """Read until nothing remains in several readings, and heartbeat each of them."""
    trend, at_zero, readable = Trend(), 0, _Readable(timing)
    async with heartbeating() as heartbeat:
        while at_zero < timing.readings:
            remaining = readable.judge(await read())
            at_zero = at_zero + 1 if _is_empty(remaining) else 0
            shown = {"eta": _eta(remaining, trend), "readings_at_zero": at_zero}
            heartbeat.set_details(remaining.model_copy(update=shown))
            if at_zero < timing.readings:
                await sleep(timing.reading_interval)


def _is_empty(remaining: Remaining) -> bool:
    if isinstance(remaining, RemainingQueue):
        return remaining.events == 0 and remaining.active == 0
    connected = any(remaining.connections.values()) or remaining.accounts
    return remaining.error is None and not connected


def _eta(remaining: Remaining, trend: Trend) -> timedelta | None:
    """Estimate the time until none remains; by connections: the session list is not stable."""
    if remaining.error is not None:
        return None
    if isinstance(remaining, RemainingQueue):
        return trend.add(remaining.at, (remaining.events or 0) + (remaining.active or 0))
    return trend.add(remaining.at, sum(remaining.connections.values()))


async def _read_or_report(
    read: Callable[[], Awaitable[RemainingQueue]], node: Node
) -> RemainingQueue:
    try:
        return await read()
    except READING_FAILED as error:
        return RemainingQueue(node=node.name, at=datetime.now(UTC), error=str(error))
