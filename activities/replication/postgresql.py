"""How is one direction of PostgreSQL's logical replication read, suspended and resumed?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from activities.replication.connection import connected, fetched, translated
from activities.replication.pgoutput import Reader, decoded
from activities.replication.row_changes import Row, Values, Written
from activities.transport.secrets import Secrets
from workflows.errors import NotReady, OutcomeUnknown, Unreachable
from workflows.model.estate import Database, ReplicationLink
from workflows.model.observations import Instance

_SUBSCRIPTION: LiteralString = """
SELECT subenabled, subslotname,
       EXISTS (SELECT FROM pg_stat_subscription
               WHERE subid = pg_subscription.oid AND relid IS NULL AND pid IS NOT NULL)
FROM pg_subscription
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

_PENDING: LiteralString = """
SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, %s, VARIADIC %s::text[])
"""

_MAY_COMPARE: LiteralString = """
SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user
"""

_SUBSCRIPTIONS: LiteralString = """
SELECT subname FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1
"""

_COMMIT_TIMES: LiteralString = "SELECT current_setting('track_commit_timestamp')::boolean"

_KEPT: LiteralString = """
SELECT current_setting('track_commit_timestamp')::boolean,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint,
       wal_status IN ('unreserved', 'lost'), safe_wal_size
FROM pg_replication_slots WHERE slot_name = %s
"""

_WRITTEN: LiteralString = """
SELECT wal_bytes::float8, extract(epoch FROM now() - stats_reset)::float8 FROM pg_stat_wal
"""

SHORTEST_STATISTICS = 60.0
"""Seconds that statistics have to cover before an average says anything."""

MOST = 100_000
"""Messages of one slot that are read: the transaction that reaches it is the last one."""
AT_ONCE = 1_000
"""Messages that the worker holds."""
ORIGINS_SINCE = 160_000
"""The server version that can leave out what came by replication itself."""


@dataclass(frozen=True)
class Subscription:
    """What the subscriber says."""

    enabled: bool
    running: bool
    """Whether its apply worker is there."""
    slot: str


