"""Connect to a PostgreSQL server, and translate its errors for the operator."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.rows import tuple_row

from activities.transport.secrets import Secrets
from workflows.errors import AccessRefused, CommandFailed, NotYet, OutcomeUnknown, Unreachable
from workflows.model.estate import Database

CONNECT_TIMEOUT_SECONDS = 5

_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "certificate",
    "does not exist",
    "permission denied",
)
"""Parts of libpq's text for a connection that will never be accepted; it gives no code there."""


async def fetched(
    secrets: Secrets, database: Database, query: LiteralString, *values: object
) -> list[tuple[Any, ...]]:
    """Return what a query finds, in ten seconds at most."""
    async with connected(secrets, database) as connection:
        with translated(database.name, Unreachable):
            await connection.execute("SET statement_timeout = 10000")
            return await (await connection.execute(query, values)).fetchall()


@asynccontextmanager
async def connected(
    secrets: Secrets, database: Database
) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
    """Connect for one question; no connection is kept that could be dead when it matters."""
    with connecting(database):
        connection = await psycopg.AsyncConnection.connect(
            host=database.address,
            port=database.port,
            dbname=database.database,
            user=database.user,
            password=secrets.read(database.password),
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="switchover",
            autocommit=True,
            row_factory=tuple_row,
            sslmode="verify-full" if database.ca else "disable",
            sslrootcert=database.ca or "",
        )
    async with connection:
        yield connection


@contextmanager
def connecting(database: Database) -> Iterator[None]:
    """Translate psycopg's errors of a connection over which nothing was sent yet."""
    try:
        yield
    except psycopg.OperationalError as fault:
        message = f"{database.name}: {str(fault).strip()}"
        if any(refusal in message for refusal in _REFUSALS):
            raise AccessRefused(f"{message}; check its account, password, ca and rights") from fault
        raise Unreachable(message) from fault


@contextmanager
def translated(place: str, lost: type[Unreachable | OutcomeUnknown]) -> Iterator[None]:
    """Translate psycopg's errors; *lost* is raised where a statement may have been executed."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise AccessRefused(f"{place}: {refusal}; grant the right to the account") from refusal
    except psycopg.errors.ObjectInUse as busy:
        raise NotYet(f"{place}: {busy}; try again") from busy
    except psycopg.errors.QueryCanceled as late:
        raise lost(f"{place}: took too long; the server ended it") from late
    except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
        raise lost(f"{place}: the connection broke ({str(fault).strip()})") from fault
    except psycopg.Error as refusal:
        raise CommandFailed(f"{place}: {str(refusal).strip()}") from refusal
