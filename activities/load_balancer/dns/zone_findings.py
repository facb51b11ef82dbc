"""Say what keeps a redirect from changing the zone, or makes it slow; pure."""

from collections.abc import Iterator, Mapping

from activities.load_balancer.dns.zone_state import NameState, ZoneState
from workflows.model.findings import Finding
from workflows.model.load_balancers import dns_checks as checks
from workflows.model.load_balancers.dns import LONGEST_WAIT, DnsLoadBalancer, DnsServer
from workflows.model.text import duration, listed


def judged(load_balancer: DnsLoadBalancer, state: ZoneState) -> Iterator[Finding]:
    """Yield what the first server's answers alone show."""
    place = load_balancer.name
    wrong = [
        f"{name} is {now}" if now.alias or now.delegated else f"{name} has {now}"
        for name, now in state.names.items()
        if not now.rrsets
    ]
    if wrong:
        yield checks.names_without_addresses.finding(
            place,
            seen=listed(wrong),
            expected=f"A or AAAA records of each name in the zone {load_balancer.zone}",
            advice="write addresses instead of an alias, or correct load_balancer.names and zone",
        )
    slowest, reason = state.slowest(load_balancer)
    if slowest > LONGEST_WAIT:
        yield checks.redirect_too_slow.finding(
            place,
            seen=f"a redirect takes up to {duration(slowest)} to reach every resolver: {reason}",
            expected=f"{duration(LONGEST_WAIT)} at most: so long does a redirect wait",
            advice="lower it, and wait for as long as it was before the switchover",
        )
    elif slowest > load_balancer.ttl_limit:
        yield checks.redirect_slow.finding(
            place,
            seen=f"a redirect takes up to {duration(slowest)} to reach every resolver: {reason}",
            expected=f"{duration(load_balancer.ttl_limit)} at most",
            advice="lower it before the switchover, or raise load_balancer.ttl_limit",
        )


def wildcard(load_balancer: DnsLoadBalancer, names: list[str]) -> Finding:
    """Return the finding that a wildcard answers for names that the zone does not have."""
    return checks.names_without_addresses.finding(
        load_balancer.name,
        seen=f"a wildcard answers for {listed(names)}",
        expected=f"A or AAAA records of each name in the zone {load_balancer.zone}",
        advice="add records of the names themselves, with the addresses that they have now",
    )


def refused(load_balancer: DnsLoadBalancer, answer: str) -> Finding:
    """Return the finding that an update without effect was not accepted."""
    return checks.zone_not_changeable.finding(
        load_balancer.name,
        seen=answer,
        expected=f"{load_balancer.servers[0]} accepts updates of {load_balancer.zone} that are "
        f"signed with {load_balancer.tsig.name}",
        advice="let this key change the A and AAAA records of the names, and the TXT records of "
        f"{load_balancer.record_name} (update-policy in BIND); name the primary server first; "
        "compare key, secret and clocks",
    )


def differing(
    load_balancer: DnsLoadBalancer,
    first: ZoneState | None,
    others: Mapping[DnsServer, ZoneState | str],
) -> Iterator[Finding]:
    """Yield the servers that are silent, behind the first one, or answer otherwise."""
    wrong = [
        f"{server} {objection}"
        for server, state in others.items()
        if (objection := _objection(first, state)) is not None
    ]
    if wrong:
        yield checks.zone_servers_differ.finding(
            load_balancer.name,
            seen=listed(wrong, between="; "),
            expected=f"what {load_balancer.servers[0]} answers",
            advice="find out why the zone is not transferred there, or remove the server from the "
            "zone's NS records and from load_balancer.servers",
        )


def shown(names: Mapping[str, NameState]) -> str:
    """Return what every name has, for a refusal."""
    return listed(f"{name} has {now}" for name, now in names.items())


def _objection(first: ZoneState | None, state: ZoneState | str) -> str | None:
    if isinstance(state, str):
        return state
    if first is None:
        return None
    other = [
        f"says that {name} has {now}"
        for name, now in state.names.items()
        if (now.addresses, now.alias) != (first.names[name].addresses, first.names[name].alias)
    ]
    if other:
        return listed(other)
    if not state.is_at_least(first.serial):
        return f"has the serial {state.serial}, before {first.serial}"
    return None
