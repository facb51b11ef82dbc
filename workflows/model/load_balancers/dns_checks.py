"""Checks that the ``dns`` driver makes: whether the zone can be changed, and is followed."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.stages import StageName

driver_check = partial(
    # A rejoin redirects nothing.
    Check,
    heading=Heading.TRAFFIC,
    driver=DnsLoadBalancer,
    only="switchover",
)

zone_not_changeable = driver_check(
    "zone_not_changeable", "The key may change the names in the zone", Scope.ZONES
)
names_without_addresses = driver_check(
    "names_without_addresses",
    "Every name has addresses of its own in the zone",
    Scope.ZONES,
    until=StageName.REDIRECT_TRAFFIC,
)
zone_servers_differ = driver_check(
    "zone_servers_differ", "Every server of the zone answers with the same addresses", Scope.ZONES
)
redirect_slow = driver_check(
    "redirect_slow",
    "A redirect reaches every resolver within the estate's limit",
    Scope.ZONES,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
redirect_too_slow = driver_check(
    "redirect_too_slow",
    "A redirect reaches every resolver while it is waited for",
    Scope.ZONES,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
name_in_hosts_file = driver_check(
    "name_in_hosts_file",
    "The host's own hosts file gives no address to a name",
    Scope.RESOLVING_HOSTS,
)
name_not_resolved = driver_check(
    "name_not_resolved", "The host resolves every name", Scope.RESOLVING_HOSTS
)
address_kept = driver_check(
    "address_kept",
    "HAProxy takes new addresses after a redirect",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
resolver_silent = driver_check(
    "resolver_silent",
    "Every name server that HAProxy asks knows the names",
    Scope.CONFIGURED_HOSTS,
    acceptable=True,
)
resolvers_hold_long = driver_check(
    "resolvers_hold_long",
    "HAProxy holds an address no longer than the estate's limit",
    Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
