"""Checks that the ``postgresql`` driver makes: what a switchover and a rollback need of it."""

from __future__ import annotations

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.stages import StageName

driver_check = partial(Check, heading=Heading.REPLICATION, driver=PostgresReplication)

replication_lagging = driver_check(
    name="replication_lagging",
    title="The subscriber has nearly caught up",
    scope=Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
replication_not_comparable = driver_check(
    name="replication_not_comparable",
    title="A rollback can compare rows",
    scope=Scope.LINKS,
    severity=Severity.WARNS,
)
unknown_subscription = driver_check(
    name="unknown_subscription",
    title="Every subscription is in the estate",
    scope=Scope.SUBSCRIBERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
commit_timestamps_off = driver_check(
    name="commit_timestamps_off",
    title="Databases keep the time of each commit",
    scope=Scope.SUBSCRIBERS,
    severity=Severity.WARNS,
)
wal_headroom_low = driver_check(
    name="wal_headroom_low",
    title="The publisher can keep its WAL while replication is off",
    scope=Scope.PUBLISHERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
