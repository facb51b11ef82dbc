"""What must be the same on both sides (securetransport.md, section 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import ClusterReading, Member, ParityReading
from workflows.preflight.context import Seen, finding, listed, odd_ones

EVERYTHING_ELSE = "correct the one that is wrong, on its own side, while replication runs"


def one_taeh(seen: Seen) -> Iterator[Finding]:
    """All nodes share one ``taeh`` file; or all of a kind, where the estate says so."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for node, reading in seen.nodes:
        if reading.taeh is not None:
            group = node.kind if seen.estate.taeh == "by_kind" else "node"
            groups[group][node.name] = reading.taeh
    for digests in groups.values():
        for place, digest, common in odd_ones(digests):
            alike = listed(name for name, other in digests.items() if other == common)
            yield finding(
                "taeh_differs",
                place,
                seen=f"taeh with SHA-256 {digest[:12]}...",
                expected=f"{common[:12]}..., as on {alike}",
                advice="the clusters cannot read each other's files; install the same taeh",
            )


def one_version(seen: Seen) -> Iterator[Finding]:
    """Both clusters run the same version and update level."""
    versions = {n.name: r.version for n, r in seen.nodes if r.version is not None}
    for place, version, common in odd_ones(versions):
        yield finding(
            "version_differs",
            place,
            seen=version,
            expected=common,
            advice="bring both clusters to the same update level first",
        )


def one_system(seen: Seen) -> Iterator[Finding]:
    """Both clusters run on one type of operating system, and know one type of database."""
    systems = {n.name: r.system for n, r in seen.nodes if r.system is not None}
    for place, system, common in odd_ones(systems):
        yield finding(
            "operating_system_differs",
            place,
            seen=system,
            expected=common,
            advice="the vendor's procedure needs one operating system type on both sides",
        )
    servers = {
        n.name: r.database
        for n, r in seen.nodes
        if r.database is not None and n.kind is Kind.SERVER
    }
    for place, database, common in odd_ones(servers):
        yield finding(
            "database_type_differs",
            place,
            seen=database,
            expected=common,
            advice="the vendor's procedure needs one database type on both sides",
        )


def one_path(seen: Seen) -> Iterator[Finding]:
    """SecureTransport is installed in the same directory everywhere."""
    nodes = (*seen.source.nodes, *seen.target.nodes)
    for place, path, common in odd_ones(_relative(nodes)):
        yield finding(
            "installation_path_differs",
            place,
            seen=path,
            expected=common,
            advice="correct filedrivehome in the estate, or install it in the same directory",
        )


def _relative(nodes: tuple[Node, ...]) -> dict[str, str]:
    """Return where SecureTransport is on each node; a part that is the node's own name is not it.

    Nodes that share one machine can only be told apart by their paths.
    """
    return {node.name: node.filedrivehome.replace(node.name, "NODE") for node in nodes}


def conf_files(seen: Seen) -> Iterator[Finding]:
    """Files under ``conf``, which no replication carries, are the same on nodes of a kind."""
    for kind in Kind:
        nodes = {n.name: f.conf for n, f in seen.machines if n.kind is kind and f.conf}
        files = sorted({file for conf in nodes.values() for file in conf})
        different: dict[str, list[str]] = defaultdict(list)
        for file in files:
            for place, _, _ in odd_ones({name: conf.get(file) for name, conf in nodes.items()}):
                different[place].append(file)
        for place, names in different.items():
            yield finding(
                "conf_differs",
                place,
                seen=f"conf: {listed(names)}",
                expected=f"the same content as on the other nodes of kind {kind}",
                advice="compare the files by hand, and bring them in line",
            )


def configurations(seen: Seen) -> Iterator[Finding]:
    """Options, accounts and the like are the same by name and number."""
    for reading in seen.each(ParityReading):
        places: dict[tuple[str, str], list[str]] = defaultdict(list)
        for one in reading.differences:
            told = f"{one.item}: {one.seen} instead of {one.expected}"
            places[one.check, one.place].append(told)
        for (check, place), told_of in places.items():
            yield finding(
                check,
                place,
                seen=listed(told_of),
                expected="the same as on the other side",
                advice=EVERYTHING_ELSE,
            )


def members(seen: Seen) -> Iterator[Finding]:
    """A node that the cluster knows and the estate does not would never be drained."""
    for reading in seen.each(ClusterReading):
        cluster = seen.estate.cluster_of(reading.place)
        for known, nodes, kind in (
            (reading.servers, cluster.servers, "Server"),
            (reading.edges, cluster.edges, "Edge"),
        ):
            strangers = [member for member in known if not _is_one_of(member, nodes)]
            lost = [node.name for node in nodes if not _knows(known, node)]
            if known and (strangers or lost):
                extra = (f"{kind} {m.name} ({m.address}), which is not ours" for m in strangers)
                gone = (f"no {kind} {name}" for name in lost)
                yield finding(
                    "cluster_nodes_differ",
                    reading.place,
                    seen=listed([*extra, *gone]),
                    expected=f"the nodes of kind {kind} that the estate lists",
                    advice="list every node of the cluster in the estate, or take it out there",
                )


def _is_one_of(member: Member, nodes: tuple[Node, ...]) -> bool:
    return any(_same(member, node) for node in nodes)


def _knows(members_: tuple[Member, ...], node: Node) -> bool:
    return any(_same(member, node) for member in members_)


def _same(member: Member, node: Node) -> bool:
    """Sites name their machines in two ways; one that fits is enough."""
    bare = member.name.partition(".")[0].lower()
    return member.address == node.address or bare == node.name


PARITY = (one_version, one_system, one_path, one_taeh, conf_files, configurations, members)
