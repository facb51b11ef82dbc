"""Compare the configuration that both clusters must share, and report what differs."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from temporalio import activity

from activities.configuration.cluster import ClusterObserver
from activities.nodes.desired_state import POLL_INTERVAL
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from workflows.errors import OutcomeUnknown
from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.checks import Check
from workflows.model.estate import Cluster, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Difference, ParityReading
from workflows.model.text import listed
from workflows.ports.configuration import ClusterInput, ConfigurationPort
from workflows.ports.inputs import ClusterPairInput
from workflows.preflight import access, parity

UNREADABLE = access.configuration_unreadable
LISTS = {
    "accounts": parity.accounts_differ,
    "businessUnits": parity.business_units_differ,
    "sites": parity.sites_differ,
    "routes": parity.routes_differ,
    "subscriptions": parity.subscriptions_differ,
    "applications": parity.applications_differ,
    "certificates": parity.certificates_differ,
}
"""For each resource of the admin API: the check that its comparison belongs to."""

COMPARISON_TIMEOUT = 18.0
"""Seconds: the lists of both sides, twice where they differ; the attempt itself has 20."""
MAX_NAMES = 2000
"""Longer lists are compared by their number alone: a page has a hundred items."""

_NAMES = ("name", "title", "alias", "id")
_SUBSCRIBED = ("account", "folder", "application")

CheckedDifference = tuple[Check, Difference]
Options = Mapping[str, str]
Names = tuple[int, frozenset[str]]
"""How many items a list has, and their names if they were read one by one."""


class RestConfigurations(ConfigurationPort):
    """Both clusters' configuration, over the admin REST APIs."""

    def __init__(self, services: ServiceStatusReader, admin: AdminClient) -> None:
        self._observer = ClusterObserver(services, admin)
        self._admin = admin

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
                lambda: self._compare_twice(given),
                place,
                UNREADABLE,
                unusable=UNREADABLE,
                give_up_after=COMPARISON_TIMEOUT,
            )
        if isinstance(found, Finding):
            return ParityReading(place=place, findings=(found,))
        return ParityReading(place=place, findings=tuple(_findings(found)))

    async def _compare_twice(
        self, given: ClusterPairInput[CompareConfiguration]
    ) -> list[CheckedDifference]:
        """Compare again if something differs: replication needs some time."""
        first = await self._compare(given)
        if not first:
            return first
        await sleep(POLL_INTERVAL)
        second = await self._compare(given)
        known = {(check, d.place, d.item) for check, d in first}
        return [(check, d) for check, d in second if (check, d.place, d.item) in known]

    async def _compare(
        self, given: ClusterPairInput[CompareConfiguration]
    ) -> list[CheckedDifference]:
        source, target = given.source, given.target
        of_source = ((source, node) for node in (source.servers[0], *source.edges))
        of_target = ((target, node) for node in (target.servers[0], *target.edges))
        nodes = [*of_source, *of_target]
        options, lists = await asyncio.gather(
            asyncio.gather(*(self._options(cluster, node) for cluster, node in nodes)),
            asyncio.gather(*(self._list(given, resource) for resource in LISTS)),
        )
        known = {node.name: found for (_, node), found in zip(nodes, options, strict=True)}
        differences = [
            *_options_differ(known, (source.servers[0], target.servers[0])),
            *_options_differ(known, (*source.edges, *target.edges)),
        ]
        for resource, (here, there) in zip(LISTS, lists, strict=True):
            found = _lists_differ(given, here, there)
            differences += [(LISTS[resource], one) for one in found]
        return differences

    async def _options(self, cluster: Cluster, node: Node) -> Options:
        return shared(await self._admin.options(node), cluster, node)

    async def _list(
        self, given: ClusterPairInput[CompareConfiguration], resource: str
    ) -> tuple[Names, Names]:
        here, there = await asyncio.gather(
            *(self._names(side.servers[0], resource) for side in (given.source, given.target))
        )
        return here, there

    async def _names(self, node: Node, resource: str) -> Names:
        """Return the items of a list; none if this version has no such list."""
        page = await self._admin.listing(node, resource, MAX_NAMES)
        if page is None:
            return 0, frozenset()
        names = page.result if page.total <= MAX_NAMES else ()
        return page.total, frozenset(named(item, node.name) for item in names)


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


def named(item: Mapping[str, Any], place: str) -> str:
    """Return the name of an item of a list; ids may differ between both sides."""
    if any(item.get(key) for key in _SUBSCRIBED[:2]) and not item.get("name"):
        return " ".join(str(item[key]) for key in _SUBSCRIBED if item.get(key))
    name = next((str(item[key]) for key in _NAMES if item.get(key)), "")
    if not name:
        raise OutcomeUnknown(f"{place}: an item of a list has no name")
    return name


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


def _lists_differ(
    given: ClusterPairInput[CompareConfiguration], here: Names, there: Names
) -> Iterator[Difference]:
    source, target = given.source.name, given.target.name
    sides = ((source, here[1] - there[1]), (target, there[1] - here[1]))
    by_name = here[0] == len(here[1]) and there[0] == len(there[1])
    for side, names in sides if by_name else ():
        for name in sorted(names):
            yield Difference(place=target, item=name, seen=f"only on {side}", expected="on both")
    if here[0] != there[0] and not (by_name and here[1] != there[1]):
        yield Difference(place=target, item="number", seen=str(there[0]), expected=str(here[0]))


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
