"""How is one direction of PostgreSQL's logical replication read, suspended and resumed?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from activities.pgoutput import Reader, decoded
from activities.rows import Row, Values, Written
from activities.secrets import Secrets
from workflows.errors import (
    AccessRefused,
    CommandFailed,
    NotReady,
    NotYet,
    OutcomeUnknown,
    Unreachable,
)
from workflows.estate import Database, ReplicationLink

CONNECT_WITHIN = 5
"""Seconds."""

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

MOST = 100_000
"""Messages of one slot that are read: the transaction that reaches it is the last one."""
AT_ONCE = 1_000
"""Messages that the worker holds."""
ORIGINS_SINCE = 160_000
"""The server version that can leave out what came by replication itself."""

_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "certificate",
    "does not exist",
    "permission denied",
)
"""What libpq says of a connection that will never be accepted; it gives no code there."""


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

    async def subscription(self) -> Subscription:
        """Read the subscription; NotReady where there is none."""
        rows = await self._rows(self.subscriber, _SUBSCRIPTION, self.link.subscription)
        if not rows:
            raise NotReady(
                f"{self.link.name}: {self.subscriber.name} has no subscription "
                f"{self.link.subscription}; look at the estate, or create it"
            )
        enabled, slot, running = rows[0]
        return Subscription(enabled, running, slot or self.link.subscription)

    async def written(self) -> str:
        """Return the position up to which the publisher has written by now."""
        rows = await self._rows(self.publisher, "SELECT pg_current_wal_lsn()::text")
        return str(rows[0][0])

    async def lag(self, slot: str, written: str | None = None) -> int:
        """Return how many bytes, up to a position, the subscriber has not confirmed yet."""
        position = written or await self.written()
        rows = await self._rows(self.publisher, _LAG, position, slot)
        if not rows or rows[0][0] is None:
            raise OutcomeUnknown(f"{self.link.name}: {self.publisher.name} has no slot {slot}")
        return max(0, int(rows[0][0]))

    async def tables(self) -> tuple[str, ...]:
        """Return what the publication carries."""
        rows = await self._rows(self.publisher, _TABLES, self.link.publication)
        return tuple(str(row[0]) for row in rows)

    @property
    def name(self) -> str:
        """The link's name in the estate."""
        return self.link.name

    async def may_compare(self) -> bool:
        """Whether our account may read what a slot has yet to deliver."""
        rows = await self._rows(self.publisher, _MAY_COMPARE)
        return bool(rows and rows[0][0])

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
        async with self._connected(self.publisher) as connection:
            with _translated(self.publisher.name, Unreachable):
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
        async with self._connected(self.publisher) as connection:
            with _translated(self.publisher.name, OutcomeUnknown):
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
        async with self._connected(self.subscriber) as connection:
            with _translated(self.subscriber.name, OutcomeUnknown):
                # The server itself ends what takes too long: nothing happens late.
                limit = sql.SQL("SET statement_timeout = {}").format(round(within * 1000))
                await connection.execute(limit)
                await connection.execute(statement)

    async def _rows(
        self, database: Database, query: LiteralString, *values: str
    ) -> list[tuple[Any, ...]]:
        async with self._connected(database) as connection:
            with _translated(database.name, Unreachable):
                await connection.execute("SET statement_timeout = 10000")
                return await (await connection.execute(query, values)).fetchall()

    @asynccontextmanager
    async def _connected(
        self, database: Database
    ) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        """Connect for one question: no connection is kept that could be dead when it matters."""
        with _connecting(database):
            connection = await psycopg.AsyncConnection.connect(
                host=database.address,
                port=database.port,
                dbname=database.database,
                user=database.user,
                password=self.secrets.read(database.password),
                connect_timeout=CONNECT_WITHIN,
                application_name="switchover",
                autocommit=True,
                row_factory=tuple_row,
                sslmode="verify-full" if database.ca else "disable",
                sslrootcert=database.ca or "",
            )
        async with connection:
            yield connection


def disabling(link: ReplicationLink) -> sql.Composed:
    """Return the statement that suspends a link."""
    return sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(link.subscription))


def enabling(link: ReplicationLink) -> sql.Composed:
    """Return the statement that resumes a link."""
    return sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(sql.Identifier(link.subscription))


@contextmanager
def _connecting(database: Database) -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as fault:
        words = f"{database.name}: {str(fault).strip()}"
        if any(refusal in words for refusal in _REFUSALS):
            raise AccessRefused(f"{words}; look at its account, password, ca and rights") from fault
        raise Unreachable(words) from fault


@contextmanager
def _translated(place: str, lost: type[Unreachable | OutcomeUnknown]) -> Iterator[None]:
    """Say what psycopg's complaint means; *lost* where a statement may have been carried out."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise AccessRefused(f"{place}: {refusal}; grant the right to the account") from refusal
    except psycopg.errors.ObjectInUse as busy:
        raise NotYet(f"{place}: {busy}; it is free again in a moment") from busy
    except psycopg.errors.QueryCanceled as late:
        raise lost(f"{place}: took too long and was ended there") from late
    except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
        raise lost(f"{place}: the connection broke ({str(fault).strip()})") from fault
    except psycopg.Error as refusal:
        raise CommandFailed(f"{place}: {str(refusal).strip()}") from refusal


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
