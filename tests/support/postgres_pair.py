"""Two real PostgreSQL databases that replicate both ways."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from activities.replication.postgresql.link import PostgresLink
from activities.transport.login import Logins
from activities.transport.secrets import Secrets
from lab.environment.postgres import SUPERUSER, PostgresServer, binaries
from lab.layout import DATABASE_PASSWORD, DATABASE_PORT
from tests.support.ssh_machines import QUICK
from workflows.model.estate import Database
from workflows.model.replications.postgresql import PostgresReplication, SubscriptionLink
from workflows.model.results import Operation
from workflows.ports.replication import ReplicationInput

ADDRESS = f"127.9.7.{1 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"
"""Of this process: files of tests run side by side."""
SIDES = ("one", "two")
LINKS = tuple(
    SubscriptionLink(
        name=f"{a}-to-{b}", source=a, target=b, publication='the "pub"', subscription=f"{a}_to_{b}"
    )
    for a, b in (SIDES, SIDES[::-1])
)
THERE, BACK = LINKS
SECRETS = Secrets({"DATABASE": DATABASE_PASSWORD, "WRONG": "wrong"})
ACCESS = Logins(SECRETS)
TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE account (name text PRIMARY KEY, note text, at timestamptz DEFAULT now())",
    'CREATE TABLE "Odd ""1"" table" (a int, b char(9), yes bool, PRIMARY KEY (a, b))',
    "CREATE TABLE keyless (line text, number numeric)",
    "ALTER TABLE keyless REPLICA IDENTITY FULL",
)


OLD_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
"""Where Debian keeps a version that cannot leave out what arrived by replication."""


@dataclass(frozen=True)
class Pair:
    """One server with two databases, each subscribed to the other."""

    server: PostgresServer

    async def execute(self, side: str, statement: LiteralString | sql.Composed) -> list[Any]:
        """Run one statement as the superuser, and return its rows if it has any."""
        async with await psycopg.AsyncConnection.connect(
            self.server.dsn(side), autocommit=True
        ) as connection:
            cursor = await connection.execute(statement)
            return await cursor.fetchall() if cursor.description else []

    async def value(self, side: str, query: LiteralString) -> Any:  # noqa: ANN401 - any value
        """Read one value."""
        rows = await self.execute(side, query)
        return rows[0][0] if rows else None

    async def settles(self, side: str, query: LiteralString, value: object) -> None:
        """Wait until a query answers so."""
        async with asyncio.timeout(20):
            while await self.value(side, query) != value:  # noqa: ASYNC110 - a database sends no events
                await asyncio.sleep(0.05)

    async def switch(self, link: SubscriptionLink, state: LiteralString) -> None:
        """Enable or disable a link, as an operator of the database would."""
        statement = sql.SQL("ALTER SUBSCRIPTION {} " + state)
        await self.execute(link.target, statement.format(sql.Identifier(link.subscription)))

    async def discard(self, link: SubscriptionLink) -> None:
        """Let the other side never see what this link has yet to deliver."""
        statement = sql.SQL("SELECT pg_replication_slot_advance({}, pg_current_wal_lsn())")
        await self.execute(link.source, statement.format(sql.Literal(link.subscription)))

    async def idle(self) -> None:
        """Suspend both links, and wait until their slots are free."""
        await self._switch_both("DISABLE", "SELECT bool_or(active) FROM pg_replication_slots")

    async def run(self) -> None:
        """Resume both links, and wait until each has its apply worker."""
        await self._switch_both("ENABLE", "SELECT NOT bool_and(active) FROM pg_replication_slots")

    async def _switch_both(self, state: LiteralString, pending: LiteralString) -> None:
        for link in LINKS:
            await self.switch(link, state)
        await self.settles("one", pending, False)  # noqa: FBT003 - the value that is waited for

    async def reset(self) -> None:
        """Leave both sides empty, suspended, and with nothing to deliver."""
        await self.idle()
        for side in SIDES:
            await self.execute(side, 'TRUNCATE account, "Odd ""1"" table", keyless')
        for link in LINKS:
            await self.discard(link)


@asynccontextmanager
async def replicating_pair(programs: Path | None = None) -> AsyncIterator[Pair]:
    """Run a server whose two databases replicate both ways; with old programs, only there."""
    home = await asyncio.to_thread(_place)
    both_ways = programs is None
    where = await asyncio.to_thread(binaries, home) if programs is None else programs
    server = PostgresServer(ADDRESS, home / "data", home / "log", where)
    await server.start()
    pair = Pair(server)
    for side in SIDES:
        await pair.execute("postgres", sql.SQL("CREATE DATABASE {}").format(sql.Identifier(side)))
        for table in TABLES:
            await pair.execute(side, table)
        await pair.execute(side, 'CREATE PUBLICATION "the ""pub""" FOR ALL TABLES')
    options: LiteralString = "origin = none, " if both_ways else ""
    for link in LINKS:
        enabled: LiteralString = "true" if both_ways or link is THERE else "false"
        await _subscribe(pair, link, f"{options}enabled = {enabled}")
    try:
        yield pair
    finally:
        await server.stop()
        await asyncio.to_thread(shutil.rmtree, home)


async def _subscribe(pair: Pair, link: SubscriptionLink, options: LiteralString) -> None:
    slot = sql.SQL("SELECT pg_create_logical_replication_slot({}, 'pgoutput')")
    await pair.execute(link.source, slot.format(sql.Literal(link.subscription)))
    statement = sql.SQL(
        "CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} "
        "WITH (create_slot = false, copy_data = false, " + options + ")"
    ).format(
        sql.Identifier(link.subscription),
        sql.Literal(psycopg.conninfo.make_conninfo(pair.server.dsn(link.source))),
        sql.Identifier(link.publication),
    )
    await pair.execute(link.target, statement)


def _place() -> Path:
    home = Path(tempfile.mkdtemp(prefix="switchover-test-"))
    home.chmod(0o755)  # the server's own user walks into it
    return home


def database(side: str, **changes: object) -> Database:
    """Return one of the two databases."""
    facts: dict[str, object] = {
        "name": f"database-{side}",
        "address": ADDRESS,
        "port": DATABASE_PORT,
        "database": side,
        "user": SUPERUSER,
        "password": "env:DATABASE",
    }
    return Database.model_validate(facts | changes)


def input_for(
    action: Any,  # noqa: ANN401 - any action
    link: SubscriptionLink = THERE,
    *links: SubscriptionLink,
    **changes: object,
) -> ReplicationInput[Any]:
    """Return the action on one link of an estate that has these links, or both."""
    given: ReplicationInput[Any] = ReplicationInput(
        operation=Operation(identity="run-1", stage="stage", action=action.key),
        action=action,
        timing=QUICK,
        publisher=database(link.source),
        subscriber=database(link.target),
        replication=PostgresReplication(links=links or LINKS),
    )
    return given.model_copy(update=changes)


def postgres_link(link: SubscriptionLink = THERE, **changes: object) -> PostgresLink:
    """Return the link as the driver reads it, with changed access to the subscriber."""
    return PostgresLink(ACCESS, link, database(link.source), database(link.target, **changes))
