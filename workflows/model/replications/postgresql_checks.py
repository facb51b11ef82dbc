"""Checks that the ``postgresql`` driver makes: what a switchover and a rollback need of it."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.stages import StageName

driver_check = partial(Check, heading=Heading.REPLICATION, driver=PostgresReplication)

replication_lagging = driver_check(
    "replication_lagging",
    "The subscriber has nearly caught up",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
replication_not_comparable = driver_check(
    "replication_not_comparable",
    "A rollback can compare rows",
    Scope.LINKS,
    severity=Severity.WARNS,
)
unknown_subscription = driver_check(
    "unknown_subscription",
    "Every subscription is in the estate",
    Scope.SUBSCRIBERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
commit_timestamps_off = driver_check(
    "commit_timestamps_off",
    "Databases keep the time of each commit",
    Scope.SUBSCRIBERS,
    severity=Severity.WARNS,
)
wal_headroom_low = driver_check(
    "wal_headroom_low",
    "The publisher can keep its WAL while replication is off",
    Scope.PUBLISHERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
