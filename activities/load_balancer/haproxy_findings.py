"""Say what a site's HAProxy configuration does to a redirect, and what to do about it; pure."""

from collections.abc import Iterator
from datetime import timedelta

from activities.load_balancer.haproxy_facts import RedirectFacts
from workflows.model.findings import Finding
from workflows.model.load_balancers import haproxy_configuration_checks as checks
from workflows.model.load_balancers import hosts_file_checks
from workflows.model.text import duration, listed

RELOADS = 2
"""A redirect and its undo."""


def judged(facts: RedirectFacts, place: str, drain_timeout: timedelta) -> Iterator[Finding]:
    """Yield what keeps a redirect from moving new connections, and only those."""
    yield from _of_servers(facts, place)
    if facts.sticky_tables:
        yield checks.sticky_entries.finding(
            place,
            seen=listed(facts.sticky_tables),
            expected="no stick table that outlives the redirect",
            advice="pinned clients stay on the source until their entry expires; shorten it",
        )
    if facts.hard_stop_after is not None and facts.hard_stop_after < drain_timeout:
        yield checks.hard_stop_after_short.finding(
            place,
            seen=f"hard-stop-after {duration(facts.hard_stop_after)}",
            expected=f"none, or at least the drain timeout of {duration(drain_timeout)}",
            advice="a reload would cut the transfers that the drain waits for; raise it",
        )
    if facts.max_reloads is not None and facts.max_reloads < RELOADS:
        yield _few_reloads(facts.max_reloads, place)


def _of_servers(facts: RedirectFacts, place: str) -> Iterator[Finding]:
    if facts.by_address or facts.unused_names:
        unused = (f"no server is reached as {name}" for name in facts.unused_names)
        yield checks.edges_by_address.finding(
            place,
            seen=listed([*facts.by_address, *unused]),
            expected="servers reached by the names that the estate lists",
            advice="write names instead of addresses; otherwise a redirect moves nothing",
        )
    if facts.unlisted:
        yield checks.server_not_in_estate.finding(
            place,
            seen=listed(facts.unlisted),
            expected="only servers whose names are in load_balancer.names",
            advice="add these names to load_balancer.names in the estate; otherwise a redirect "
            "leaves them where they are, and a part of the new sessions goes to them",
        )
    if facts.kept_addresses:
        yield hosts_file_checks.reload_keeps_addresses.finding(
            place,
            seen=listed(facts.kept_addresses),
            expected="servers that get their address from the hosts file at each reload",
            advice="remove resolvers from these servers, or give them init-addr libc; otherwise "
            "they keep the old address after a redirect",
        )


def _few_reloads(limit: int, place: str) -> Finding:
    """Return the finding of the check that does not hold: the first reload cuts, or the second."""
    check = checks.hard_stop_after_short if limit == 0 else checks.reloads_limited
    return check.finding(
        place,
        seen=f"mworker-max-reloads {limit}",
        expected=f"none, or at least {RELOADS}: a redirect and its undo are {RELOADS} reloads",
        advice="one more reload ends old workers, and the transfers that they still carry; "
        f"raise it to {RELOADS} and the number of reloads that the site makes during a drain",
    )
