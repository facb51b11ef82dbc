"""Checks of replication and its databases."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.excluded_tables import left_out
from workflows.model.findings import Finding, Severity
from workflows.model.observations import ReplicationReading
from workflows.model.stages import StageName
from workflows.preflight.context import MEBIBYTE, CheckContext, declare, listed

check = partial(declare, heading=Heading.REPLICATION)

replication_not_comparable = Check(
    name="replication_not_comparable",
    title="A rollback can compare rows",
    heading=Heading.REPLICATION,
    scope=Scope.LINKS,
    severity=Severity.WARNS,
)


@check("Replication runs", Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def replication_not_running(context: CheckContext) -> Iterator[Finding]:
    """The subscription is enabled, and its worker runs."""
    for reading in context.each(ReplicationReading):
        if reading.enabled is not None and not (reading.enabled and reading.running):
            link = context.estate.link(reading.place)
            yield replication_not_running.finding(
                link.name,
                seen="enabled, but its worker does not run" if reading.enabled else "disabled",
                expected=f"running from {link.source} to {link.target}",
                advice="resume it and let it catch up; read the subscriber's log",
            )


@check("Both directions exist", Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def replication_one_way(context: CheckContext) -> Iterator[Finding]:
    """What each cluster writes reaches the other: there is a link for each direction."""
    for reading in context.each(ReplicationReading):
        if reading.exists is False:
            link = context.estate.link(reading.place)
            yield replication_one_way.finding(
                link.name,
                seen=f"no subscription {link.subscription}",
                expected=f"one from {link.source} to {link.target}",
                advice="create it, or correct its name in the estate",
            )


@check(
    "The subscriber has nearly caught up",
    Scope.LINKS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
def replication_lagging(context: CheckContext) -> Iterator[Finding]:
    """The lag is small enough for stage 2 to wait for it."""
    limit = context.estate.replication.lag_limit
    for reading in context.each(ReplicationReading):
        if reading.enabled is not None and reading.lag is not None and reading.lag > limit:
            link = context.estate.link(reading.place)
            yield replication_lagging.finding(
                link.name,
                seen=f"{link.target} is {reading.lag / MEBIBYTE:.1f} MiB behind {link.source}",
                expected=f"at most {limit / MEBIBYTE:.1f} MiB",
                advice="find what blocks the subscriber; stage 2 waits until the lag is zero",
            )


@check("Tables that stay local are not published", Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def excluded_tables_replicated(context: CheckContext) -> Iterator[Finding]:
    """Neither the tables that must not be replicated are, nor their daily partitions."""
    profile = context.estate.replication.profile
    for reading in context.each(ReplicationReading):
        carried = sorted(table for table in reading.tables if left_out(table, profile))
        if carried:
            yield excluded_tables_replicated.finding(
                reading.place,
                seen=f"the publication carries {', '.join(carried)}",
                expected=f"none of profile {profile}",
                advice="drop them from the publication first",
            )


@check(
    "Every subscription is in the estate",
    Scope.SUBSCRIBERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
def unknown_subscription(context: CheckContext) -> Iterator[Finding]:
    """A subscription that is not suspended would write while traffic moves."""
    for reading in context.each(ReplicationReading):
        if reading.strangers:
            link = context.estate.link(reading.place)
            yield unknown_subscription.finding(
                context.estate.cluster(link.target).database.name,
                seen=listed(reading.strangers),
                expected="only subscriptions that the estate lists",
                advice="list it in replication.links, or accept it if it is another product's",
            )


@check("Databases keep the time of each commit", Scope.SUBSCRIBERS, severity=Severity.WARNS)
def commit_timestamps_off(context: CheckContext) -> Iterator[Finding]:
    """A rollback can tell which cluster wrote a row last."""
    for reading in context.each(ReplicationReading):
        if reading.subscriber_timestamps is False:
            link = context.estate.link(reading.place)
            yield commit_timestamps_off.finding(
                context.estate.cluster(link.target).database.name,
                seen="track_commit_timestamp is off",
                expected="on, so that a rollback can tell which cluster wrote a row last",
                advice="set it, and restart PostgreSQL at a convenient time",
            )


@check(
    "The publisher can keep its WAL while replication is off",
    Scope.PUBLISHERS,
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
)
def wal_headroom_low(context: CheckContext) -> Iterator[Finding]:
    """A suspended subscription keeps its slot, and the publisher its WAL (section 10)."""
    drain_timeout = context.estate.timing.drain_timeout.total_seconds()
    for reading in context.each(ReplicationReading):
        if (instance := reading.publisher) is None:
            continue
        database = context.estate.cluster(context.estate.link(reading.place).source).database
        room = instance.headroom
        if room is None and database.wal_space is not None:
            room = database.wal_space - (instance.retained or 0)
        needed = (instance.wal_rate or 0) * drain_timeout
        if room is None:
            yield wal_headroom_low.finding(
                database.name,
                seen="no limit for retained WAL on the server, and no wal_space in the estate",
                expected="max_slot_wal_keep_size on the server, or wal_space in the estate",
                advice="a suspended link fills the disk; set how much of it may be used",
            )
        elif room < needed or room <= 0:
            yield wal_headroom_low.finding(
                database.name,
                seen=f"space for {room / MEBIBYTE:.0f} MiB of WAL",
                expected=f"{needed / MEBIBYTE:.0f} MiB: what is written during the drain timeout",
                advice="raise max_slot_wal_keep_size and the disk, or shorten timing.drain_timeout",
            )
