"""Checks that the ``hosts_file`` driver makes: whether a redirect can work and moves traffic."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.stages import StageName

driver_check = partial(
    # A rejoin redirects nothing.
    Check,
    heading=Heading.TRAFFIC,
    driver=HostsFileLoadBalancer,
    only="switchover",
)

reload_not_runnable = driver_check(
    "reload_not_runnable", "The reload command may be run", Scope.HOSTS
)
hosts_file_not_writable = driver_check(
    "hosts_file_not_writable", "The hosts file may be written", Scope.HOSTS
)
hosts_file_not_changeable = driver_check(
    "hosts_file_not_changeable", "The hosts file can be changed as it is", Scope.HOSTS
)
hosts_file_managed = driver_check(
    "hosts_file_managed",
    "No program writes the hosts file anew",
    Scope.HOSTS,
    severity=Severity.WARNS,
)
hosts_file_mounted_elsewhere = driver_check(
    "hosts_file_mounted_elsewhere",
    "A container that has the hosts file mounted sees what a redirect writes",
    Scope.HOSTS,
    acceptable=True,
)
edges_by_address = driver_check(
    "edges_by_address",
    "Edges are reached by name",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
)
server_not_in_estate = driver_check(
    "server_not_in_estate",
    "The estate lists every server that gets clients",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
reload_keeps_addresses = driver_check(
    "reload_keeps_addresses",
    "A reload takes the addresses of the hosts file",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
sticky_entries = driver_check(
    "sticky_entries",
    "No client is pinned to a node",
    Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
hard_stop_after_short = driver_check(
    "hard_stop_after_short",
    "A reload does not close old connections",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
reloads_limited = driver_check(
    "reloads_limited",
    "A redirect and its undo do not close old connections",
    Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
