"""Check replication by what every driver knows of it; a driver's reading has its own findings."""

from __future__ import annotations

from collections.abc import Iterator

from workflows.model.excluded_tables import left_out
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.preflight.context import Seen, finding


def both_ways(seen: Seen) -> Iterator[Finding]:
    """What each side writes reaches the other: there is a link for each direction."""
    for reading in seen.each(ReplicationReading):
        if reading.exists is False:
            link = seen.estate.link(reading.place)
            yield finding(
                "replication_one_way",
                link.name,
                seen="the databases have no such link",
                expected=f"one from {link.source} to {link.target}",
                advice="create it, or correct it in the estate file",
            )


def replication_runs(seen: Seen) -> Iterator[Finding]:
    """Replication runs."""
    for reading in seen.each(ReplicationReading):
        if reading.enabled is None:
            continue
        link = seen.estate.link(reading.place)
        if not (reading.enabled and reading.running):
            yield finding(
                "replication_not_running",
                link.name,
                seen="disabled" if not reading.enabled else "enabled, but not running",
                expected=f"running from {link.source} to {link.target}",
                advice="resume it and let it catch up; read the subscriber's log",
            )


def replicated_tables(seen: Seen) -> Iterator[Finding]:
    """The tables that must not be replicated are not, nor their daily partitions."""
    profile = seen.estate.replication.profile
    for reading in seen.each(ReplicationReading):
        carried = sorted(table for table in reading.tables if left_out(table, profile))
        if carried:
            yield finding(
                "excluded_tables_replicated",
                reading.place,
                seen=f"replicated: {', '.join(carried)}",
                expected=f"none of profile {profile}",
                advice="exclude them from replication before anything else",
            )


DATABASES = (both_ways, replication_runs, replicated_tables)
