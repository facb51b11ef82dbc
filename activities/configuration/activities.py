"""Compare the configuration that both clusters must share, and watch it for changes."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import activity

from activities.configuration.cluster import ClusterObserver
from activities.configuration.digests import ItemMemory
from activities.configuration.lists import RESOURCES, ListReader, compare
from activities.configuration.state import ConfigurationReader, TableDigests
from activities.configuration.watch import ConfigurationWatch
from activities.nodes.desired_state import POLL_INTERVAL
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.checks import Check
from workflows.model.configuration import ConfigurationReport
from workflows.model.estate import Cluster, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Difference, ParityReading
from workflows.model.text import listed
from workflows.ports.configuration import ClusterInput, ConfigurationPort, WatchInput
from workflows.ports.inputs import ClusterPairInput
from workflows.preflight import access, parity

UNREADABLE = access.configuration_unreadable
CheckedDifference = tuple[Check, Difference]
Options = Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """What differs, and which checks had nothing to compare or not enough, with the reason."""

    differences: tuple[CheckedDifference, ...] = ()
    not_available: dict[str, str] = field(default_factory=dict)
    not_read: dict[str, str] = field(default_factory=dict)


class RestConfigurations(ConfigurationPort):
    """Both clusters' configuration, over the admin REST APIs."""

    def __init__(
        self, services: ServiceStatusReader, admin: AdminClient, tables: TableDigests
    ) -> None:
        self._observer = ClusterObserver(services, admin)
        self._admin = admin
        self._lists = ListReader(admin)
        self._reader = ConfigurationReader(services, admin, tables)
        self._memory = ItemMemory()

    @activity.defn
    async def observe_cluster(self, given: ClusterInput[ObserveCluster]) -> ClusterReading:
        async with heartbeating():
            return await self._observer.read(given)

    @activity.defn
    async def compare_configuration(
        self, given: ClusterPairInput[CompareConfiguration]
    ) -> ParityReading:
        place = given.target.name
        async with heartbeating():
            found = await reading_or_finding(
                lambda: self._compare_twice(given), place, UNREADABLE, unusable=UNREADABLE
            )
        if isinstance(found, Finding):
            return ParityReading(place=place, findings=(found,))
        return ParityReading(
            place=place,
            findings=tuple(_findings(found.differences)),
            not_available=found.not_available,
            not_read=found.not_read,
        )

    @activity.defn
    async def watch_configuration(self, given: WatchInput) -> ConfigurationReport:
        return await ConfigurationWatch(self._reader, self._memory, given).until_news()

    @activity.defn
    async def read_configuration_changes(self, given: WatchInput) -> ConfigurationReport:
        return await ConfigurationWatch(self._reader, self._memory, given).read()

    async def _compare_twice(self, given: ClusterPairInput[CompareConfiguration]) -> Comparison:
        """Compare again if something differs or is incomplete: replication needs some time."""
        first = await self._compare(given)
        if not (first.differences or first.not_read):
            return first
        await sleep(POLL_INTERVAL)
        second = await self._compare(given)
        known = {(check, d.place, d.item) for check, d in first.differences}
        lasting = (
            (check, d)
            for check, d in second.differences
            if (check, d.place, d.item) in known or check.name in first.not_read
        )
        return replace(second, differences=tuple(lasting))

    async def _compare(self, given: ClusterPairInput[CompareConfiguration]) -> Comparison:
        source, target = given.source, given.target
        of_source = ((source, node) for node in (source.servers[0], *source.edges))
        of_target = ((target, node) for node in (target.servers[0], *target.edges))
        nodes = [*of_source, *of_target]
        options, pairs = await asyncio.gather(
            asyncio.gather(*(self._options(cluster, node) for cluster, node in nodes)),
            asyncio.gather(*(self._lists.pair(source, target, one) for one in RESOURCES)),
        )
        known = {node.name: found for (_, node), found in zip(nodes, options, strict=True)}
        compared = [compare(source.name, target.name, pair) for pair in pairs]
        differences = [
            *_options_differ(known, (source.servers[0], target.servers[0])),
            *_options_differ(known, (*source.edges, *target.edges)),
        ]
        for resource, one in zip(RESOURCES, compared, strict=True):
            differences += [(resource.check, difference) for difference in one.differences]
        named = [
            (resource.check.name, one) for resource, one in zip(RESOURCES, compared, strict=True)
        ]
        return Comparison(
            differences=tuple(differences),
            not_available={name: one.not_available for name, one in named if one.not_available},
            not_read={name: one.not_read for name, one in named if one.not_read},
        )

    async def _options(self, cluster: Cluster, node: Node) -> Options:
        options = await self._admin.options(node)
        return await asyncio.to_thread(shared, options, cluster, node)


def shared(options: Iterable[dict[str, Any]], cluster: Cluster, node: Node) -> Options:
    """Return the options that both sides must share: not local, not encrypted, no host names."""
    own = _own_names(cluster)
    everything = tuple(options)
    values = answers.options(everything, node.name)
    excluded = {
        option["name"] for option in everything if option.get("isLocal") or option.get("encrypted")
    }
    return {
        name: own.sub("<own>", ", ".join(each))
        for name, each in values.items()
        if name not in excluded
    }


def _own_names(cluster: Cluster) -> re.Pattern[str]:
    """Match the names of a cluster's own machines, which differ on the other side."""
    nodes = [name for node in cluster.nodes for name in (node.name, node.address)]
    names = {*nodes, cluster.database.name, cluster.database.address, cluster.storage}
    longest_first = sorted(map(re.escape, names), key=len, reverse=True)
    return re.compile(rf"(?<![\w.])(?:{'|'.join(longest_first)})(?!\w|\.\d)")


def _options_differ(
    known: Mapping[str, Options], nodes: tuple[Node, ...]
) -> Iterator[CheckedDifference]:
    """Compare each node's options with those of the first, a node of the source."""
    if not nodes:
        return
    first = known[nodes[0].name]
    for node in nodes[1:]:
        own = known[node.name]
        for name in sorted({*first, *own}):
            if own.get(name) != first.get(name):
                expected = f"{_quoted(first.get(name))}, as on {nodes[0].name}"
                seen = _quoted(own.get(name))
                yield (
                    parity.options_differ,
                    Difference(place=node.name, item=name, seen=seen, expected=expected),
                )


def _findings(differences: Iterable[CheckedDifference]) -> Iterator[Finding]:
    """Yield a finding for each check and place, which names the first differences."""
    groups: dict[tuple[Check, str], list[str]] = defaultdict(list)
    for check, one in differences:
        groups[check, one.place].append(f"{one.item}: {one.seen} instead of {one.expected}")
    for (check, place), items in groups.items():
        yield check.finding(
            place,
            seen=listed(items),
            expected="the same as on the other cluster",
            advice="correct the wrong one on its own cluster, while replication runs",
        )


def _quoted(value: str | None) -> str:
    return "nothing" if value is None else repr(value[:100])
