"""Checks of replication by what every driver reads; a driver's own findings are in its reading."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.excluded_tables import left_out
from workflows.model.findings import Finding, Severity
from workflows.model.observations import ReplicationReading
from workflows.model.stages import StageName
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.REPLICATION)


@check(Scope.LINKS, until=StageName.SUSPEND_REPLICATION, only="switchover")
def replication_not_running(context: CheckContext) -> Iterator[Finding]:
    """Replication runs."""
    for reading in context.links:
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
    """Every link exists, and one leads to the target."""
    # What each cluster writes reaches the other by a link of its own.
    links = context.estate.replication.links
    if all(link.target != context.plan.target for link in links):
        yield replication_one_way.finding(
            links[0].name,
            seen=f"the estate has no link from {context.plan.source} to {context.plan.target}",
            expected="the target receives what is written on the source",
            advice="replicate in that direction, and list the link in the estate file",
        )
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
def replication_loops(context: CheckContext) -> Iterator[Finding]:
    """Nothing that was replicated is sent back."""
    # It would be applied a second time where it was written, which overwrites newer values, or
    # stops replication for good.
    readings = [one for one in context.each(ReplicationReading) if one.enabled]
    ends = {
        (link.source, link.target) for link in (context.estate.link(one.place) for one in readings)
    }
    for reading in readings:
        link = context.estate.link(reading.place)
        if reading.sends_back and (link.target, link.source) in ends:
            yield replication_loops.finding(
                link.name,
                seen=f"sends back to {link.target} what {link.source} received from there",
                expected="both directions send only what was written on their own side",
                advice="on PostgreSQL 16 or later set origin = none on both subscriptions; before "
                f"16 only one direction can run: disable the one to {context.plan.source}",
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


@check(Scope.LINKS, severity=Severity.WARNS, only="rejoin")
def changes_lost(context: CheckContext) -> Iterator[Finding]:
    """What was written since the suspension can be delivered."""
    for reading in context.each(ReplicationReading):
        link = context.estate.link(reading.place)
        suspended = reading.enabled is False and link.target == context.plan.target
        if suspended and reading.changes_kept is False:
            yield changes_lost.finding(
                link.name,
                seen=f"nothing keeps what {link.target} has not received yet",
                expected=f"everything that {link.source} wrote since replication was suspended",
                advice="the rejoin copies the tables instead; until then leave the link disabled",
            )
