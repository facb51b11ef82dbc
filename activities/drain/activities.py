"""Wait until sessions, events and transfers have ended; read only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.drain.eta import Trend
from activities.drain.session_watch import NO_READING, READING_FAILED, SessionWatch
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import join_errors, reading_or_finding
from activities.runtime.preview_text import seconds
from activities.securetransport import admin_requests as requests
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from workflows.model import actions
from workflows.model.estate import Node, Timing
from workflows.model.findings import Finding
from workflows.model.results import RemainingQueue, RemainingSessions, Report, seen
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import NodeInput, SessionInput

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

        async def read() -> RemainingQueue:
            nonlocal first
            queued = await self._queued(node)
            first = queued if first is None else first & queued
            return RemainingQueue(node=node.name, at=datetime.now(UTC), events=len(first))

        async with heartbeating() as heartbeat:
            while True:
                remaining = await _read_or_report(read, node)
                heartbeat.set_details(_with_queue_eta(remaining, trend))
                if remaining.events == 0:
                    break
                await sleep(timing.reading_interval)
            # What they wrote last must reach the target's storage before its Folder Monitor starts.
            await sleep(timing.storage_delay)
        message = f"the events that were in flight have ended, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def await_queue(self, given: NodeInput[actions.AwaitQueue]) -> Report:
        node, trend = given.node, Trend()

        async def read() -> RemainingQueue:
            events = await self._admin.total(node, "events")
            active = await self._admin.total(node, "transfers")
            return RemainingQueue(
                node=node.name, at=datetime.now(UTC), events=events, active=active
            )

        async with heartbeating() as heartbeat:
            at_zero = 0
            while at_zero < given.timing.readings:
                remaining = _with_queue_eta(await _read_or_report(read, node), trend)
                empty = remaining.events == 0 and remaining.active == 0
                at_zero = at_zero + 1 if empty else 0
                heartbeat.set_details(remaining.model_copy(update={"readings_at_zero": at_zero}))
                await _sleep_between(given.timing, at_zero)
        message = f"the event queue is empty and nothing is active, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC))

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> Report:
        watch, trend = SessionWatch(self._status, self._admin, given), Trend()
        async with heartbeating() as heartbeat:
            at_zero = 0
            while at_zero < given.timing.readings:
                remaining = await watch.read()
                connected = remaining.error is not None or any(remaining.connections.values())
                at_zero = 0 if connected or remaining.accounts else at_zero + 1
                shown = {"readings_at_zero": at_zero}
                heartbeat.set_details(_with_session_eta(remaining, trend).model_copy(update=shown))
                await _sleep_between(given.timing, at_zero)
        message = f"no session remains on {given.node.name}"
        return seen(given.action, message, datetime.now(UTC), watch.findings)

    @activity.defn
    async def read_sessions(self, given: SessionInput[actions.ReadSessions]) -> RemainingSessions:
        async with heartbeating():
            return await SessionWatch(self._status, self._admin, given).read_quickly()

    @activity.defn
    async def read_queue(self, given: NodeInput[actions.ReadQueue]) -> RemainingQueue:
        node = given.node
        async with heartbeating():
            page, active = await asyncio.gather(
                reading_or_finding(
                    lambda: self._admin.first(node, "events", MAX_DESCRIBED_EVENTS),
                    node.name,
                    NO_READING,
                ),
                reading_or_finding(
                    lambda: self._admin.total(node, "transfers"), node.name, NO_READING
                ),
            )
        known = None if isinstance(page, Finding) else page
        return RemainingQueue(
            node=node.name,
            at=datetime.now(UTC),
            events=known.total if known else None,
            active=active if isinstance(active, int) else None,
            queued=tuple(map(answers.described, known.result)) if known else (),
            error=join_errors(page, active),
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
                for path in ("events", "transfers"):
                    yield f"until totalCount is 0 {stable}: {requests.counting(path)}"
            case actions.AwaitInFlightEvents():
                listing = requests.page("events", {"fields": "id"})
                yield f"until every event listed first has ended: {listing}"
                yield f"then {seconds(timing.storage_delay)} more"

    async def _queued(self, node: Node) -> set[str]:
        events = await self._admin.items(node, "events", {"fields": "id"})
        return {str(event.get("id")) for event in events}


def _with_queue_eta(remaining: RemainingQueue, trend: Trend) -> RemainingQueue:
    """Add the estimated time until the queue is empty."""
    if remaining.events is None:
        return remaining
    count = remaining.events + (remaining.active or 0)
    return remaining.model_copy(update={"eta": trend.add(remaining.at, count)})


def _with_session_eta(remaining: RemainingSessions, trend: Trend) -> RemainingSessions:
    """Add the estimated time until none remains; by connections: the session list is not stable."""
    if remaining.error is not None:
        return remaining
    return remaining.model_copy(
        update={"eta": trend.add(remaining.at, sum(remaining.connections.values()))}
    )


async def _read_or_report(
    read: Callable[[], Awaitable[RemainingQueue]], node: Node
) -> RemainingQueue:
    try:
        return await read()
    except READING_FAILED as error:
        return RemainingQueue(node=node.name, at=datetime.now(UTC), error=str(error))


async def _sleep_between(timing: Timing, at_zero: int) -> None:
    if at_zero < timing.readings:
        await sleep(timing.reading_interval)
