"""Read the state of a link and of both its databases; nothing is changed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TypeVar

from activities.replication.postgresql.definition import (
    definition_findings,
    not_alterable,
    read_definition,
    sends_back,
)
from activities.replication.postgresql.link import (
    OLDEST_VERSION,
    PostgresLink,
    SubscriptionState,
    WalUsage,
)
from activities.replication.postgresql.tables import (
    Subscribed,
    publication_findings,
    read_publication,
    read_subscribed,
    subscription_findings,
    unreadable_rows,
)
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
class _Received:
    """What the subscriber says."""

    exists: bool | None = None
    state: SubscriptionState | None = None
    sends_back: bool | None = None
    subscribed: Subscribed | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_off(self) -> bool:
        """Whether it may be off for good, because the opposite link runs: nothing is asked of it.

        Whether it may is not known here: it depends on which way the switchover leads.
        """
        return self.state is not None and not self.state.enabled and self.sends_back is not False


@dataclass(frozen=True)
class _Sent:
    """What the publisher says."""

    changes_kept: bool | None = None
    tables: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class LinkObserver:
    """Reads one link; each answer is of use without the others."""

    here: PostgresLink
    replication: PostgresReplication
    timing: Timing
    parts: PartialReading

    async def read(self) -> ReplicationReading:
        """Return everything that could be read, and why the rest could not."""
        here = self.here
        publisher, subscriber = await asyncio.gather(
            self._part(partial(here.version, here.publisher), None),
            self._part(partial(here.version, here.subscriber), None),
        )
        old = (*too_old(here.publisher, publisher), *too_old(here.subscriber, subscriber))
        if old:  # other statements would fail there, each with an error of its own
            return ReplicationReading(place=here.name, findings=(*self.parts.findings, *old))
        received = await self._received(subscriber, publisher) if subscriber else _Received()
        sent = await self._sent(received) if publisher else _Sent()
        return ReplicationReading(
            place=here.name,
            exists=received.exists,
            enabled=received.state.enabled if received.state else None,
            running=received.state.running if received.state else None,
            sends_back=received.sends_back,
            changes_kept=sent.changes_kept,
            tables=sent.tables,
            findings=(*self.parts.findings, *sent.findings, *received.findings),
        )

    async def _received(self, version: int, publisher: int | None) -> _Received:
        """Ask the subscriber, whose server has that version."""
        here = self.here
        found, definitions, subscribed, unlisted, timestamps = await asyncio.gather(
            self._part(self._subscription, None),
            self._part(partial(read_definition, here, version), ()),
            self._part(partial(read_subscribed, here), None),
            self._part(self._unlisted, ()),
            self._part(self._without_timestamps, ()),
        )
        received = _Received(
            exists=None if found is None else bool(found),
            state=found[0] if found else None,
            sends_back=sends_back(definitions[0], publisher) if definitions else None,
            subscribed=subscribed,
            findings=(*unlisted, *timestamps),
        )
        if received.is_off:  # all that is done to it is to point it at a slot
            wrong = (not_alterable(defined, here, version) for defined in definitions)
        else:
            wrong = (definition_findings(defined, here, version) for defined in definitions)
        return replace(received, findings=(*chain.from_iterable(wrong), *received.findings))

    async def _sent(self, received: _Received) -> _Sent:
        """Ask the publisher."""
        kept = await self._part(partial(self._kept, received.state), None)
        asked = None if received.is_off else received.state
        whole = asked if kept else None  # a slot that is not there has neither lag nor WAL
        tables, published, lag, wal, not_comparable, unlisted = await asyncio.gather(
            self._part(self.here.tables, ()),
            self._part(partial(read_publication, self.here, self.replication), None),
            self._part(partial(self._lagging, whole), ()),
            self._part(partial(self._wal_headroom, whole), ()),
            self._part(self._not_comparable, ()),
            self._part(self._unlisted_at_publisher, ()),
        )
        findings = [*lag, *not_comparable, *wal, *unlisted]
        if received.is_off and kept is False:
            findings += await self._part(self._room_for_slot, ())
        if published is not None:
            findings += unreadable_rows(published, self.here)
            if asked is not None:
                findings += publication_findings(published, self.here)
            if asked is not None and received.subscribed is not None:
                findings += subscription_findings(published, received.subscribed, self.here)
        return _Sent(kept, tables, tuple(findings))

    async def _kept(self, found: SubscriptionState | None) -> bool | None:
        return None if found is None else await self.here.keeps_changes(found)

    async def _room_for_slot(self) -> tuple[Finding, ...]:
        """A link that rests gets a slot when its publisher becomes active."""
        room, publisher = await self.here.slot_room(), self.here.publisher
        usage = WalUsage(0, room.limit, await self.here.write_rate())
        seen = [] if room.allowed else [f"{publisher.user} may not make one"]
        seen += [] if room.free else ["max_replication_slots is reached"]
        finding = checks.slot_not_creatable.finding(
            self.here.name,
            seen=f"on {publisher.name}: {listed(seen)}",
            expected="a slot can be made there, which keeps what is written until the way back",
            advice=f"ALTER ROLE {publisher.user} REPLICATION there, raise max_replication_slots, "
            "or drop slots that nobody uses",
        )
        return (*((finding,) if seen else ()), *wal_headroom(usage, publisher, self.timing))

    async def _part(self, reading: Callable[[], Awaitable[T]], default: D) -> T | D:
        return await self.parts.part(reading, access.database_unreachable, default)

    async def _subscription(self) -> tuple[SubscriptionState, ...]:
        """Return the link's subscription; nothing where there is none."""
        found = await self.here.find_subscription()
        return (found,) if found else ()

    async def _lagging(self, found: SubscriptionState | None) -> tuple[Finding, ...]:
        link, limit = self.here.link, self.replication.lag_limit
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

    async def _wal_headroom(self, found: SubscriptionState | None) -> tuple[Finding, ...]:
        if found is None:
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
        found = await self.here.subscriptions(self.here.subscriber)
        return self._not_in_estate(self.here.subscriber, self.here.link.target, found)

    async def _unlisted_at_publisher(self) -> tuple[Finding, ...]:
        """One that is off is no concern there: an estate may replicate in one direction only."""
        found = await self.here.subscriptions(self.here.publisher)
        running = (name for name, enabled in found.items() if enabled)
        return self._not_in_estate(self.here.publisher, self.here.link.source, running)

    def _not_in_estate(
        self, database: Database, cluster: str, found: Iterable[str]
    ) -> tuple[Finding, ...]:
        known = {link.subscription for link in self.replication.links if link.target == cluster}
        unknown = [name for name in found if name not in known]
        if not unknown:
            return ()
        return (
            checks.unknown_subscription.finding(
                database.name,
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


def too_old(database: Database, version: int | None) -> Iterator[Finding]:
    """Earlier versions lack views, columns and rights that this driver reads with."""
    if version is not None and version < OLDEST_VERSION:
        yield checks.database_too_old.finding(
            database.name,
            seen=f"PostgreSQL {version // 10_000}; nothing else was read there",
            expected=f"version {OLDEST_VERSION // 10_000} or later",
            advice="upgrade it, or suspend and resume replication by another driver",
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
