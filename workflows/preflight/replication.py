"""Checks of replication by what every driver reads; a driver's own findings are in its reading."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.excluded_tables import left_out
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.REPLICATION)


@check(Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def replication_not_running(context: CheckContext) -> Iterator[Finding]:
    """Replication runs."""
    for reading in context.each(ReplicationReading):
        if reading.enabled is not None and not (reading.enabled and reading.running):
            link = context.estate.link(reading.place)
            yield replication_not_running.finding(
                link.name,
                seen="enabled, but not running" if reading.enabled else "disabled",
                expected=f"running from {link.source} to {link.target}",
                advice="resume it and let it catch up; read the subscriber's log",
            )


@check(Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def replication_one_way(context: CheckContext) -> Iterator[Finding]:
    """Both directions exist."""
    # What each cluster writes reaches the other by a link of its own.
    for reading in context.each(ReplicationReading):
        if reading.exists is False:
            link = context.estate.link(reading.place)
            yield replication_one_way.finding(
                link.name,
                seen="the databases have no such link",
                expected=f"one from {link.source} to {link.target}",
                advice="create it, or correct it in the estate file",
            )


@check(Scope.LINKS, until=StageName.SUSPEND_REPLICATION)
def excluded_tables_replicated(context: CheckContext) -> Iterator[Finding]:
    """Tables that stay local are not replicated."""
    # Their daily partitions are not, either.
    profile = context.estate.replication.profile
    for reading in context.each(ReplicationReading):
        carried = sorted(table for table in reading.tables if left_out(table, profile))
        if carried:
            yield excluded_tables_replicated.finding(
                reading.place,
                seen=f"replicated: {', '.join(carried)}",
                expected=f"none of profile {profile}",
                advice="exclude them from replication first",
            )
