"""Read and alter one link of PostgreSQL's logical replication.

Connections are opened for one question each: none is kept that could be dead when it matters.
"""

from dataclasses import dataclass
from typing import Literal, LiteralString

from psycopg import sql
from pydantic import FiniteFloat, TypeAdapter

from activities.replication.driver import LinkStatus
from activities.replication.postgresql.connection import (
    ANSWER_TIMEOUT,
    FLAGS,
    MARGIN,
    NAMES,
    NUMBERS,
    Name,
    connected,
    fetched,
    fetched_one,
    texts,
)
from activities.replication.postgresql.pgoutput import decoded
from activities.replication.postgresql.row_changes import Row, Values
from activities.replication.postgresql.wire import MEBIBYTE
from activities.transport.login import Logins
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.estate import Database
from workflows.model.replications.postgresql import SubscriptionLink

_SUBSCRIPTION: LiteralString = """
SELECT subenabled, subslotname,
       EXISTS (SELECT FROM pg_stat_subscription
               WHERE subid = pg_subscription.oid AND relid IS NULL AND pid IS NOT NULL)
FROM pg_subscription
WHERE subname = %s AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_FAILOVER: LiteralString = """
SELECT subfailover FROM pg_subscription
WHERE subname = %s AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_LAG: LiteralString = """
SELECT pg_wal_lsn_diff(%s::pg_lsn, confirmed_flush_lsn)::bigint
FROM pg_replication_slots WHERE slot_name = %s
"""
_TABLES: LiteralString = """
SELECT lower(schemaname || '.' || tablename) FROM pg_publication_tables WHERE pubname = %s
ORDER BY 1
"""

_MAY_COMPARE: LiteralString = """
SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user
"""

_SUBSCRIPTIONS: LiteralString = """
SELECT subname, subenabled FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1
"""

_COMMIT_TIMESTAMPS: LiteralString = "SELECT current_setting('track_commit_timestamp')::boolean"

_RETAINED: LiteralString = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint,
       wal_status IN ('unreserved', 'lost'), safe_wal_size
FROM pg_replication_slots WHERE slot_name = %s
"""

_SLOT: LiteralString = """
SELECT coalesce(wal_status = 'lost', false), active,
       coalesce(database = current_database() AND plugin = 'pgoutput', false)
FROM pg_replication_slots WHERE slot_name = %s
"""

_ROOM: LiteralString = """
SELECT (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user),
       (SELECT count(*) FROM pg_replication_slots) <
           current_setting('max_replication_slots')::int,
       (SELECT CASE WHEN setting::bigint >= 0 THEN setting::bigint * 1024 * 1024 END
        FROM pg_settings WHERE name = 'max_slot_wal_keep_size')
"""

_WRITTEN: LiteralString = """
SELECT wal_bytes::float8, extract(epoch FROM now() - stats_reset)::float8 FROM pg_stat_wal
"""

_STATES = TypeAdapter(list[tuple[bool, Name | None, bool]])
_SLOTS = TypeAdapter(list[tuple[bool, bool, bool]])
_LISTED = TypeAdapter(list[tuple[Name, bool]])
_ROOMS = TypeAdapter(list[tuple[bool, bool, int | None]])
_BEHIND = TypeAdapter(list[tuple[int | None]])
_RETAINING = TypeAdapter(list[tuple[int | None, bool | None, int | None]])
_WRITING = TypeAdapter(list[tuple[FiniteFloat, FiniteFloat | None]])

MIN_STATISTICS_SECONDS = 60.0
"""Statistics have to cover this time before an average says anything."""

MAX_MESSAGES_BYTES = 16 * MEBIBYTE
"""Bytes of what a server tells at once: a row, or some messages of a slot."""
OLDEST_VERSION = 140_000
"""The server version from which every view, column and right is there that this driver reads."""
FAILOVER_VERSION = 170_000
"""The server version from which standbys can keep a slot, too."""
ORIGIN_FILTER_VERSION = 160_000
"""The server version from which changes that arrived by replication can be left out."""


@dataclass(frozen=True)
class SubscriptionState(LinkStatus):
    """What the subscriber says; it runs while its apply worker is there."""

    slot: str
    """Empty where it has none: then it cannot be enabled, and delivers nothing."""


@dataclass(frozen=True)
class Slot:
    """What the publisher says of a slot that exists."""

    lost: bool
    """Whether the server has removed WAL that it was to keep: it delivers nothing any more."""
    active: bool
    """Whether a connection uses it."""
    ours: bool
    """Whether it can be that of our subscription: of this database, and of its plugin."""


@dataclass(frozen=True)
class SlotRoom:
    """What the publisher's server says of slots that it does not have yet."""

    allowed: bool
    """Whether our account may make one."""
    free: bool
    """Whether the server takes one more."""
    limit: int | None
    """Bytes of WAL that one may retain; None where nothing limits it."""


