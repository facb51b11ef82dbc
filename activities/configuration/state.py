"""Read everything that counts as configuration: options, lists, files, tables, audit logs."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from activities.configuration.audit import AuditReading, read_audit
from activities.configuration.digests import Items, digest
from activities.configuration.lists import RESOURCES, Resource, named, read_list
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from workflows.model.configuration import AuditMark
from workflows.model.estate import Cluster, Node
from workflows.model.findings import Finding
from workflows.model.replications.base import Replication
from workflows.preflight import access

T = TypeVar("T")

MAX_NAMES = 500
"""Of longer lists only the number is read: the rest is the audit log's, and the tables'."""
PART_LIMIT = 25.0
"""Seconds for each part, so that a slow place delays the news of the others by less than a
minute."""
NUMBER = "(their number)"
"""The only item of a list that is too long for its names."""
MAX_AT_ONCE = 16
UNREADABLE = access.configuration_unreadable

_KINDS = {"businessUnits": "business unit"}
_BY_LOGIN = re.compile(r"last_?login\w*|(failed|successful)\w*(attempts|logins)", re.IGNORECASE)
"""Keys of an account that a login changes, which is no change of the configuration."""


class TableDigests(Protocol):
    """The tables that replication carries, digested by its driver."""

    async def read(self, replication: Replication, cluster: Cluster) -> Items:
        """Return the digest of each table of a cluster's database that is replicated."""


@dataclass
class ConfigurationReading:
    """What was read at one time."""

    parts: dict[str, Items] = field(default_factory=dict)
    """By place and kind."""
    audits: dict[str, AuditReading] = field(default_factory=dict)
    """By node."""
    unread: dict[str, str] = field(default_factory=dict)
    """By place: why a part of it could not be read."""


class _Parts:
    """Reads parts side by side, and collects what they are."""

    def __init__(self) -> None:
        self._result = ConfigurationReading()
        self._room = asyncio.Semaphore(MAX_AT_ONCE)
        self._work: list[Coroutine[Any, Any, None]] = []

    def items(self, place: str, kind: str, reading: Callable[[], Awaitable[Items | None]]) -> None:
        """Add the items of one kind at one place."""
        key = partial(_part, place, kind)
        self._work.append(self._read(place, reading, self._result.parts, key))

    def audit(self, node: str, reading: Callable[[], Awaitable[AuditReading | None]]) -> None:
        """Add the audit log of a node."""
        self._work.append(self._read(node, reading, self._result.audits, lambda _: node))

    async def all(self) -> ConfigurationReading:
        """Read everything that was added."""
        await asyncio.gather(*self._work)
        return self._result

    async def _read(
        self,
        place: str,
        reading: Callable[[], Awaitable[T | None]],
        results: dict[str, T],
        key: Callable[[T], str],
    ) -> None:
        async with self._room:
            found = await reading_or_finding(
                reading, place, UNREADABLE, unusable=UNREADABLE, give_up_after=PART_LIMIT
            )
        if isinstance(found, Finding):
            self._result.unread[place] = found.seen
        elif found is not None:  # or its version has no such thing
            results[key(found)] = found


def _part(place: str, kind: str, items: Items) -> str:
    """Return the key of a part: names and a number are not the same part."""
    return f"{place} {kind}{' number' if NUMBER in items else ''}"


class ConfigurationReader:
    """Reads the configuration of clusters, all parts side by side."""

    def __init__(
        self, services: ServiceStatusReader, admin: AdminClient, tables: TableDigests
    ) -> None:
        self._services, self._admin, self._tables = services, admin, tables

    async def read(
        self,
        clusters: Iterable[Cluster],
        replication: Replication,
        audited: Mapping[str, AuditMark],
    ) -> ConfigurationReading:
        """Return everything that could be read, and why other places could not."""
        reading = _Parts()
        for cluster in clusters:
            first, database = cluster.servers[0], cluster.database.name
            for node in (first, *cluster.edges):
                reading.items(node.name, "option", partial(self._options, node))
                reading.audit(
                    node.name, partial(read_audit, self._admin, node, audited.get(node.name))
                )
            for one in RESOURCES:
                reading.items(first.name, kind_of(one), partial(self._list, first, one))
            for node in cluster.nodes:
                reading.items(node.name, "file", partial(self._files, node))
            reading.items(database, "table", partial(self._tables.read, replication, cluster))
        return await reading.all()

    async def _options(self, node: Node) -> Items:
        options = await self._admin.options(node)
        return await asyncio.to_thread(shared_options, options, node.name)

    async def _list(self, node: Node, resource: Resource) -> Items | None:
        read = await read_list(self._admin, node, resource, MAX_NAMES)
        if read is None:
            return None  # this version has no such list
        items = read.items
        if items is None:
            return {NUMBER: str(read.total)}
        return await asyncio.to_thread(lambda: dict(_listed(items, resource.keys, node.name)))

    async def _files(self, node: Node) -> Items:
        facts = await self._services.system(node).facts(node)
        return {f"conf/{name}": content for name, content in facts.conf.items()}


def part_count(clusters: Iterable[Cluster]) -> int:
    """Return of how many parts the configuration of these clusters consists at most."""
    return sum(
        1 + len(cluster.edges) + len(RESOURCES) + len(cluster.nodes) + 1 for cluster in clusters
    )


def kind_of(resource: Resource) -> str:
    """Return what one item of a list is called."""
    return _KINDS.get(resource.path, resource.path.removesuffix("s"))


def shared_options(options: Iterable[dict[str, Any]], place: str) -> Items:
    """Digest the options that are not the node's own and not encrypted."""
    everything = tuple(options)
    own = {one["name"] for one in everything if one.get("isLocal") or one.get("encrypted")}
    values = answers.options(everything, place)
    return {name: digest("\0".join(v)) for name, v in values.items() if name not in own}


def _listed(
    items: Iterable[Mapping[str, Any]], keys: tuple[str, ...], place: str
) -> Iterator[tuple[str, str]]:
    """Yield each item's name with a digest; several of one name are one item."""
    contents: dict[str, list[str]] = {}
    for item in items:
        plain = json.dumps(_without_logins(item), sort_keys=True)
        contents.setdefault(named(item, keys, place), []).append(digest(plain))
    for name, each in contents.items():
        yield name, digest("\n".join(sorted(each)))


def _without_logins(value: object) -> object:
    """Leave out what the vendor counts of logins, however deep."""
    if isinstance(value, dict):
        kept = ((key, one) for key, one in value.items() if not _BY_LOGIN.fullmatch(str(key)))
        return {str(key): _without_logins(one) for key, one in kept}
    if isinstance(value, list):
        return [_without_logins(one) for one in value]
    return value
