"""Say what keeps a load balancer machine from following the zone; pure."""

from collections.abc import Iterator, Mapping

from activities.load_balancer.dns.resolvers import ResolverFacts
from workflows.model.findings import Finding
from workflows.model.load_balancers import dns_checks as checks
from workflows.model.load_balancers.dns import DnsLoadBalancer, ResolvingHost
from workflows.model.text import duration, listed


def judged(
    load_balancer: DnsLoadBalancer, host: ResolvingHost, facts: ResolverFacts
) -> Iterator[Finding]:
    """Yield what HAProxy's configuration shows."""
    if facts.kept:
        yield checks.address_kept.finding(
            host.name,
            seen=listed(facts.kept),
            expected="servers with resolvers, or a reload that takes their addresses anew",
            advice="give these servers resolvers, or name a reload command in the estate and let "
            "init-addr begin with libc; otherwise they keep the old address after a redirect",
        )
    if facts.hold > load_balancer.ttl_limit:
        yield checks.resolvers_hold_long.finding(
            host.name,
            seen=f"{facts.hold_line}: an old address may be used for {duration(facts.hold)}",
            expected=f"{duration(load_balancer.ttl_limit)} at most",
            advice="lower it before the switchover, or raise load_balancer.ttl_limit",
        )


def silent(
    place: str,
    own: Mapping[str, frozenset[str]],
    others: Mapping[str, Mapping[str, frozenset[str]] | None],
) -> Iterator[Finding]:
    """Yield the names that the machine does not resolve, and the name servers without an answer."""
    unresolved = [name for name, found in own.items() if not found]
    if unresolved:
        yield checks.name_not_resolved.finding(
            place,
            seen=f"no address for {listed(unresolved)}",
            expected="the addresses that the zone has",
            advice="check what this machine asks (resolv.conf, nsswitch.conf), and the zone",
        )
    wrong = [
        f"{server} does not answer" if found is None else f"{server} has no address for {name}"
        for server, found in others.items()
        for name in (next(iter(own), ""),)
        if found is None or not found.get(name)
    ]
    if wrong:
        yield checks.resolver_silent.finding(
            place,
            seen=listed(wrong),
            expected="the addresses that the zone has",
            advice="correct nameserver in HAProxy's resolvers section, or let the server answer "
            "this machine",
        )
