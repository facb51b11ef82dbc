"""Checks of what must be equal on both clusters (docs/securetransport.md, section 9)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from ipaddress import ip_address

from workflows.model.checks import Check, Heading, Scope
from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Member
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.preflight.context import CheckContext, declare, outliers

check = partial(declare, heading=Heading.EQUALITY)


@check(Scope.NODES, acceptable_in_rejoin=True)
def version_differs(context: CheckContext) -> Iterator[Finding]:
    """Version and update level are equal everywhere."""
    versions = {node.name: reading.version for node, reading in context.nodes}
    advice = "update both clusters to the same update level first"
    return _unequal(version_differs, versions, advice)


@check(Scope.NODES)
def operating_system_differs(context: CheckContext) -> Iterator[Finding]:
    """The operating systems are of one type."""
    systems = {node.name: reading.system for node, reading in context.nodes}
    advice = "the vendor's procedure needs one operating system type on both clusters"
    return _unequal(operating_system_differs, systems, advice)


@check(Scope.NODES)
def database_type_differs(context: CheckContext) -> Iterator[Finding]:
    """The databases are of one type."""
    servers = ((node, reading) for node, reading in context.nodes if node.kind is Kind.SERVER)
    databases = {node.name: reading.database for node, reading in servers}
    advice = "the vendor's procedure needs one database type on both clusters"
    return _unequal(database_type_differs, databases, advice)


@check(Scope.NODES, acceptable=True)
def installation_path_differs(context: CheckContext) -> Iterator[Finding]:
    """FILEDRIVEHOME is equal everywhere."""
    # Nodes that share one machine differ by their paths alone, so a part of the path that is the
    # node's own name is no difference.
    nodes = (*context.source.nodes, *context.target.nodes)
    paths = {node.name: node.filedrivehome.replace(node.name, "NODE") for node in nodes}
    advice = "correct filedrivehome in the estate, or install it in the same directory"
    return _unequal(installation_path_differs, paths, advice)


@check(Scope.NODES)
def taeh_differs(context: CheckContext) -> Iterator[Finding]:
    """The taeh file is equal."""
    # All nodes share one ``taeh`` file; or all of a kind, where the estate says so.
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for node, reading in context.nodes:
        if reading.taeh is not None:
            group = node.kind if context.estate.taeh == "by_kind" else "node"
            groups[group][node.name] = reading.taeh
    for digests in groups.values():
        for place, digest, common in outliers(digests):
            equal = listed(name for name, other in digests.items() if other == common)
            yield taeh_differs.finding(
                place,
                seen=f"taeh with SHA-256 {digest[:12]}...",
                expected=f"{common[:12]}..., as on {equal}",
                advice="the clusters cannot read each other's files; install the same taeh",
            )


@check(Scope.NODES, until=StageName.REDIRECT_TRAFFIC, acceptable=True)
def conf_differs(context: CheckContext) -> Iterator[Finding]:
    """Files under conf are equal."""
    # No replication carries them.
    for kind in Kind:
        nodes = {n.name: f.conf for n, f in context.machines if n.kind is kind and f.conf}
        files = sorted({file for conf in nodes.values() for file in conf})
        different: dict[str, list[str]] = defaultdict(list)
        for file in files:
            for place, _, _ in outliers({name: conf.get(file) for name, conf in nodes.items()}):
                different[place].append(file)
        for place, names in different.items():
            yield conf_differs.finding(
                place,
                seen=f"conf: {listed(names)}",
                expected=f"the same content as on the other nodes of kind {kind}",
                advice="compare the files by hand, and correct the one that is wrong",
            )


compared = partial(
    Check,
    heading=Heading.EQUALITY,
    until=StageName.REDIRECT_TRAFFIC,
    # Replication may carry over what was created on the active side meanwhile.
    acceptable_in_rejoin=True,
)
"""A check that is decided where the configurations of both clusters are compared."""

options_differ = compared(
    "options_differ", "System options are equal", Scope.NODES, acceptable=True
)
accounts_differ = compared("accounts_differ", "Both clusters have the same accounts", Scope.TARGET)
business_units_differ = compared(
    "business_units_differ", "Both clusters have the same business units", Scope.TARGET
)
sites_differ = compared("sites_differ", "Both clusters have the same sites", Scope.TARGET)
routes_differ = compared("routes_differ", "Both clusters have the same routes", Scope.TARGET)
subscriptions_differ = compared(
    "subscriptions_differ", "Both clusters have the same subscriptions", Scope.TARGET
)
applications_differ = compared(
    "applications_differ", "Both clusters have the same applications", Scope.TARGET
)
certificates_differ = compared(
    "certificates_differ", "Both clusters have the same certificates", Scope.TARGET
)


@check(Scope.FIRST_SERVERS, until=StageName.REDIRECT_TRAFFIC, acceptable_in_rejoin=True)
def cluster_nodes_differ(context: CheckContext) -> Iterator[Finding]:
    """The cluster's own list of nodes is the estate's."""
    # A node that the cluster has and the estate does not list would never be drained.
    own = {node.name: facts.addresses for node, facts in context.machines}
    names = {node.name: _names(node, own.get(node.name, ())) for node in context.estate.nodes}
    for reading in context.each(ClusterReading):
        cluster = context.estate.cluster_of(reading.place)
        for members, nodes, kind in (
            (reading.servers, cluster.servers, "Server"),
            (reading.edges, cluster.edges, "Edge"),
        ):
            expected = {node.name: names[node.name] for node in nodes}
            if members is not None and (found := [*_memberships(members, names, expected, kind)]):
                yield cluster_nodes_differ.finding(
                    reading.place,
                    seen=listed(found),
                    expected=f"the nodes of kind {kind} that the estate lists",
                    advice="list every node of the cluster in the estate, or remove it from the "
                    "cluster",
                )


def _memberships(
    members: Iterable[Member],
    names: Mapping[str, set[str]],
    expected: Mapping[str, set[str]],
    kind: str,
) -> Iterator[str]:
    """Yield each machine that only the cluster knows, and each node that it does not know."""
    called = {member: _names_of(member) for member in members}
    for member, own in called.items():
        # A pair of sites may list the nodes of both, and a zone the Servers beside its Edges.
        if all(own.isdisjoint(known) for known in names.values()):
            addresses = ", ".join(member.addresses)
            yield f"{kind} {member.name} ({addresses}), not in the estate"
    for name, known in expected.items():
        if all(known.isdisjoint(own) for own in called.values()):
            yield f"no {kind} {name}"


def _unequal(check_: Check, values: Mapping[str, str | None], advice: str) -> Iterator[Finding]:
    known = {place: value for place, value in values.items() if value is not None}
    for place, value, common in outliers(known):
        yield check_.finding(place, seen=value, expected=common, advice=advice)


def _names(node: Node, machine: tuple[str, ...]) -> set[str]:
    """Return everything that a cluster may call a node, given the addresses of its machine."""
    # Several nodes may share a machine: where the estate lists a node's addresses, those count.
    return {node.name, *map(_comparable, (node.address, *(node.listen_on or machine)))}


def _names_of(member: Member) -> set[str]:
    """Return everything that a cluster calls a machine: sites use addresses or host names."""
    host_name = member.name.partition(".")[0].lower()
    return {host_name, *map(_comparable, member.addresses)}


def _comparable(address: str) -> str:
    """Write an address in the one way in which the estate and the machines write it."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address.lower().removesuffix(".")
