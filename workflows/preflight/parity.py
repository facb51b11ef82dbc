"""Checks of what must be equal on both clusters (docs/securetransport.md, section 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from workflows.model.checks import Check, Heading, Scope
from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Member, ParityReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, check, listed, outliers


@check("Version and update level are equal everywhere", Heading.EQUALITY, Scope.NODES)
def version_differs(context: CheckContext) -> Iterator[Finding]:
    """Both clusters run the same version and update level."""
    versions = {n.name: r.version for n, r in context.nodes if r.version is not None}
    for place, version, common in outliers(versions):
        yield version_differs.finding(
            place,
            seen=version,
            expected=common,
            advice="update both clusters to the same update level first",
        )


@check("The operating systems are of one type", Heading.EQUALITY, Scope.NODES)
def operating_system_differs(context: CheckContext) -> Iterator[Finding]:
    """The vendor's procedure needs one operating system type."""
    systems = {n.name: r.system for n, r in context.nodes if r.system is not None}
    for place, system, common in outliers(systems):
        yield operating_system_differs.finding(
            place,
            seen=system,
            expected=common,
            advice="the vendor's procedure needs one operating system type on both clusters",
        )


@check("The databases are of one type", Heading.EQUALITY, Scope.NODES)
def database_type_differs(context: CheckContext) -> Iterator[Finding]:
    """The vendor's procedure needs one database type."""
    databases = {
        n.name: r.database
        for n, r in context.nodes
        if r.database is not None and n.kind is Kind.SERVER
    }
    for place, database, common in outliers(databases):
        yield database_type_differs.finding(
            place,
            seen=database,
            expected=common,
            advice="the vendor's procedure needs one database type on both clusters",
        )


@check("FILEDRIVEHOME is equal everywhere", Heading.EQUALITY, Scope.NODES, acceptable=True)
def installation_path_differs(context: CheckContext) -> Iterator[Finding]:
    """SecureTransport is installed in the same directory everywhere.

    Nodes that share one machine differ by their paths alone, so a part of the path that is the
    node's own name is no difference.
    """
    nodes = (*context.source.nodes, *context.target.nodes)
    paths = {node.name: node.filedrivehome.replace(node.name, "NODE") for node in nodes}
    for place, path, common in outliers(paths):
        yield installation_path_differs.finding(
            place,
            seen=path,
            expected=common,
            advice="correct filedrivehome in the estate, or install it in the same directory",
        )


@check("The taeh file is equal", Heading.EQUALITY, Scope.NODES)
def taeh_differs(context: CheckContext) -> Iterator[Finding]:
    """All nodes share one ``taeh`` file; or all of a kind, where the estate says so."""
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


@check(
    "Files under conf are equal",
    Heading.EQUALITY,
    Scope.NODES,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
def conf_differs(context: CheckContext) -> Iterator[Finding]:
    """Files under ``conf``, which no replication carries, are equal on nodes of a kind."""
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


@check(
    "System options are equal",
    Heading.EQUALITY,
    Scope.NODES,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
def options_differ(context: CheckContext) -> Iterator[Finding]:
    """Options have the same values on both clusters."""
    return _differences(options_differ, context)


@check(
    "Both clusters have the same accounts",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def accounts_differ(context: CheckContext) -> Iterator[Finding]:
    """Accounts are compared by name and number."""
    return _differences(accounts_differ, context)


@check(
    "Both clusters have the same business units",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def business_units_differ(context: CheckContext) -> Iterator[Finding]:
    """Business units are compared by name and number."""
    return _differences(business_units_differ, context)


@check(
    "Both clusters have the same sites",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def sites_differ(context: CheckContext) -> Iterator[Finding]:
    """Transfer sites are compared by name and number."""
    return _differences(sites_differ, context)


@check(
    "Both clusters have the same routes",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def routes_differ(context: CheckContext) -> Iterator[Finding]:
    """Routes are compared by name and number."""
    return _differences(routes_differ, context)


@check(
    "Both clusters have the same subscriptions",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def subscriptions_differ(context: CheckContext) -> Iterator[Finding]:
    """Subscriptions are compared by name and number."""
    return _differences(subscriptions_differ, context)


@check(
    "Both clusters have the same applications",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def applications_differ(context: CheckContext) -> Iterator[Finding]:
    """Applications are compared by name and number."""
    return _differences(applications_differ, context)


@check(
    "Both clusters have the same certificates",
    Heading.EQUALITY,
    Scope.TARGET,
    until=StageName.REDIRECT_TRAFFIC,
)
def certificates_differ(context: CheckContext) -> Iterator[Finding]:
    """Certificates are compared by name and number."""
    return _differences(certificates_differ, context)


def _differences(check_: Check, context: CheckContext) -> Iterator[Finding]:
    for reading in context.each(ParityReading):
        places: dict[str, list[str]] = defaultdict(list)
        for one in reading.differences:
            if one.check == check_.name:
                places[one.place].append(f"{one.item}: {one.seen} instead of {one.expected}")
        for place, differences in places.items():
            yield check_.finding(
                place,
                seen=listed(differences),
                expected="the same as on the other cluster",
                advice="correct the wrong one on its own cluster, while replication runs",
            )


@check(
    "The cluster's own list of nodes is the estate's",
    Heading.EQUALITY,
    Scope.FIRST_SERVERS,
    until=StageName.REDIRECT_TRAFFIC,
)
def cluster_nodes_differ(context: CheckContext) -> Iterator[Finding]:
    """A node that the cluster has and the estate does not list would never be drained."""
    for reading in context.each(ClusterReading):
        cluster = context.estate.cluster_of(reading.place)
        for members, nodes, kind in (
            (reading.servers, cluster.servers, "Server"),
            (reading.edges, cluster.edges, "Edge"),
        ):
            unlisted = [m for m in members if not any(_same(m, node) for node in nodes)]
            missing = [n.name for n in nodes if not any(_same(m, n) for m in members)]
            if members and (unlisted or missing):
                extra = (f"{kind} {m.name} ({m.address}), not in the estate" for m in unlisted)
                absent = (f"no {kind} {name}" for name in missing)
                yield cluster_nodes_differ.finding(
                    reading.place,
                    seen=listed([*extra, *absent]),
                    expected=f"the nodes of kind {kind} that the estate lists",
                    advice="list every node of the cluster in the estate, or remove it from the "
                    "cluster",
                )


def _same(member: Member, node: Node) -> bool:
    """Whether both are one machine: sites name their machines by address or by host name."""
    host_name = member.name.partition(".")[0].lower()
    return member.address == node.address or host_name == node.name
