"""What the nodes need around them: queue and storage, replication, load balancer, Temporal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from workflows.model.findings import Finding
from workflows.model.observations import (
    BalancerFacts,
    ClusterReading,
    LoginReading,
    StorageReading,
    TemporalReading,
    TrafficReading,
)
from workflows.preflight.context import Seen, finding, listed


def queues(seen: Seen) -> Iterator[Finding]:
    """A queue that does not move now will not become empty in stage 7 (section 5)."""
    longest = seen.estate.limits.oldest_event
    for reading in seen.each(ClusterReading):
        source = seen.estate.cluster_of(reading.place) == seen.source
        if source and reading.oldest_event is not None and reading.oldest_event > longest:
            yield finding(
                "events_stuck",
                reading.place,
                seen=f"{reading.events} queued, the oldest for {_told(reading.oldest_event)}",
                expected=f"none older than {_told(longest)}",
                advice="look for partners that cannot be reached; stage 7 would wait for it",
            )


def clusters(seen: Seen) -> Iterator[Finding]:
    """Nothing is left over from an earlier stop, and nobody works on the cluster."""
    for reading in seen.each(ClusterReading):
        if reading.orphans:
            yield finding(
                "orphaned_files",
                reading.place,
                seen=listed(reading.orphans),
                expected="no *.m_inproc file that nobody writes any more",
                advice="find out which transfer each belongs to, then remove it by hand",
            )
        if reading.maintenance:
            yield finding(
                "maintenance_mode",
                reading.place,
                seen=listed(reading.maintenance),
                expected="no maintenance",
                advice="let the work end, then switch the option off",
            )


def logins(seen: Seen) -> Iterator[Finding]:
    """An Edge of the target streams to a Transaction Manager: a listing through it succeeds."""
    for reading in seen.each(LoginReading):
        if reading.failure is not None:
            yield finding(
                "target_edge_login_fails",
                reading.place,
                seen=f"{reading.protocol}: {reading.failure}",
                expected="a login and a listing",
                advice="look whether the node reaches a Transaction Manager, and at its log",
            )


def files(seen: Seen) -> Iterator[Finding]:
    """File contents are identical and present on both sides, one delay later at most."""
    limit = seen.estate.timing.storage_delay
    for reading in seen.each(StorageReading):
        sides: dict[str, list[str]] = defaultdict(list)
        for one in reading.differences:
            sides[one.place].append(f"{one.item} {one.seen} instead of {one.expected}")
        for place, told in sides.items():
            yield finding(
                "storage_differs",
                place,
                seen=f"of {reading.sampled} files compared: {listed(told)}",
                expected="the same files on both sides",
                advice="look at the synchronisation of the storages; see that it has caught up",
            )
        for cluster, delay in reading.delays.items():
            if delay is None or delay > limit:
                after = "not in time" if delay is None else f"after {_told(delay)}"
                yield finding(
                    "storage_delay_exceeded",
                    cluster,
                    seen=f"a file written here was seen on the other side {after}",
                    expected=f"within {_told(limit)}",
                    advice="look at the synchronisation, or correct timing.storage_delay",
                )


def traffic_on_source(seen: Seen) -> Iterator[Finding]:
    """The load balancer sends traffic to the source now, by its hosts file and by a real login."""
    names = seen.estate.load_balancer.names
    for reading in seen.each(TrafficReading):
        for name, address in reading.resolves_to.items():
            wanted = names[name][seen.source.name]
            if address != wanted:
                yield finding(
                    "traffic_not_on_source",
                    reading.place,
                    seen=f"{name} is {address}",
                    expected=f"{wanted}, on {seen.source.name}",
                    advice="look whether source and target are the right way round",
                )
        for protocol, node in reading.lands_on.items():
            if seen.estate.cluster_of(node).name != seen.source.name:
                yield finding(
                    "traffic_not_on_source",
                    reading.place,
                    seen=f"a {protocol} login landed on {node}",
                    expected=f"a node of {seen.source.name}",
                    advice="find out why traffic does not follow the load balancer's hosts file",
                )


def balancers(seen: Seen) -> Iterator[Finding]:
    """Traffic can be redirected, and only new connections will follow."""
    for reading in seen.each(TrafficReading):
        if (facts := reading.balancer) is None:
            continue
        host = seen.estate.load_balancer_host(reading.place)
        if not facts.reload_runnable:
            yield finding(
                "reload_not_runnable",
                reading.place,
                seen=f"{host.reload[0]} is missing, or may not be run by {host.ssh.user}",
                expected="a command that makes the load balancer read its hosts file again",
                advice="correct reload in the estate, or give the user the right",
            )
        if not facts.hosts_file_writable:
            yield finding(
                "hosts_file_not_writable",
                reading.place,
                seen=f"{host.hosts_file} cannot be replaced by {host.ssh.user}",
                expected="a hosts file that a redirect may write",
                advice="give the user the right to write it, and its directory",
            )
        yield from _configured(seen, reading.place, facts)


def _configured(seen: Seen, place: str, facts: BalancerFacts) -> Iterator[Finding]:
    if facts.unnamed or facts.unused:
        unused = (f"no server is reached as {name}" for name in facts.unused)
        yield finding(
            "edges_by_address",
            place,
            seen=listed([*facts.unnamed, *unused]),
            expected="servers reached by the names that the estate lists",
            advice="write names instead of addresses, or a redirect moves nothing",
        )
    if facts.sticky:
        yield finding(
            "sticky_entries",
            place,
            seen=listed(facts.sticky),
            expected="no stick table that outlives the redirect",
            advice="pinned clients stay on the source until their entry expires; shorten it",
        )
    drain_timeout = seen.estate.timing.drain_timeout
    if facts.hard_stop_after is not None and facts.hard_stop_after < drain_timeout:
        yield finding(
            "hard_stop_after_short",
            place,
            seen=f"hard-stop-after {_told(facts.hard_stop_after)}",
            expected=f"none, or at least the drain timeout of {_told(drain_timeout)}",
            advice="a reload would cut the transfers that the drain waits for; raise it",
        )


def temporal(seen: Seen) -> Iterator[Finding]:
    """Nothing else moves this estate, and whoever moves it is one and the same program."""
    for reading in seen.each(TemporalReading):
        if reading.open_run is not None:
            yield finding(
                "switchover_running",
                reading.place,
                seen=f"run {reading.open_run} is open",
                expected="no other switchover of this estate",
                advice=f"see where it is with `switchover status {reading.place}`",
            )
        if reading.missing_attributes:
            yield finding(
                "search_attributes_missing",
                reading.place,
                seen=f"Temporal does not know {listed(reading.missing_attributes)}",
                expected="all search attributes of a switchover",
                advice="start a worker that may register them, or see README for the command",
            )
        if len(set(reading.builds.values())) > 1:
            yield finding(
                "workers_differ",
                reading.place,
                seen=listed(f"{who} runs {build}" for who, build in sorted(reading.builds.items())),
                expected="one build on every worker",
                advice="end the workers of the other version before a run begins",
            )


def cooled_down(seen: Seen, now: datetime) -> Iterator[Finding]:
    """The last switchover is long enough ago for its traces to have settled."""
    rest = seen.estate.timing.cool_down
    for reading in seen.each(TemporalReading):
        if reading.completed is not None and now - reading.completed < rest:
            yield finding(
                "cooling_down",
                reading.place,
                seen=f"a switchover completed {_told(now - reading.completed)} ago",
                expected=f"{_told(rest)} between two of them",
                advice='wait, or accept it with a reason: --accept cooling_down="..."',
            )


def _told(span: timedelta) -> str:
    """Say a time span as people do."""
    seconds = span.total_seconds()
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s".replace(".0 s", " s")


SURROUNDINGS = (queues, clusters, logins, files, traffic_on_source, balancers, temporal)
