"""Checks of what must be equal on both clusters (docs/securetransport.md, section 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Member, ParityReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, EvaluatedCheck, declare, listed, outliers

check = partial(declare, heading=Heading.EQUALITY)


@check("Version and update level are equal everywhere", Scope.NODES)
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


@check("The operating systems are of one type", Scope.NODES)
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


@check("The databases are of one type", Scope.NODES)
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


@check("FILEDRIVEHOME is equal everywhere", Scope.NODES, acceptable=True)
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


@check("The taeh file is equal", Scope.NODES)
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


@check("Files under conf are equal", Scope.NODES, until=StageName.REDIRECT_TRAFFIC, acceptable=True)
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


def _compared(
    name: str, title: str, scope: Scope = Scope.TARGET, *, acceptable: bool = False
) -> EvaluatedCheck:
    """Return the check of one list of both configurations, compared by name and number."""

    def evaluate(context: CheckContext) -> Iterator[Finding]:
        for reading in context.each(ParityReading):
            places: dict[str, list[str]] = defaultdict(list)
            for one in reading.differences:
                if one.check == name:
                    places[one.place].append(f"{one.item}: {one.seen} instead of {one.expected}")
            for place, differences in places.items():
                yield made.finding(
                    place,
                    seen=listed(differences),
                    expected="the same as on the other cluster",
                    advice="correct the wrong one on its own cluster, while replication runs",
                )

    made = EvaluatedCheck(
        name=name,
        title=title,
        heading=Heading.EQUALITY,
        scope=scope,
        until=StageName.REDIRECT_TRAFFIC,
        acceptable=acceptable,
        evaluate=evaluate,
    )
    return made


options_differ = _compared(
    "options_differ", "System options are equal", Scope.NODES, acceptable=True
)
accounts_differ = _compared("accounts_differ", "Both clusters have the same accounts")
business_units_differ = _compared(
    "business_units_differ", "Both clusters have the same business units"
)
sites_differ = _compared("sites_differ", "Both clusters have the same sites")
routes_differ = _compared("routes_differ", "Both clusters have the same routes")
subscriptions_differ = _compared(
    "subscriptions_differ", "Both clusters have the same subscriptions"
)
applications_differ = _compared("applications_differ", "Both clusters have the same applications")
certificates_differ = _compared("certificates_differ", "Both clusters have the same certificates")


@check(
    "The cluster's own list of nodes is the estate's",
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
