"""Checks that the ``hosts_file`` driver makes: whether a redirect can work and moves traffic."""

from __future__ import annotations

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.stages import StageName

reload_not_runnable = Check(
    name="reload_not_runnable",
    title="The reload command may be run",
    heading=Heading.TRAFFIC,
    scope=Scope.HOSTS,
    driver=HostsFileLoadBalancer,
)
hosts_file_not_writable = Check(
    name="hosts_file_not_writable",
    title="The hosts file may be written",
    heading=Heading.TRAFFIC,
    scope=Scope.HOSTS,
    driver=HostsFileLoadBalancer,
)
edges_by_address = Check(
    name="edges_by_address",
    title="Edges are reached by name",
    heading=Heading.TRAFFIC,
    scope=Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    driver=HostsFileLoadBalancer,
)
sticky_entries = Check(
    name="sticky_entries",
    title="No client is pinned to a node",
    heading=Heading.TRAFFIC,
    scope=Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
    driver=HostsFileLoadBalancer,
)
hard_stop_after_short = Check(
    name="hard_stop_after_short",
    title="A reload does not close old connections",
    heading=Heading.TRAFFIC,
    scope=Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
    driver=HostsFileLoadBalancer,
)
