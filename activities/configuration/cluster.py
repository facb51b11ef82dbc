"""Read what the nodes of a cluster share: members, event queue, orphaned files."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.configuration.members import parse_edges, parse_members
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import PartialReading
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import PAGE_SIZE
from workflows.errors import OutcomeUnknown
from workflows.model.actions import ObserveCluster
from workflows.model.estate import Node
from workflows.model.observations import ClusterReading, Member
from workflows.model.text import MAX_LISTED, first
from workflows.ports.configuration import ClusterInput
from workflows.preflight import access
from workflows.preflight.cluster import events_stuck, maintenance_mode

API = access.node_unreachable_admin
STORAGE = access.storage_unreadable
MAX_QUEUE_READINGS = 3
MAINTENANCE, NO_MAINTENANCE = "zduMaintenanceMode", "disabled"
NO_MAINTENANCE_MODE = "this version of SecureTransport has no maintenance mode (404)"

_ARRIVED = ("arrivalTime", "creationTime", "created")


@dataclass(frozen=True)
class Queue:
    """The event queue, by the node's own clock."""

    events: int
    oldest: timedelta | None = None
    """Of the events whose age can be read."""
    ageless: int = 0
    """How many events have a time that cannot be read."""


@dataclass(frozen=True)
class ClusterObserver:
    """Reads it all from one Server, over its shell and its admin API, in parallel."""

    services: ServiceStatusReader
    admin: AdminClient

    async def read(self, given: ClusterInput[ObserveCluster]) -> ClusterReading:
        """Return everything that could be read, and findings about the rest."""
        node, parts = given.node, PartialReading(given.node.name)
        members, edges, queue, maintenance, orphans = await asyncio.gather(
            parts.part(lambda: self._members(node), API, None),
            parts.part(lambda: self._edges(node), API, None),
            parts.part(lambda: self._queue(node), API, None),
            parts.part(lambda: self._maintenance(node), API, NO_MAINTENANCE),
            parts.part(lambda: self._orphans(given), STORAGE, ()),
        )
        return ClusterReading(
            place=node.name,
            servers=members,
            edges=edges,
            events=queue and queue.events,
            oldest_event=queue and queue.oldest,
            orphans=orphans,
            maintenance=() if maintenance in (None, NO_MAINTENANCE) else (maintenance,),
            findings=parts.findings,
            not_available={} if maintenance else {maintenance_mode.name: NO_MAINTENANCE_MODE},
            not_read=_ageless(queue),
        )

    async def _members(self, node: Node) -> tuple[Member, ...]:
        reply = await self.admin.get(node, "configurations/clusterManagement")
        return await asyncio.to_thread(parse_members, reply.body, node)

    async def _edges(self, node: Node) -> tuple[Member, ...]:
        zones = await self.admin.items(node, "zones")
        return await asyncio.to_thread(parse_edges, zones, node.name)

    async def _queue(self, node: Node) -> Queue:
        """Return how many events are queued, and the age of the oldest by the node's own clock.

        A queue that empties between counting and listing is read again.
        """
        for _ in range(MAX_QUEUE_READINGS):
            total, events, now = await self._events(node)
            if events or not total:
                return aged(total, events, now)
        raise OutcomeUnknown(f"{node.name}: the admin API shows none of {total} events")

    async def _events(self, node: Node) -> tuple[int, list[dict[str, Any]], datetime]:
        """Read both ends of the list: its sort direction is not documented."""
        query = {"limit": PAGE_SIZE, "offset": 0}
        reply = await self.admin.get(node, "events", query)
        page = answers.read(answers.Page, reply.body, node.name)
        events = list(page.result)
        if page.total > PAGE_SIZE:
            query["offset"] = page.total - PAGE_SIZE
            rest = await self.admin.get(node, "events", query)
            events.extend(answers.read(answers.Page, rest.body, node.name).result)
        return page.total, events, reply.at

    async def _maintenance(self, node: Node) -> str | None:
        """Return the mode of the node's zero downtime update; None if its version has none."""
        reply = await self.admin.find(node, "configurations/maintenance")
        return None if reply is None else parse_maintenance(reply.body, node.name)

    async def _orphans(self, given: ClusterInput[ObserveCluster]) -> tuple[str, ...]:
        node, system = given.node, self.services.system(given.node)
        found = await system.orphaned_files(node, given.storage)
        now = await system.now(node)
        return first(unchanged_since(found, now - given.limits.orphan_age), MAX_LISTED)


def aged(total: int, events: Iterable[dict[str, Any]], now: datetime) -> Queue:
    """Return the queue with the age of its oldest event, as far as ages can be read."""
    times = [_arrived(event) for event in events]
    ages = [now - time for time in times if time is not None]
    return Queue(total, max(ages, default=None), len(times) - len(ages))


def parse_maintenance(body: object, place: str) -> str:
    """Read whether an update is under way; any text but ``disabled`` means that."""
    mode = body.get(MAINTENANCE) if isinstance(body, dict) else None
    if not isinstance(mode, str) or not mode.strip():
        raise OutcomeUnknown(f"{place}: the admin API does not say its {MAINTENANCE}")
    return answers.short(mode)


def _arrived(event: Mapping[str, Any]) -> datetime | None:
    times = (answers.moment(event.get(key)) for key in _ARRIVED)
    return next((time for time in times if time is not None), None)


def _ageless(queue: Queue | None) -> dict[str, str]:
    if queue is None or not queue.ageless:
        return {}
    return {
        events_stuck.name: f"{queue.events} queued, and the age of {queue.ageless} cannot be read"
    }


def unchanged_since(files: Iterable[tuple[str, str]], at: datetime) -> tuple[str, ...]:
    """Return the paths of files that were not written since; each state is SIZE.SECONDS."""
    return tuple(sorted(path for path, state in files if _written(state) < at))


def _written(state: str) -> datetime:
    _, _, seconds = state.partition(".")
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (OSError, OverflowError, ValueError) as strange:
        raise OutcomeUnknown(f"not a size and a time: {state[:80]!r}") from strange
