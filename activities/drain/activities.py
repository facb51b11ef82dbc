"""When have clients and partners ended what they were doing? Only looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from temporalio import activity

from activities.drain.eta import Trend
from activities.drain.session_watch import SILENT, UNREAD, SessionWatch
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import join_errors, reading_or_finding
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from workflows.model.actions import (
    AwaitInFlightEvents,
    AwaitQueue,
    AwaitSessions,
    ReadQueue,
    ReadSessions,
)
from workflows.model.estate import Node, Timing
from workflows.model.findings import Finding
from workflows.model.results import RemainingQueue, RemainingSessions, Report, seen
from workflows.ports.drain import DrainPort
from workflows.ports.inputs import NodeInput, SessionInput

NAMED = 20
"""Events that a look describes."""


class DrainActivities(DrainPort):
    """Reads a node's sockets over its shell, and sessions, events and transfers over its API."""

    def __init__(self, shell: Shell, admin: AdminClient) -> None:
        self._survey = ServiceStatusReader(shell)
        self._admin = admin

    @activity.defn
    async def await_in_flight_events(self, given: NodeInput[AwaitInFlightEvents]) -> Report:
        """Return once every event of the first reading has ended; heartbeats RemainingQueue."""
        node, timing, trend = given.node, given.timing, Trend()
        first: set[str] | None = None

        async def look() -> RemainingQueue:
            nonlocal first
            queued = await self._queued(node)
            first = queued if first is None else first & queued
            return RemainingQueue(node=node.name, at=datetime.now(UTC), events=len(first))

        async with heartbeating() as heartbeat:
            while True:
                left = await _tolerantly(look, node)
                heartbeat.set_details(_estimated(left, trend))
                if left.events == 0:
                    break
                await sleep(timing.reading_interval)
            # What the last of them wrote must reach the target's storage before its Folder Monitor.
            await sleep(timing.storage_delay)
        words = f"the work in hand has ended, as {node.name} sees it"
        return seen(given.action, words, datetime.now(UTC))

    @activity.defn
    async def await_queue(self, given: NodeInput[AwaitQueue]) -> Report:
        """Return once the queue is empty and nothing is active; heartbeats RemainingQueue."""
        node, trend = given.node, Trend()

        async def look() -> RemainingQueue:
            events = await self._admin.total(node, "events")
            active = await self._admin.total(node, "transfers")
            return RemainingQueue(
                node=node.name, at=datetime.now(UTC), events=events, active=active
            )

        async with heartbeating() as heartbeat:
            in_a_row = 0
            while in_a_row < given.timing.readings:
                left = _estimated(await _tolerantly(look, node), trend)
                empty = left.events == 0 and left.active == 0
                in_a_row = in_a_row + 1 if empty else 0
                heartbeat.set_details(left.model_copy(update={"readings_at_zero": in_a_row}))
                await _between(given.timing, in_a_row)
        words = f"the event queue is empty and nothing is active, as {node.name} sees it"
        return seen(given.action, words, datetime.now(UTC))

    @activity.defn
    async def await_sessions(self, given: SessionInput[AwaitSessions]) -> Report:
        """Return once the sessions have left; heartbeats RemainingSessions."""
        watch, trend = SessionWatch(self._survey, self._admin, given), Trend()
        async with heartbeating() as heartbeat:
            in_a_row = 0
            while in_a_row < given.timing.readings:
                left = await watch.look()
                gone = left.error is None and not any(left.connections.values())
                in_a_row = in_a_row + 1 if gone and not left.accounts else 0
                shown = {"readings_at_zero": in_a_row}
                heartbeat.set_details(_leaving(left, trend).model_copy(update=shown))
                await _between(given.timing, in_a_row)
        words = f"the sessions have left {given.node.name}"
        return seen(given.action, words, datetime.now(UTC), watch.findings)

    @activity.defn
    async def read_sessions(self, given: SessionInput[ReadSessions]) -> RemainingSessions:
        """Say who is there now; what cannot be read is in the answer's trouble, never an error."""
        async with heartbeating():
            return await SessionWatch(self._survey, self._admin, given).glance()

    @activity.defn
    async def read_queue(self, given: NodeInput[ReadQueue]) -> RemainingQueue:
        """Say what is queued now; what cannot be read is in the answer's trouble, no error."""
        node = given.node
        async with heartbeating():
            page, active = await asyncio.gather(
                reading_or_finding(
                    lambda: self._admin.first(node, "events", NAMED), node.name, SILENT
                ),
                reading_or_finding(lambda: self._admin.total(node, "transfers"), node.name, SILENT),
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

    async def _queued(self, node: Node) -> set[str]:
        events = await self._admin.items(node, "events", {"fields": "id"})
        return {str(event.get("id")) for event in events}


def _estimated(left: RemainingQueue, trend: Trend) -> RemainingQueue:
    """Say when the queue is empty, as far as this and earlier readings tell."""
    if left.events is None:
        return left
    count = left.events + (left.active or 0)
    return left.model_copy(update={"eta": trend.add(left.at, count)})


def _leaving(left: RemainingSessions, trend: Trend) -> RemainingSessions:
    """Say when the sessions have left, by their connections: the session list is not stable."""
    if left.error is not None:
        return left
    return left.model_copy(update={"eta": trend.add(left.at, sum(left.connections.values()))})


async def _tolerantly(look: Callable[[], Awaitable[RemainingQueue]], node: Node) -> RemainingQueue:
    try:
        return await look()
    except UNREAD as trouble:
        return RemainingQueue(node=node.name, at=datetime.now(UTC), error=str(trouble))


async def _between(timing: Timing, in_a_row: int) -> None:
    if in_a_row < timing.readings:
        await sleep(timing.reading_interval)
