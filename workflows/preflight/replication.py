"""What replication and its databases must be like."""

from __future__ import annotations

from collections.abc import Iterator

from workflows.model.excluded_tables import left_out
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.preflight.context import Seen, finding, listed

MEBIBYTE = 1024**2


def both_ways(seen: Seen) -> Iterator[Finding]:
    """What each side writes reaches the other: there is a link for each direction."""
    for reading in seen.each(ReplicationReading):
        if reading.exists is False:
            link = seen.estate.link(reading.place)
            yield finding(
                "replication_one_way",
                link.name,
                seen=f"no subscription {link.subscription}",
                expected=f"one from {link.source} to {link.target}",
                advice="create it anew, or correct its name in the estate",
            )


def replication_runs(seen: Seen) -> Iterator[Finding]:
    """Replication runs, and its subscriber is close behind."""
    for reading in seen.each(ReplicationReading):
        if reading.enabled is None:
            continue
        link = seen.estate.link(reading.place)
        if not (reading.enabled and reading.running):
            yield finding(
                "replication_not_running",
                link.name,
                seen="disabled" if not reading.enabled else "enabled, but its worker does not run",
                expected=f"running from {link.source} to {link.target}",
                advice="resume it and let it catch up; look at the subscriber's log",
            )
        limit = seen.estate.replication.lag_limit
        if reading.lag is not None and reading.lag > limit:
            yield finding(
                "replication_lagging",
                link.name,
                seen=f"{link.target} is {reading.lag / MEBIBYTE:.1f} MiB behind {link.source}",
                expected=f"at most {limit / MEBIBYTE:.1f} MiB",
                advice="find out what holds the subscriber; stage 2 waits until nothing is left",
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
                seen=f"the publication carries {', '.join(carried)}",
                expected=f"none of profile {profile}",
                advice="drop them from the publication before anything else",
            )


def strangers(seen: Seen) -> Iterator[Finding]:
    """A subscription that nobody suspends would write on while traffic moves."""
    for reading in seen.each(ReplicationReading):
        if reading.strangers:
            database = seen.estate.cluster(seen.estate.link(reading.place).target).database
            yield finding(
                "unknown_subscription",
                database.name,
                seen=listed(reading.strangers),
                expected="only subscriptions that the estate lists",
                advice="list it among replication.links, or accept it if it is another product's",
            )


def settings(seen: Seen) -> Iterator[Finding]:
    """The databases keep what a switchover, and a roll-back, need of them."""
    for reading in seen.each(ReplicationReading):
        link = seen.estate.link(reading.place)
        subscriber = seen.estate.cluster(link.target).database
        if reading.subscriber_timestamps is False:
            yield finding(
                "commit_timestamps_off",
                subscriber.name,
                seen="track_commit_timestamp is off",
                expected="on, so that it can be told which side wrote a row last",
                advice="set it and restart PostgreSQL, at a time that suits",
            )
        yield from _headroom(seen, reading)


def _headroom(seen: Seen, reading: ReplicationReading) -> Iterator[Finding]:
    """A suspended subscription keeps its slot, and the publisher its WAL (section 10)."""
    if (instance := reading.publisher) is None:
        return
    database = seen.estate.cluster(seen.estate.link(reading.place).source).database
    room = instance.headroom
    if room is None and database.wal_space is not None:
        room = database.wal_space - (instance.retained or 0)
    if room is None:
        yield finding(
            "wal_headroom_low",
            database.name,
            seen="nothing limits the WAL that is kept, and the estate does not say what fits",
            expected="max_slot_wal_keep_size on the server, or wal_space in the estate",
            advice="a suspended link fills the disk; say how much of it may be used",
        )
        return
    drain_timeout = seen.estate.timing.drain_timeout.total_seconds()
    needed = (instance.wal_rate or 0) * drain_timeout
    if room < needed or room <= 0:
        yield finding(
            "wal_headroom_low",
            database.name,
            seen=f"room for {room / MEBIBYTE:.0f} MiB of WAL",
            expected=f"{needed / MEBIBYTE:.0f} MiB: what is written during the drain timeout",
            advice="raise max_slot_wal_keep_size and the disk, or shorten timing.drain_timeout",
        )


DATABASES = (both_ways, replication_runs, replicated_tables, strangers, settings)
