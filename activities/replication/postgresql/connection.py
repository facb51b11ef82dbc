"""Ask a PostgreSQL server, within bounds, and translate its errors for the operator."""

import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, LiteralString, TypeVar

import psycopg
from psycopg import pq, sql, waiting
from psycopg.abc import PQGen
from pydantic import StringConstraints, TypeAdapter, ValidationError

from activities.replication.postgresql.pgoutput import decoded
from activities.replication.postgresql.wire import MEBIBYTE, PORT, Wire
from activities.time_limits import Stopwatch
from activities.transport.login import Connection, Logins
from activities.transport.ssh_errors import JumpRefused
from activities.transport.tls import verifying
from workflows.errors import (
    AccessRefused,
    BadInput,
    CommandFailed,
    NotYet,
    OutcomeUnknown,
    Unreachable,
)
from workflows.model.estate import Database
from workflows.model.text import printable

T = TypeVar("T")
RV = TypeVar("RV")
Name = Annotated[str, StringConstraints(max_length=255)]
"""A schema and a table are 127 bytes together; nothing else that is asked for is longer."""
NAMES = TypeAdapter(list[tuple[Name]])
FLAGS = TypeAdapter(list[tuple[bool]])
NUMBERS = TypeAdapter(list[tuple[int]])

CONNECT_TIMEOUT = 5.0
"""Seconds until a server has accepted the login, with its name, its certificate and all."""
ANSWER_TIMEOUT = 10.0
"""Seconds for the answer to a question."""
MARGIN = 1.0
"""Seconds by which the worker waits longer than the server, which then says itself why it ended."""
MAX_ANSWER = MEBIBYTE
MAX_ROWS = 10_000
MAX_TEXT = 400
"""Characters of a server's own text that are shown."""

_REFUSALS = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "certificate",
    "does not exist",
    "permission denied",
)
"""Parts of libpq's text for a connection that will never be accepted; it gives no code there."""
_TO_SOCKET = re.compile(r'.*\.s\.PGSQL\.\d+" failed: ', re.DOTALL)


