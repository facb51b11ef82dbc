"""Checks of the load balancer: where traffic goes, and that it can be redirected."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.observations import BalancerFacts, TrafficReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, declare, duration, listed

check = partial(declare, heading=Heading.TRAFFIC)


@check("Traffic goes to the source", Scope.HOSTS, until=StageName.REDIRECT_TRAFFIC)
def traffic_not_on_source(context: CheckContext) -> Iterator[Finding]:
    """The load balancer sends traffic to the source, by its own files and by a real login."""
    names, source = context.estate.load_balancer.names, context.source.name
    for reading in context.each(TrafficReading):
        for name, address in reading.resolves_to.items():
            expected = names[name][source]
            if address != expected:
                yield traffic_not_on_source.finding(
                    reading.place,
                    seen=f"{name} is {address}",
                    expected=f"{expected}, on {source}",
                    advice="check whether source and target are swapped",
                )
        for protocol, node in reading.lands_on.items():
            if context.estate.cluster_of(node).name != source:
                yield traffic_not_on_source.finding(
                    reading.place,
                    seen=f"a {protocol} login reached {node}",
                    expected=f"a node of {source}",
                    advice="find out why traffic does not follow the load balancer's settings",
                )


@check("The reload command may be run", Scope.HOSTS)
def reload_not_runnable(context: CheckContext) -> Iterator[Finding]:
    """The load balancer can be made to read its hosts file again."""
    for place, facts in _balancers(context):
        host = context.estate.load_balancer_host(place)
        if not facts.reload_runnable:
            yield reload_not_runnable.finding(
                place,
                seen=f"{host.reload[0]} is missing, or may not be run by {host.ssh.user}",
                expected="a command that makes the load balancer read its hosts file again",
                advice="correct reload in the estate, or give the user the right",
            )


@check("The hosts file may be written", Scope.HOSTS)
def hosts_file_not_writable(context: CheckContext) -> Iterator[Finding]:
    """A redirect can replace the hosts file."""
    for place, facts in _balancers(context):
        host = context.estate.load_balancer_host(place)
        if not facts.hosts_file_writable:
            yield hosts_file_not_writable.finding(
                place,
                seen=f"{host.hosts_file} cannot be replaced by {host.ssh.user}",
                expected="a hosts file that a redirect may write",
                advice="give the user the right to write it, and its directory",
            )


@check("Edges are reached by name", Scope.CONFIGURED_HOSTS, until=StageName.REDIRECT_TRAFFIC)
def edges_by_address(context: CheckContext) -> Iterator[Finding]:
    """A server that is configured by its address does not follow the hosts file."""
    for place, facts in _balancers(context):
        if facts.unnamed or facts.unused:
            unused = (f"no server is reached as {name}" for name in facts.unused)
            yield edges_by_address.finding(
                place,
                seen=listed([*facts.unnamed, *unused]),
                expected="servers reached by the names that the estate lists",
                advice="write names instead of addresses, or a redirect moves nothing",
            )


@check(
    "No client is pinned to a node",
    Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
def sticky_entries(context: CheckContext) -> Iterator[Finding]:
    """New connections follow the redirect at once."""
    for place, facts in _balancers(context):
        if facts.sticky:
            yield sticky_entries.finding(
                place,
                seen=listed(facts.sticky),
                expected="no stick table that outlives the redirect",
                advice="pinned clients stay on the source until their entry expires; shorten it",
            )


@check(
    "A reload does not close old connections",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
def hard_stop_after_short(context: CheckContext) -> Iterator[Finding]:
    """Transfers that the drain waits for outlive the reload."""
    limit = context.estate.timing.drain_timeout
    for place, facts in _balancers(context):
        if facts.hard_stop_after is not None and facts.hard_stop_after < limit:
            yield hard_stop_after_short.finding(
                place,
                seen=f"hard-stop-after {duration(facts.hard_stop_after)}",
                expected=f"none, or at least the drain timeout of {duration(limit)}",
                advice="a reload would cut the transfers that the drain waits for; raise it",
            )


def _balancers(context: CheckContext) -> Iterator[tuple[str, BalancerFacts]]:
    for reading in context.each(TrafficReading):
        if reading.balancer is not None:
            yield reading.place, reading.balancer
