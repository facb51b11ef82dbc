"""The list of all checks: every check object of the modules named here, by heading.

Adding a check is adding its object to one of them; reports, ``check --list`` and the table in
``docs/readiness.md`` follow.
"""

from collections.abc import Iterator

from workflows.model.checks import Check, Heading, Scope
from workflows.model.load_balancers.checks import MODULES as OF_LOAD_BALANCERS
from workflows.model.replications.checks import MODULES as OF_REPLICATIONS
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
    *OF_REPLICATIONS,
    storage,
    load_balancer,
    *OF_LOAD_BALANCERS,
    temporal,
    interrupted_run,
    configuration,
    rejoin,
)
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
