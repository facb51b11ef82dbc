"""Checks of what the nodes of a cluster share: event queue, unfinished files, maintenance."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.observations import ClusterReading
from workflows.model.stages import StageName
from workflows.model.text import duration, listed
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.SERVICES)


@check(
    Scope.SOURCE_SERVER,
    severity=Severity.WARNS,
    until=StageName.REDIRECT_TRAFFIC,
    only="switchover",
)
def events_stuck(context: CheckContext) -> Iterator[Finding]:
    """No event has been queued for long."""
    # A queue that does not move now will not become empty in stage 7 (section 5).
    limit = context.estate.limits.oldest_event
    for reading in context.each(ClusterReading):
        source = context.estate.cluster_of(reading.place) == context.source
        if source and reading.oldest_event is not None and reading.oldest_event > limit:
            yield events_stuck.finding(
                reading.place,
                seen=f"{reading.events} queued, the oldest for {duration(reading.oldest_event)}",
                expected=f"none older than {duration(limit)}",
                advice="check for partners that cannot be reached; stage 7 would wait for them",
            )


@check(Scope.FIRST_SERVERS, severity=Severity.WARNS, until=StageName.REDIRECT_TRAFFIC)
def orphaned_files(context: CheckContext) -> Iterator[Finding]:
    """No unfinished file is on the storage."""
    for reading in context.each(ClusterReading):
        if reading.orphans:
            yield orphaned_files.finding(
                reading.place,
                seen=", ".join(reading.orphans),
                expected="no *.m_inproc file without a transfer that writes it",
                advice="find the transfer that each file belongs to, then remove it by hand",
            )


@check(Scope.FIRST_SERVERS, until=StageName.REDIRECT_TRAFFIC)
def maintenance_mode(context: CheckContext) -> Iterator[Finding]:
    """No cluster is under maintenance."""
    for reading in context.each(ClusterReading):
        if reading.maintenance:
            yield maintenance_mode.finding(
                reading.place,
                seen=f"zduMaintenanceMode is {listed(reading.maintenance)}: an update is under way",
                expected="zduMaintenanceMode disabled",
                advice="finish the update of the whole cluster and end its maintenance mode",
            )
