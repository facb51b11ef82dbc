"""Read the state of a link and of both its databases; nothing is changed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from activities.replication.postgresql.link import PostgresLink, SubscriptionState, WalUsage
from activities.runtime.partial_reading import PartialReading
from workflows.model.estate import Database, Timing
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.model.replications import postgresql_checks as checks
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.text import listed
from workflows.preflight import access
from workflows.preflight.context import MEBIBYTE

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class LinkObserver:
    """Reads one link; each answer is of use without the others."""

    here: PostgresLink
    replication: PostgresReplication
    timing: Timing

    async def read(self) -> ReplicationReading:
        """Return everything that could be read, and why the rest could not."""
        here, parts = self.here, PartialReading(self.here.name)

        async def part(reading: Callable[[], Awaitable[T]], default: D) -> T | D:
            return await parts.part(reading, access.database_unreachable, default)

        at_subscriber = asyncio.gather(
            part(self._subscription, None),
            part(self._without_timestamps, ()),
            part(self._unlisted, ()),
        )
        at_publisher = asyncio.gather(
            part(here.tables, ()),
            part(self._lagging, ()),
            part(self._wal_headroom, ()),
            part(self._not_comparable, ()),
        )
        subscription, timestamps, unlisted = await at_subscriber
        tables, lag, wal, not_comparable = await at_publisher
        known = subscription[0] if subscription else None
        return ReplicationReading(
            place=here.name,
            exists=None if subscription is None else bool(subscription),
            enabled=known.enabled if known else None,
            running=known.running if known else None,
            tables=tables,
            findings=(*parts.findings, *lag, *not_comparable, *unlisted, *timestamps, *wal),
        )

    async def _subscription(self) -> tuple[SubscriptionState, ...]:
        """Return the link's subscription; nothing where there is none."""
        found = await self.here.find_subscription()
        return (found,) if found else ()

    async def _lagging(self) -> tuple[Finding, ...]:
        link, limit = self.here.link, self.replication.lag_limit
        found = await self.here.find_subscription()
        lag = await self.here.lag(found.slot) if found else 0
        if lag <= limit:
            return ()
        return (
            checks.replication_lagging.finding(
                link.name,
                seen=f"{link.target} is {lag / MEBIBYTE:.1f} MiB behind {link.source}",
                expected=f"at most {limit / MEBIBYTE:.1f} MiB",
                advice="find out what delays the subscriber; stage 2 waits until nothing is behind",
            ),
        )

    async def _wal_headroom(self) -> tuple[Finding, ...]:
        if (found := await self.here.find_subscription()) is None:
            return ()
        usage = await self.here.wal(found.slot)
        return tuple(wal_headroom(usage, self.here.publisher, self.timing))

    async def _not_comparable(self) -> tuple[Finding, ...]:
        """A rollback could not find out whether replication may be resumed."""
        if await self.here.may_compare():
            return ()
        publisher = self.here.publisher
        return (
            checks.replication_not_comparable.finding(
                self.here.name,
                seen=f"{publisher.user} may not read replication slots on {publisher.name}",
                expected="the right to, so that a rollback can compare what both sides wrote",
                advice=f"ALTER ROLE {publisher.user} REPLICATION there",
            ),
        )

    async def _unlisted(self) -> tuple[Finding, ...]:
        """A subscription that is not suspended would write on while traffic moves."""
        there = self.here.link.target
        known = {link.subscription for link in self.replication.links if link.target == there}
        unknown = [name for name in await self.here.subscriptions() if name not in known]
        if not unknown:
            return ()
        return (
            checks.unknown_subscription.finding(
                self.here.subscriber.name,
                seen=listed(unknown),
                expected="only subscriptions that the estate lists",
                advice="list it among replication.links, or accept it if it is another product's",
            ),
        )

    async def _without_timestamps(self) -> tuple[Finding, ...]:
        if await self.here.tracks_commit_timestamps():
            return ()
        return (
            checks.commit_timestamps_off.finding(
                self.here.subscriber.name,
                seen="track_commit_timestamp is off",
                expected="on, so that the side that wrote a row last can be found out",
                advice="set it and restart PostgreSQL, at a time that suits",
            ),
        )


def wal_headroom(wal: WalUsage, database: Database, timing: Timing) -> Iterator[Finding]:
    """A suspended subscription keeps its slot, and the publisher its WAL (section 10)."""
    room = wal.headroom
    if room is None and database.wal_space is not None:
        room = database.wal_space - (wal.retained or 0)
    if room is None:
        yield checks.wal_headroom_low.finding(
            database.name,
            seen="no limit for retained WAL on the server, and no wal_space in the estate",
            expected="max_slot_wal_keep_size on the server, or wal_space in the estate",
            advice="a suspended link fills the disk; set how much of it may be used",
        )
        return
    drain_timeout = timing.drain_timeout.total_seconds()
    needed = (wal.rate or 0) * drain_timeout
    if room < needed or room <= 0:
        yield checks.wal_headroom_low.finding(
            database.name,
            seen=f"space for {room / MEBIBYTE:.0f} MiB of WAL",
            expected=f"{needed / MEBIBYTE:.0f} MiB: what is written during the drain timeout",
            advice="raise max_slot_wal_keep_size and the disk, or shorten timing.drain_timeout",
        )