class _Connection(psycopg.AsyncConnection[Any]):
    """A connection that is dropped where a wait for its server is given up."""

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = 0.1,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's
    ) -> RV:
        """Wait for an answer; psycopg would ask the server to end it, and wait for that, too."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, timeout)
        except BaseException:
            self.pgconn.finish()
            raise


@dataclass(frozen=True)
class Session:
    """One connection to a server; every question is bounded in bytes, rows and time."""

    place: str
    connection: _Connection
    wire: Wire

    async def ask(
        self,
        statement: LiteralString | sql.Composed,
        *values: object,
        within: float = ANSWER_TIMEOUT,
        most: int = MAX_ANSWER,
        lost: type[Unreachable | OutcomeUnknown] = Unreachable,
        binary: bool = False,
    ) -> pq.abc.PGresult | None:
        """Send a statement once and return its answer; *lost* where it may have been executed.

        Raises:
            OutcomeUnknown: the answer is more than it may be, or is none.
        """
        self.wire.allow(most)
        with translated(self.place, lost, self.wire):
            try:
                asking = self.connection.execute(statement, values or None, binary=binary)
                result = (await Stopwatch().time(asking, within)).pgresult
            except TimeoutError as silence:
                raise lost(f"{self.place}: no whole answer within {within:.0f} s") from silence
        if result is not None and result.ntuples > MAX_ROWS:
            raise OutcomeUnknown(f"{self.place}: answered with more than {MAX_ROWS} rows")
        return result

    async def limit(self, seconds: float) -> None:
        """Have the server itself end what takes longer, so that it has no effect later."""
        await self.ask(sql.SQL("SET statement_timeout = {}").format(round(seconds * 1000)))


async def fetched(
    logins: Logins,
    database: Database,
    rows: TypeAdapter[list[T]],
    query: LiteralString,
    *values: object,
) -> list[T]:
    """Return what a query finds, as such rows.

    Raises:
        OutcomeUnknown: it answers with other ones, or with too many.
    """
    async with connected(logins, database) as session:
        await session.limit(ANSWER_TIMEOUT)
        found = await session.ask(query, *values, within=ANSWER_TIMEOUT + MARGIN)
    return parsed(database.name, rows, found)


def parsed(place: str, rows: TypeAdapter[list[T]], result: pq.abc.PGresult | None) -> list[T]:
    """Return an answer as such rows; OutcomeUnknown where it is none."""
    try:
        return rows.validate_python(texts(result))
    except ValidationError as strange:
        raise OutcomeUnknown(
            f"{place}: its answer is not what was asked for "
            f"({strange.error_count()} values cannot be read); find out which server answers there"
        ) from strange


async def fetched_one(
    logins: Logins,
    database: Database,
    rows: TypeAdapter[list[T]],
    query: LiteralString,
    *values: object,
) -> T:
    """Return the only row that a query finds; OutcomeUnknown where it is not one."""
    found = await fetched(logins, database, rows, query, *values)
    if len(found) != 1:
        raise OutcomeUnknown(f"{database.name}: answered with {len(found)} rows, expected one")
    return found[0]


def texts(result: pq.abc.PGresult | None) -> list[tuple[str | None, ...]]:
    """Return rows as the server writes them; what it says of their types is not believed."""
    if result is None:
        return []
    columns = range(result.nfields)
    cells = ((result.get_value(row, n) for n in columns) for row in range(result.ntuples))
    return [tuple(None if cell is None else decoded(cell) for cell in row) for row in cells]


@asynccontextmanager
async def connected(
    logins: Logins, database: Database, replication: Literal["database"] | None = None
) -> AsyncIterator[Session]:
    """Connect for one question; no connection is kept that could be dead when it matters.

    With *replication*, the server takes commands of its replication protocol, too.
    """
    password = await logins.secrets.password(database.password)
    context = await verifying(database.name, database.ca) if database.ca else None
    via = await _way(logins, database)
    try:
        opening = _open(database, password, context, replication, via)
        session = await Stopwatch().time(opening, CONNECT_TIMEOUT)
    except TimeoutError as silence:
        where = f"{database.name}: {database.address}:{database.port}"
        raise Unreachable(
            f"{where} did not accept the login within {CONNECT_TIMEOUT:.0f} s"
        ) from silence
    try:
        yield session
    finally:
        await session.connection.close()
        await session.wire.close()


async def _open(
    database: Database,
    password: str,
    context: ssl.SSLContext | None,
    replication: Literal["database"] | None,
    via: Connection | None,
) -> Session:
    with _on_the_way(database), connecting(database):
        wire = await Wire.open(database, context, via)
    try:
        with connecting(database, wire):
            connection = await _Connection.connect(
                host=str(wire.directory),
                port=PORT,
                dbname=database.database,
                user=database.user,
                password=password,
                connect_timeout=0,  # the whole login has a limit
                application_name="switchover",
                client_encoding="UTF8",
                require_auth="none,password,md5,scram-sha-256",
                gssencmode="disable",
                replication=replication,
                autocommit=True,
            )
    except BaseException:
        await wire.close()
        raise
    return Session(database.name, connection, wire)


async def _way(logins: Logins, database: Database) -> Connection | None:
    with _on_the_way(database):
        return await logins.through(database.via)


@contextmanager
def _on_the_way(database: Database) -> Iterator[None]:
    """Say to which database a jump host does not lead."""
    try:
        yield
    except JumpRefused as refusal:
        raise AccessRefused(f"{database.name}: {refusal}") from refusal
    except (Unreachable, BadInput) as failure:
        if str(failure).startswith(f"{database.name}: "):
            raise
        raise type(failure)(f"{database.name}: {failure}") from failure


@contextmanager
def connecting(database: Database, wire: Wire | None = None) -> Iterator[None]:
    """Translate errors of a connection over which no statement was sent yet."""
    try:
        yield
    except ssl.SSLCertVerificationError as refusal:  # a ValueError, too
        raise AccessRefused(
            f"{database.name}: its certificate cannot be verified ({_said(refusal)}); "
            "check ca, and which server answers there"
        ) from refusal
    except (psycopg.Error, ValueError) as fault:
        _require_no_fault(wire, fault)
        message = f"{database.name}: {_said(fault)}"
        if any(refusal in message for refusal in _REFUSALS):
            raise AccessRefused(f"{message}; check its account, password, ca and rights") from fault
        raise Unreachable(message) from fault
    except OSError as fault:
        where = f"{database.name}: {database.address}:{database.port}"
        raise Unreachable(f"{where} does not answer ({_said(fault)})") from fault


@contextmanager
def translated(
    place: str, lost: type[Unreachable | OutcomeUnknown], wire: Wire | None = None
) -> Iterator[None]:
    """Translate psycopg's errors; *lost* is raised where a statement may have been executed."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as refusal:
        raise AccessRefused(
            f"{place}: {_said(refusal)}; grant the right to the account"
        ) from refusal
    except (psycopg.errors.ObjectInUse, psycopg.errors.LockNotAvailable) as busy:
        raise NotYet(f"{place}: {_said(busy)}; try again") from busy
    except psycopg.errors.QueryCanceled as late:
        raise lost(f"{place}: took too long; the server ended it") from late
    except (psycopg.OperationalError, psycopg.InterfaceError) as fault:
        _require_no_fault(wire, fault)
        raise lost(f"{place}: the connection broke ({_said(fault)})") from fault
    except (psycopg.Error, ValueError) as refusal:
        _require_no_fault(wire, refusal)
        if getattr(refusal, "sqlstate", None) is None:  # it is not the server's
            raise OutcomeUnknown(
                f"{place}: its answer cannot be understood ({_said(refusal)}); "
                "find out which server answers there"
            ) from refusal
        raise CommandFailed(f"{place}: {_said(refusal)}") from refusal


def _require_no_fault(wire: Wire | None, seen: Exception) -> None:
    """Say why the wire was ended: libpq saw only that it was."""
    if wire is not None and wire.fault is not None:
        raise wire.fault from seen


def _said(fault: Exception) -> str:
    """Return what a server or a library says, in one line and of bounded length."""
    text = _TO_SOCKET.sub("", str(fault)[: 10 * MAX_TEXT])
    return printable(text).strip()[:MAX_TEXT] or type(fault).__name__
