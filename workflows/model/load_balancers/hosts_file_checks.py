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
reload_keeps_addresses = driver_check(
    "reload_keeps_addresses",
    "A reload takes the addresses of the hosts file",
    Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
