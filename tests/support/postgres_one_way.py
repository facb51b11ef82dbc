"""Two real databases, of which one replicates to the other, for the hands to look at."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from activities.replication.postgresql import PostgreSql
from activities.transport.secrets import Secrets
from lab.environment.postgres import SUPERUSER, PostgresServer, binaries
from lab.layout import DATABASE_PASSWORD, DATABASE_PORT
from tests.support.ssh_machines import QUICK
from workflows.model.actions import ResumeReplication, SuspendReplication
from workflows.model.estate import Database, Replication, ReplicationLink
from workflows.model.results import Operation
from workflows.ports.replication import ReplicationInput

ADDRESS = f"127.9.9.{1 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"
"""Of this process: files of tests run side by side."""
SECRETS = Secrets({"DATABASE": DATABASE_PASSWORD, "WRONG": "wrong"})
LINK = ReplicationLink(
    name="one-to-two", source="one", target="two", publication="pub", subscription="sub"
)
SUSPEND, RESUME = SuspendReplication(link="one-to-two"), ResumeReplication(link="one-to-two")


@asynccontextmanager
async def one_way(address: str = ADDRESS) -> AsyncIterator[PostgresServer]:
    """One server with the two databases ``one`` and ``two``, and a subscription between them."""
    home = await asyncio.to_thread(place)
    programs = await asyncio.to_thread(binaries, home)
    server = PostgresServer(address, home / "data", home / "log", programs)
    await server.start()
    await execute(server, "postgres", "CREATE DATABASE one")
    await execute(server, "postgres", "CREATE DATABASE two")
    for database in ("one", "two"):
        await execute(server, database, "CREATE TABLE Account (id int PRIMARY KEY)")
    await execute(server, "one", "CREATE PUBLICATION pub FOR TABLE Account")
    await execute(server, "one", "SELECT pg_create_logical_replication_slot('sub', 'pgoutput')")
    connection = psycopg.conninfo.make_conninfo(server.dsn("one"))
    async with await psycopg.AsyncConnection.connect(server.dsn("two"), autocommit=True) as two:
        words = psycopg.sql.SQL(
            "CREATE SUBSCRIPTION sub CONNECTION {} PUBLICATION pub "
            "WITH (create_slot = false, copy_data = false)"
        )
        await two.execute(words.format(psycopg.sql.Literal(connection)))
    try:
        yield server
    finally:
        await server.stop()
        await asyncio.to_thread(shutil.rmtree, home)


def place() -> Path:
    """Make a directory that the server's own user can walk into."""
    home = Path(tempfile.mkdtemp(prefix="switchover-test-"))
    home.chmod(0o755)
    return home


async def execute(server: PostgresServer, database: str, statement: LiteralString) -> None:
    """Run one statement as the superuser."""
    async with await psycopg.AsyncConnection.connect(
        server.dsn(database), autocommit=True
    ) as connection:
        await connection.execute(statement)


async def rows(server: PostgresServer) -> int:
    """Count what has arrived at the subscriber."""
    async with await psycopg.AsyncConnection.connect(server.dsn("two")) as connection:
        found = await (await connection.execute("SELECT count(*) FROM Account")).fetchone()
    return int(found[0]) if found else 0


def database(name: str, **changes: object) -> Database:
    """Return one of the two databases."""
    facts: dict[str, object] = {
        "name": f"database-{name}",
        "address": ADDRESS,
        "port": DATABASE_PORT,
        "database": name,
        "user": SUPERUSER,
        "password": "env:DATABASE",
    }
    return Database.model_validate(facts | changes)


def input_for(
    action: Any,  # noqa: ANN401 - any action
    link: ReplicationLink = LINK,
    **changes: object,
) -> ReplicationInput[Any]:
    """Return the order for the link, with changed access to the subscriber."""
    return ReplicationInput(
        operation=Operation(identity="run-1", stage="stage", action=action.key),
        action=action,
        timing=QUICK,
        link=link,
        publisher=database("one"),
        subscriber=database("two", **changes),
        replication=Replication(links=(link,)),
    )


def link(**changes: object) -> PostgreSql:
    """Return the driver itself."""
    return PostgreSql(SECRETS, LINK, database("one"), database("two", **changes))
