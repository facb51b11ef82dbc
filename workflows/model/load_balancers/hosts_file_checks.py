"""Checks that the ``hosts_file`` driver makes: whether a redirect can work and moves traffic."""

from __future__ import annotations

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer
from workflows.model.stages import StageName

driver_check = partial(Check, heading=Heading.TRAFFIC, driver=HostsFileLoadBalancer)

reload_not_runnable = driver_check(
    name="reload_not_runnable",
    title="The reload command may be run",
    scope=Scope.HOSTS,
)
hosts_file_not_writable = driver_check(
    name="hosts_file_not_writable",
    title="The hosts file may be written",
    scope=Scope.HOSTS,
)
edges_by_address = driver_check(
    name="edges_by_address",
    title="Edges are reached by name",
    scope=Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
)
sticky_entries = driver_check(
    name="sticky_entries",
    title="No client is pinned to a node",
    scope=Scope.CONFIGURED_HOSTS,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
)
hard_stop_after_short = driver_check(
    name="hard_stop_after_short",
    title="A reload does not close old connections",
    scope=Scope.CONFIGURED_HOSTS,
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