@dataclass(frozen=True)
class WalUsage:
    """What the publisher's server says of the WAL that a slot retains."""

    retained: int | None
    """Bytes that the slot retains now."""
    headroom: int | None
    """Bytes that it may still retain; None where nothing limits it."""
    rate: float | None
    """Bytes that are written each second, on average since statistics began."""


@dataclass(frozen=True)
class PostgresLink:
    """One link: a publication on one side, a subscription on the other."""

    logins: Logins
    link: SubscriptionLink
    publisher: Database
    subscriber: Database

    async def version(self, database: Database) -> int:
        """Return the version of a side's server, such as 160004."""
        query: LiteralString = "SELECT current_setting('server_version_num')::int"
        return (await fetched_one(self.logins, database, NUMBERS, query))[0]

    async def find_subscription(self) -> SubscriptionState | None:
        """Read the subscription; None where there is none."""
        name = self.link.subscription
        found = await fetched(self.logins, self.subscriber, _STATES, _SUBSCRIPTION, name)
        if not found:
            return None
        enabled, slot, running = found[0]
        return SubscriptionState(enabled, running, slot or "")

    async def subscription(self) -> SubscriptionState:
        """Read the subscription; NotReady where there is none."""
        if (found := await self.find_subscription()) is None:
            raise NotReady(
                f"{self.link.name}: {self.subscriber.name} has no subscription "
                f"{self.link.subscription}; correct the estate file, or create the subscription"
            )
        return found

    async def wants_failover(self) -> bool:
        """Whether the publisher's standbys shall keep the subscription's slot, too."""
        versions = [await self.version(side) for side in (self.subscriber, self.publisher)]
        if min(versions) < FAILOVER_VERSION:
            return False
        name = self.link.subscription
        found = await fetched(self.logins, self.subscriber, FLAGS, _FAILOVER, name)
        return any(wanted for (wanted,) in found)

    async def subscriptions(self, database: Database) -> dict[str, bool]:
        """Return every subscription of a side's database, and whether it is enabled."""
        return dict(await fetched(self.logins, database, _LISTED, _SUBSCRIPTIONS))

    async def tracks_commit_timestamps(self) -> bool:
        """Whether the subscriber records the time of each commit."""
        asked = fetched_one(self.logins, self.subscriber, FLAGS, _COMMIT_TIMESTAMPS)
        return (await asked)[0]

    async def wal(self, slot: str) -> WalUsage:
        """Return what the publisher retains for a slot, and may retain."""
        logins, publisher = self.logins, self.publisher
        found = await fetched(logins, publisher, _RETAINING, _RETAINED, slot)
        if not found:
            raise OutcomeUnknown(f"{self.link.name}: {publisher.name} has no slot {slot}")
        retained, invalidated, safe = found[0]
        return WalUsage(
            retained=retained,
            # WAL of an invalidated slot goes away at the next checkpoint, or is gone.
            headroom=0 if invalidated else safe if safe is None else max(0, safe),
            rate=await self.write_rate(),
        )

    async def write_rate(self) -> float | None:
        """Return how many bytes of WAL the publisher writes each second, on average."""
        asked = fetched_one(self.logins, self.publisher, _WRITING, _WRITTEN)
        written, seconds = await asked
        measured = seconds is not None and seconds >= MIN_STATISTICS_SECONDS
        return written / seconds if seconds and measured else None

    async def slot_room(self) -> SlotRoom:
        """Read whether the publisher can have one more slot."""
        return SlotRoom(*await fetched_one(self.logins, self.publisher, _ROOMS, _ROOM))

    async def find_slot(self, name: str) -> Slot | None:
        """Read a slot of the publisher; None where there is none."""
        found = await fetched(self.logins, self.publisher, _SLOTS, _SLOT, name)
        return Slot(*found[0]) if found else None

    async def keeps_changes(self, state: SubscriptionState) -> bool:
        """Whether a slot still holds everything that the link has yet to deliver."""
        slot = await self.find_slot(state.slot) if state.slot else None
        return slot is not None and not slot.lost

    async def written(self) -> str:
        """Return the position up to which the publisher has written by now."""
        query: LiteralString = "SELECT pg_current_wal_lsn()::text"
        return (await fetched_one(self.logins, self.publisher, NAMES, query))[0]

    async def lag(self, slot: str, written: str | None = None) -> int:
        """Return how many bytes, up to a position, the subscriber has not confirmed yet."""
        position = written or await self.written()
        found = await fetched(self.logins, self.publisher, _BEHIND, _LAG, position, slot)
        behind = found[0][0] if found else None
        if behind is None:
            raise OutcomeUnknown(f"{self.link.name}: {self.publisher.name} has no slot {slot}")
        return max(0, behind)

    async def tables(self) -> tuple[str, ...]:
        """Return what the publication carries."""
        name = self.link.publication
        found = await fetched(self.logins, self.publisher, NAMES, _TABLES, name)
        return tuple(table for (table,) in found)

    @property
    def name(self) -> str:
        """The link's name in the estate."""
        return self.link.name

    async def may_compare(self) -> bool:
        """Whether our account may read what a slot has yet to deliver."""
        found = await fetched(self.logins, self.publisher, FLAGS, _MAY_COMPARE)
        return any(may for (may,) in found)

    async def current(self, row: Row) -> Values | None:
        """Return what a row is at the publisher now; None where there is none."""
        schema, _, table = row.table.partition(".")
        conditions = [
            sql.SQL("{} IS NULL" if value is None else "{} = {}").format(
                sql.Identifier(column), *(() if value is None else (sql.Placeholder(),))
            )
            for column, value in row.key
        ]
        query = sql.SQL("SELECT * FROM {} WHERE {}").format(
            sql.Identifier(schema, table), sql.SQL(" AND ").join(conditions)
        )
        keys = [value for _, value in row.key if value is not None]
        async with connected(self.logins, self.publisher) as session:
            await session.limit(ANSWER_TIMEOUT)
            found = await session.ask(
                query, *keys, within=ANSWER_TIMEOUT + MARGIN, most=MAX_MESSAGES_BYTES
            )
        rows = texts(found)
        if found is None or not rows:
            return None
        names = (decoded(found.fname(n) or b"") for n in range(found.nfields))
        return dict(zip(names, rows[0], strict=True))

    def altering(self, change: Literal["DISABLE", "ENABLE"]) -> sql.Composed:
        """Return the statement that suspends or resumes the link."""
        name = sql.Identifier(self.link.subscription)
        return sql.SQL("ALTER SUBSCRIPTION {} {}").format(name, sql.SQL(change))

    def pointing_at(self, slot: str | None) -> sql.Composed:
        """Return the statement that has the subscription use a slot, or none."""
        name = sql.SQL("NONE") if slot is None else sql.Literal(slot)
        subscription = sql.Identifier(self.link.subscription)
        statement = sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = {})")
        return statement.format(subscription, name)

    async def alter_slot(
        self, statement: LiteralString, *values: object, within: float = ANSWER_TIMEOUT
    ) -> None:
        """Send a statement about a slot to the publisher; OutcomeUnknown without an answer."""
        async with connected(self.logins, self.publisher) as session:
            await session.limit(within)
            await session.ask(statement, *values, within=within + MARGIN, lost=OutcomeUnknown)

    async def alter(self, statement: sql.Composed, within: float) -> None:
        """Send a statement to the subscriber; OutcomeUnknown without an answer in *within* s."""
        async with connected(self.logins, self.subscriber) as session:
            await session.limit(within)
            await session.ask(statement, within=within + MARGIN, lost=OutcomeUnknown)
