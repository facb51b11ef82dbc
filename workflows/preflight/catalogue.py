"""The list of all checks: every check object of the modules named here, by heading.

Adding a check is adding its object to one of them; reports, ``check --list`` and the table in
``docs/readiness.md`` follow.
"""

from collections.abc import Iterator

from workflows.model.checks import Check, Heading, Scope
from workflows.model.load_balancers import (
    commands_checks,
    dns_checks,
    haproxy_checks,
    haproxy_configuration_checks,
    hosts_file_checks,
    machines_checks,
)
from workflows.model.replications import commands_checks as replication_commands_checks
from workflows.model.replications import postgresql_checks
from workflows.preflight import (
    access,
    cluster,
    configuration,
    interrupted_run,
    load_balancer,
    nodes,
    parity,
    rejoin,
    replication,
    services,
    storage,
    temporal,
)

MODULES = (
    access,
    nodes,
    parity,
    services,
    cluster,
    replication,
    postgresql_checks,
    replication_commands_checks,
    storage,
    load_balancer,
    machines_checks,
    hosts_file_checks,
    haproxy_configuration_checks,
    commands_checks,
    dns_checks,
    haproxy_checks,
    temporal,
    interrupted_run,
    configuration,
    rejoin,
)
"""A driver's checks stand beside its estate type: add that module."""

BY_NAME = {
    check.name: check
    for heading in Heading
    for module in MODULES
    for check in vars(module).values()
    if isinstance(check, Check) and check.heading is heading
}
CHECKS = tuple(BY_NAME.values())


def by_heading() -> Iterator[tuple[Heading, tuple[Check, ...]]]:
    """Yield each heading with its checks."""
    for heading in Heading:
        yield heading, tuple(check for check in CHECKS if check.heading is heading)


def check_of(name: str) -> Check:
    """Return a finding's check; one that only another build has blocks, and is not acceptable."""
    unknown = Check(name=name, title=name, heading=Heading.ACCESS, scope=Scope.EVERYWHERE)
    return BY_NAME.get(name, unknown)
