"""Read what the nodes of a cluster share: members, event queue, orphaned files."""

import asyncio
from collections.abc import Iterable
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
from workflows.ports.configuration import ClusterInput
from workflows.preflight import access

API = access.node_unreachable_admin
STORAGE = access.storage_unreadable
MAX_QUEUE_READINGS = 3
MAINTENANCE = "maintenance"
"""Part of the names of options that switch maintenance on; the options are not documented."""

_CREATED = ("creationTime", "createTime", "created", "eventTime", "timestamp")
_ON = frozenset({"true", "on", "yes", "enabled", "1"})


@dataclass(frozen=True)
class ClusterObserver:
    """Reads it all from one Server, over its shell and its admin API, in parallel."""

    services: ServiceStatusReader
    admin: AdminClient

    async def read(self, given: ClusterInput[ObserveCluster]) -> ClusterReading:
        """Return everything that could be read, and findings about the rest."""
        node, parts = given.node, PartialReading(given.node.name)
        members, edges, (events, oldest_event), maintenance, orphans = await asyncio.gather(
            parts.part(lambda: self._members(node), API, None),
            parts.part(lambda: self._edges(node), API, None),
            parts.part(lambda: self._queue(node), API, (None, None)),
            parts.part(lambda: self._maintenance(node), API, ()),
            parts.part(lambda: self._orphans(given), STORAGE, ()),
        )
        return ClusterReading(
            place=node.name,
            servers=members,
            edges=edges,
            events=events,
            oldest_event=oldest_event,
            orphans=orphans,
            maintenance=maintenance,
            findings=parts.findings,
        )

    async def _members(self, node: Node) -> tuple[Member, ...]:
        reply = await self.admin.get(node, "configurations/clusterManagement")
        return parse_members(reply.body, node)

    async def _edges(self, node: Node) -> tuple[Member, ...]:
        return parse_edges(await self.admin.items(node, "zones"), node.name)

    async def _queue(self, node: Node) -> tuple[int, timedelta | None]:
        """Return how many events are queued, and the age of the oldest by the node's own clock.

        A queue that empties between counting and listing is read again.
        """
        for _ in range(MAX_QUEUE_READINGS):
            total, events, now = await self._events(node)
            if events or not total:
                return total, oldest(events, now)
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

    async def _maintenance(self, node: Node) -> tuple[str, ...]:
        options = await self.admin.options(node)
        return switched_on(options, MAINTENANCE, node.name)

    async def _orphans(self, given: ClusterInput[ObserveCluster]) -> tuple[str, ...]:
        node, system = given.node, self.services.system(given.node)
        found = await system.orphaned_files(node, given.storage)
        now = await system.now(node)
        return unchanged_since(found, now - given.limits.orphan_age)


def oldest(events: Iterable[dict[str, Any]], now: datetime) -> timedelta | None:
    """Return the age of the oldest event; None if no event has a time."""
    moments = (answers.moment(event.get(key)) for event in events for key in _CREATED)
    return max((now - moment for moment in moments if moment is not None), default=None)


def switched_on(options: Iterable[dict[str, Any]], part: str, place: str) -> tuple[str, ...]:
    """Return the names of options that contain *part* and are on."""
    known = answers.options(options, place)
    return tuple(
        name
        for name, values in known.items()
        if part in name.lower() and any(value.strip().lower() in _ON for value in values)
    )


def unchanged_since(files: Iterable[tuple[str, str]], at: datetime) -> tuple[str, ...]:
    """Return the paths of files that were not written since; each state is SIZE.SECONDS."""
    return tuple(sorted(path for path, state in files if _written(state) < at))


def _written(state: str) -> datetime:
    _, _, seconds = state.partition(".")
    try:
        return datetime.fromtimestamp(float(seconds), UTC)
    except (OSError, OverflowError, ValueError) as strange:
        raise OutcomeUnknown(f"not a size and a time: {state[:80]!r}") from strange
