"""How is one direction of PostgreSQL's logical replication read, suspended and resumed?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from activities.secrets import Secrets
from workflows.errors import (
    AccessRefused,
    CommandFailed,
    NotReady,
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

    async def disable(self, within: float) -> None:
        """Disable the subscription, in so many seconds; OutcomeUnknown without an answer."""
        await self._alter(sql.SQL("DISABLE"), within)

    async def enable(self, within: float) -> None:
        """Enable the subscription, in so many seconds; OutcomeUnknown without an answer."""
        await self._alter(sql.SQL("ENABLE"), within)

    async def _alter(self, state: sql.SQL, within: float) -> None:
        statement = sql.SQL("ALTER SUBSCRIPTION {} {}").format(
            sql.Identifier(self.link.subscription), state
        )
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
    except psycopg.errors.QueryCanceled as late:
        raise lost(f"{place}: took too long and was ended there") from late
    except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
        raise lost(f"{place}: the connection broke ({str(fault).strip()})") from fault
    except psycopg.Error as refusal:
        raise CommandFailed(f"{place}: {str(refusal).strip()}") from refusal