@dataclass(frozen=True)
class PostgreSql:
    """One link: a publication on one side, a subscription on the other."""

    secrets: Secrets
    link: ReplicationLink
    publisher: Database
    subscriber: Database

    async def found(self) -> Subscription | None:
        """Read the subscription; None where there is none."""
        found = await fetched(self.secrets, self.subscriber, _SUBSCRIPTION, self.link.subscription)
        if not found:
            return None
        enabled, slot, running = found[0]
        return Subscription(enabled, running, slot or self.link.subscription)

    async def subscription(self) -> Subscription:
        """Read the subscription; NotReady where there is none."""
        if (found := await self.found()) is None:
            raise NotReady(
                f"{self.link.name}: {self.subscriber.name} has no subscription "
                f"{self.link.subscription}; look at the estate, or create it"
            )
        return found

    async def subscriptions(self) -> tuple[str, ...]:
        """Return every subscription of the subscriber's database."""
        found = await fetched(self.secrets, self.subscriber, _SUBSCRIPTIONS)
        return tuple(str(row[0]) for row in found)

    async def keeps_commit_times(self) -> bool:
        """Whether the subscriber keeps the time of each commit."""
        return bool((await fetched(self.secrets, self.subscriber, _COMMIT_TIMES))[0][0])

    async def instance(self, slot: str) -> Instance:
        """Return what the publisher keeps for a slot, and may keep."""
        kept = await fetched(self.secrets, self.publisher, _KEPT, slot)
        if not kept:
            raise OutcomeUnknown(f"{self.link.name}: {self.publisher.name} has no slot {slot}")
        timestamps, retained, given_up, safe = kept[0]
        written, seconds = (await fetched(self.secrets, self.publisher, _WRITTEN))[0]
        lasting = seconds is not None and seconds >= SHORTEST_STATISTICS
        return Instance(
            commit_timestamps=timestamps,
            retained=retained,
            # WAL of a slot that was given up goes away at the next checkpoint, or is gone.
            headroom=0 if given_up else safe if safe is None else max(0, safe),
            wal_rate=written / seconds if lasting else None,
        )

    async def written(self) -> str:
        """Return the position up to which the publisher has written by now."""
        found = await fetched(self.secrets, self.publisher, "SELECT pg_current_wal_lsn()::text")
        return str(found[0][0])

    async def lag(self, slot: str, written: str | None = None) -> int:
        """Return how many bytes, up to a position, the subscriber has not confirmed yet."""
        position = written or await self.written()
        found = await fetched(self.secrets, self.publisher, _LAG, position, slot)
        if not found or found[0][0] is None:
            raise OutcomeUnknown(f"{self.link.name}: {self.publisher.name} has no slot {slot}")
        return max(0, int(found[0][0]))

    async def tables(self) -> tuple[str, ...]:
        """Return what the publication carries."""
        found = await fetched(self.secrets, self.publisher, _TABLES, self.link.publication)
        return tuple(str(row[0]) for row in found)

    @property
    def name(self) -> str:
        """The link's name in the estate."""
        return self.link.name

    async def may_compare(self) -> bool:
        """Whether our account may read what a slot has yet to deliver."""
        found = await fetched(self.secrets, self.publisher, _MAY_COMPARE)
        return bool(found and found[0][0])

    async def pending(self, slot: str, within: float) -> AsyncGenerator[Written]:
        """Yield what the publisher itself has written and not delivered; takes nothing away.

        Raises:
            NotYet: someone is at the slot.
            NotReady: it is too much to be read.
            OutcomeUnknown: it takes longer than so many seconds, or cannot be understood.
        """
        reader, count = Reader(), 0
        async with self._peeking(slot, within) as messages:
            async for (message,) in messages:
                count += 1
                for written in reader.written(message):
                    yield written
        if count >= MOST:
            raise NotReady(
                f"{self.name}: more than {MOST} changes wait at {self.publisher.name}: whether "
                "both sides wrote the same rows cannot be told; compare the databases by hand, "
                "enable the subscription yourself, then decide `retry`"
            )

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
        async with connected(self.secrets, self.publisher) as connection:
            with translated(self.publisher.name, Unreachable):
                await connection.execute("SET statement_timeout = 10000")
                return _as_sent(await connection.execute(query, keys))

    async def disable(self, within: float) -> None:
        """Disable the subscription, in so many seconds; OutcomeUnknown without an answer."""
        await self._alter(disabling(self.link), within)

    async def enable(self, within: float) -> None:
        """Enable the subscription, in so many seconds; OutcomeUnknown without an answer."""
        await self._alter(enabling(self.link), within)

    @asynccontextmanager
    async def _peeking(
        self, slot: str, within: float
    ) -> AsyncIterator[AsyncIterator[tuple[Any, ...]]]:
        """Open the messages of a slot, without moving it."""
        async with connected(self.secrets, self.publisher) as connection:
            with translated(self.publisher.name, OutcomeUnknown):
                words = ["proto_version", "1", "publication_names", _quoted(self.link.publication)]
                if connection.info.server_version >= ORIGINS_SINCE:
                    words += ["origin", "none"]
                limit = sql.SQL("SET statement_timeout = {}").format(round(within * 1000))
                await connection.execute(limit)
                # The server keeps what it has found, the worker holds a part of it at a time.
                async with connection.transaction(), connection.cursor("pending") as cursor:
                    cursor.itersize = AT_ONCE
                    await cursor.execute(_PENDING, (slot, MOST, words), binary=True)
                    yield cursor

    async def _alter(self, statement: sql.Composed, within: float) -> None:
        async with connected(self.secrets, self.subscriber) as connection:
            with translated(self.subscriber.name, OutcomeUnknown):
                # The server itself ends what takes too long: nothing happens late.
                limit = sql.SQL("SET statement_timeout = {}").format(round(within * 1000))
                await connection.execute(limit)
                await connection.execute(statement)


def disabling(link: ReplicationLink) -> sql.Composed:
    """Return the statement that suspends a link."""
    return sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(link.subscription))


def enabling(link: ReplicationLink) -> sql.Composed:
    """Return the statement that resumes a link."""
    return sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(sql.Identifier(link.subscription))


def _as_sent(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> Values | None:
    """Read one row in the very words that replication would send."""
    result = cursor.pgresult
    if result is None or not result.ntuples:
        return None
    columns = enumerate(cursor.description or ())
    values = ((column.name, result.get_value(0, n)) for n, column in columns)
    return {name: None if value is None else decoded(value) for name, value in values}


def _quoted(name: str) -> str:
    """Spell a publication's name as the output plugin wants it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
