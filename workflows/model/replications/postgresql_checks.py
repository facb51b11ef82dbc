"""Checks that the ``postgresql`` driver makes: what a switchover and a rollback need of it."""

from functools import partial

from workflows.model.checks import AccessCheck, Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.stages import StageName

driver_check = partial(Check, heading=Heading.REPLICATION, driver=PostgresReplication)

# An access check: where it fails, everything else is unread, and counts as unknown.
database_too_old = AccessCheck(
    "database_too_old",
    "PostgreSQL is version 14 or later",
    Scope.DATABASES,
    heading=Heading.REPLICATION,
    driver=PostgresReplication,
)
replication_not_alterable = driver_check(
    "replication_not_alterable",
    "The account may suspend and resume replication",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
slot_not_creatable = driver_check(
    "slot_not_creatable",
    "A link that rests can get a slot",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
publication_differs = driver_check(
    "publication_differs",
    "The subscription receives the publication of the estate",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
tables_not_published = driver_check(
    "tables_not_published",
    "Every table that has to replicate is published",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
tables_published_in_part = driver_check(
    "tables_published_in_part",
    "All rows, columns and changes are published",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
tables_not_subscribed = driver_check(
    "tables_not_subscribed",
    "Every published table is received",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
)
replication_lagging = driver_check(
    "replication_lagging",
    "The subscriber has nearly caught up",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
    only="switchover",
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
    Scope.DATABASES,
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
    only="switchover",
)
