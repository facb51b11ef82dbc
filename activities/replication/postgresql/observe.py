"""Read the state of a link and of both its databases; nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from activities.replication.postgresql.link import PostgresLink, WalUsage
from activities.runtime.partial_reading import reading_or_finding
from workflows.model.estate import Database, Timing
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.model.replications import postgresql_checks as checks
from workflows.model.replications.postgresql import PostgresReplication
from workflows.model.text import listed
from workflows.preflight import access
from workflows.preflight.context import MEBIBYTE

T = TypeVar("T")


@dataclass(frozen=True)
class LinkObserver:
    """Reads one link; each answer is of use without the others."""

    here: PostgresLink
    replication: PostgresReplication
    timing: Timing

    async def read(self) -> ReplicationReading:
        """Return everything that could be read, and why the rest could not."""
        here = self.here
        at_subscriber = asyncio.gather(
            self._part(here.find_subscription),
            self._part(here.tracks_commit_timestamps),
            self._part(self._unknown_subscriptions),
        )
        at_publisher = asyncio.gather(
            self._part(here.tables),
            self._part(self._lag),
            self._part(self._wal),
            self._part(here.may_compare),
        )
        subscription, timestamps, unknown = await at_subscriber
        tables, lag, wal, comparable = await at_publisher
        known = _or_none(subscription)
        parts = (subscription, timestamps, unknown, tables, lag, wal, comparable)
        # One silent server is one finding, whatever was asked of it.
        failed = {part.name: part for part in parts if isinstance(part, Finding)}
        return ReplicationReading(
            place=here.name,
            exists=None if isinstance(subscription, Finding) else subscription is not None,
            enabled=known.enabled if known else None,
            running=known.running if known else None,
            tables=_or_none(tables) or (),
            findings=(
                *failed.values(),
                *self._lagging(_or_none(lag)),
                *self._not_comparable(_or_none(comparable)),
                *self._unlisted(_or_none(unknown) or ()),
                *self._without_timestamps(_or_none(timestamps)),
                *(
                    wal_headroom(usage, self.here.publisher, self.timing)
                    if (usage := _or_none(wal))
                    else ()
                ),
            ),
        )

    async def _part(self, reading: Callable[[], Awaitable[T]]) -> T | Finding:
        return await reading_or_finding(reading, self.here.name, access.database_unreachable)

    async def _lag(self) -> int | None:
        found = await self.here.find_subscription()
        return await self.here.lag(found.slot) if found else None

    async def _wal(self) -> WalUsage | None:
        found = await self.here.find_subscription()
        return await self.here.wal(found.slot) if found else None

    async def _unknown_subscriptions(self) -> tuple[str, ...]:
        """Return the subscriber's subscriptions that no link of the estate names."""
        there = self.here.link.target
        known = {link.subscription for link in self.replication.links if link.target == there}
        return tuple(name for name in await self.here.subscriptions() if name not in known)

    def _lagging(self, lag: int | None) -> Iterator[Finding]:
        link, limit = self.here.link, self.replication.lag_limit
        if lag is not None and lag > limit:
            yield checks.replication_lagging.finding(
                link.name,
                seen=f"{link.target} is {lag / MEBIBYTE:.1f} MiB behind {link.source}",
                expected=f"at most {limit / MEBIBYTE:.1f} MiB",
                advice="find out what delays the subscriber; stage 2 waits until nothing is behind",
            )

    def _not_comparable(self, comparable: bool | None) -> Iterator[Finding]:  # noqa: FBT001
        """A rollback could not find out whether replication may be resumed."""
        publisher = self.here.publisher
        if comparable is False:
            yield checks.replication_not_comparable.finding(
                self.here.name,
                seen=f"{publisher.user} may not read replication slots on {publisher.name}",
                expected="the right to, so that a rollback can compare what both sides wrote",
                advice=f"ALTER ROLE {publisher.user} REPLICATION there",
            )

    def _unlisted(self, subscriptions: tuple[str, ...]) -> Iterator[Finding]:
        """A subscription that is not suspended would write on while traffic moves."""
        if subscriptions:
            yield checks.unknown_subscription.finding(
                self.here.subscriber.name,
                seen=listed(subscriptions),
                expected="only subscriptions that the estate lists",
                advice="list it among replication.links, or accept it if it is another product's",
            )

    def _without_timestamps(self, tracked: bool | None) -> Iterator[Finding]:  # noqa: FBT001
        if tracked is False:
            yield checks.commit_timestamps_off.finding(
                self.here.subscriber.name,
                seen="track_commit_timestamp is off",
                expected="on, so that the side that wrote a row last can be found out",
                advice="set it and restart PostgreSQL, at a time that suits",
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


def _or_none(result: T | Finding) -> T | None:
    return None if isinstance(result, Finding) else result
