"""The two replicating databases of a lab, and the record of changes to their replication."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from lab import records
from lab.environment.postgres import PostgresServer, binaries, database_directory
from lab.environment.seed_data import CONFIGURED, Row
from lab.layout import DATABASE, DATABASE_PASSWORD, DATABASE_USER, ClusterLayout, Layout
from lab.polling import holds_within

PUBLICATION = "switchover_pub"
REPLICATED = tuple(CONFIGURED)
LOCAL = (
    *("event", "transferdata", "auditlog", "logging_event"),
    *("clusternode", "dmz_zone", "dmz_edge", "fm_heartbeat"),
)
BOTH_WAYS_SINCE = 16
"""The version from which a subscription can leave out what came by replication. Before it there is
one link, and only a superuser may own a subscription."""
ALWAYS_WRITTEN = ("logging_event", "fm_heartbeat")
"""Tables that running services write to, whatever happens."""
SETTLE_TIMEOUT = 10.0

UNUSUAL: LiteralString = """
SELECT 'accepts no connection' FROM pg_database
WHERE datname = current_database() AND datconnlimit <> -1
UNION ALL
SELECT format('%%I may not replicate', rolname) FROM pg_roles
WHERE rolname = %(user)s AND NOT rolreplication
UNION ALL
SELECT format('has settings for %%s', setrole::regrole) FROM pg_db_role_setting
UNION ALL
SELECT format('%%s is set to %%s', name, setting) FROM pg_file_settings
WHERE sourcefile LIKE '%%.auto.conf'
UNION ALL
SELECT format('publishes %%I', tablename) FROM pg_publication_tables
WHERE tablename = ANY(%(local)s)
UNION ALL
SELECT format('has a subscription %%I', subname) FROM pg_subscription WHERE subname <> %(ours)s
UNION ALL
SELECT format('a prepared transaction %%s holds locks', gid) FROM pg_prepared_xacts
"""
"""What a database has that one in the baseline has not."""

Connection = psycopg.AsyncConnection[Row]
Step = Callable[[ClusterLayout], Awaitable[None]]
LinkStep = Callable[[ClusterLayout, ClusterLayout], Awaitable[None]]


def subscription(source: str, target: str) -> str:
    """The subscription, and the slot, that carry changes from one cluster to the other."""
    return f"{source}_to_{target}"


class Databases:
    """Two PostgreSQL servers that replicate the configuration to each other.

    With *programs*, a directory of PostgreSQL's programs, in place of the wheel's.
    """

    def __init__(self, layout: Layout, programs: Path | None = None) -> None:
        self.layout = layout
        self._programs = programs
        self._home = layout.root
        self._servers: dict[str, PostgresServer] = {}
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make and start both servers, their tables, rows and replication."""
        self._home = database_directory(self.layout.root, self.layout.block)
        programs = self._programs
        if programs is None:
            programs = await asyncio.to_thread(binaries, self._home)
        for cluster in self.layout.clusters:
            self._servers[cluster.name] = self._server(cluster, programs)
        await asyncio.gather(*(server.start() for server in self._servers.values()))
        await self._each(self._create)
        for link in self.links:  # each waits for the other's transactions to end
            await self._subscribe(*link)
        await self._until_replicating()
        for cluster in self.layout.clusters:
            listener = await self._connect(cluster)
            await listener.execute("LISTEN lab_effect")
            self._watchers.append(asyncio.create_task(self._record(cluster, listener)))

    @property
    def links(self) -> tuple[tuple[ClusterLayout, ClusterLayout], ...]:
        """Source and target of each link, once the servers have been started."""
        one, two = self.layout.clusters
        both = ((one, two), (two, one))
        return both if self._servers[one.name].version >= BOTH_WAYS_SINCE else both[:1]

    async def stop(self) -> None:
        """End both servers and remove what stood outside the lab's directory."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        if self._home != self.layout.root:
            shutil.rmtree(self._home, ignore_errors=True)

    async def reset(self, *, replicates: bool = True) -> None:
        """Put the baseline's rows back, forget pending changes, and replicate again or not."""
        await self._each_link(self._suspend)
        await self._each(self._fill)
        await self._each_link(self._skip_pending_changes)
        if replicates:
            await self._each_link(self._resume)
            await self._until_replicating()

    async def differences(self) -> list[str]:
        """Everything in which the databases differ from the baseline."""
        found: list[str] = []
        for cluster in self.layout.clusters:
            async with await self._connect(cluster) as connection:
                for table, rows in self._baseline(cluster).items():
                    if table in ALWAYS_WRITTEN:
                        continue
                    seen = await connection.execute(
                        sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
                    )
                    width = len(rows[0]) if rows else None
                    if {row[:width] for row in await seen.fetchall()} != set(rows):
                        found.append(f"{cluster.database_name}: other rows in {table}")
                ours = subscription(self._other(cluster).name, cluster.name)
                unusual = await connection.execute(
                    UNUSUAL, {"user": DATABASE_USER, "local": list(LOCAL), "ours": ours}
                )
                found += [f"{cluster.database_name}: {row[0]}" for row in await unusual.fetchall()]
                slots = await connection.execute(
                    "SELECT slot_name, active FROM pg_replication_slots"
                )
                found.extend(
                    f"{name} does not replicate"
                    for name, active in await slots.fetchall()
                    if not active
                )
        return found

    def _server(self, cluster: ClusterLayout, programs: Path) -> PostgresServer:
        place = self._home / "machines" / cluster.database_name
        place.mkdir(parents=True)
        if place != cluster.database_root:
            cluster.database_root.parent.mkdir(parents=True, exist_ok=True)
            cluster.database_root.symlink_to(place)
        return PostgresServer(cluster.database_address, place / "data", place / "log", programs)

    async def _create(self, cluster: ClusterLayout) -> None:
        here = Path(__file__)
        server = self._servers[cluster.name]
        user, base = sql.Identifier(DATABASE_USER), sql.Identifier(DATABASE)
        async with await psycopg.AsyncConnection.connect(
            server.dsn("postgres"), autocommit=True
        ) as connection:
            # Owner of the tables and subscriptions, but no superuser: as a site would have it.
            rights = sql.SQL("IN ROLE pg_monitor, pg_create_subscription")
            if server.version < BOTH_WAYS_SINCE:
                rights = sql.SQL("SUPERUSER")
            await connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN REPLICATION PASSWORD {} {}").format(
                    user, sql.Literal(DATABASE_PASSWORD), rights
                )
            )
            await connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(base, user))
        async with await psycopg.AsyncConnection.connect(cluster.dsn) as owner:
            await owner.execute(here.with_name("schema.sql").read_bytes())
        async with await self._connect(cluster) as connection:
            await connection.execute(here.with_name("schema_effects.sql").read_bytes())
        await self._fill(cluster)

    async def _fill(self, cluster: ClusterLayout) -> None:
        """Write the baseline's rows on this side; they are not replicated."""
        tables = _joined(map(sql.Identifier, REPLICATED + LOCAL))
        async with await self._connect(cluster) as connection, connection.transaction():
            await connection.execute(sql.SQL("TRUNCATE {}").format(tables))
            for table, rows in self._baseline(cluster).items():
                if rows:
                    await connection.execute(
                        sql.SQL("INSERT INTO {} VALUES {}").format(
                            sql.Identifier(table), _joined(map(_joined_literals, rows))
                        )
                    )

    def _baseline(self, cluster: ClusterLayout) -> dict[str, Sequence[Row]]:
        """Return the rows of every table, empty ones too; the first column is the key."""
        return {
            **dict.fromkeys(LOCAL, ()),
            **CONFIGURED,
            "clusternode": [(node.name, node.address) for node in cluster.servers],
            "dmz_zone": [("private",)],
            "dmz_edge": [(node.name, "private", node.address) for node in cluster.edges],
        }

    async def _subscribe(self, source: ClusterLayout, target: ClusterLayout) -> None:
        # origin = none: what came by replication is not sent back.
        origin = "origin = none, " if len(self.links) > 1 else ""
        async with await psycopg.AsyncConnection.connect(target.dsn, autocommit=True) as owner:
            await owner.execute(
                sql.SQL(
                    f"CREATE SUBSCRIPTION {{}} CONNECTION {{}} PUBLICATION {{}} "
                    f"WITH ({origin}copy_data = false)"
                ).format(
                    sql.Identifier(subscription(source.name, target.name)),
                    sql.Literal(source.dsn),
                    sql.Identifier(PUBLICATION),
                )
            )

    async def _suspend(self, source: ClusterLayout, target: ClusterLayout) -> None:
        await self._alter(source, target, "ALTER SUBSCRIPTION {} DISABLE")

    async def _resume(self, source: ClusterLayout, target: ClusterLayout) -> None:
        await self._alter(source, target, "ALTER SUBSCRIPTION {} ENABLE")

    async def _alter(
        self, source: ClusterLayout, target: ClusterLayout, statement: LiteralString
    ) -> None:
        name = subscription(source.name, target.name)
        async with await self._connect(target) as connection:
            # A reset is no effect: no event trigger fires.
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    async def _skip_pending_changes(self, source: ClusterLayout, target: ClusterLayout) -> None:
        """Let the target never see what the source changed until now."""
        slot = subscription(source.name, target.name)
        async with await self._connect(source) as connection:
            await _until(connection, "SELECT NOT active FROM pg_replication_slots")
            await connection.execute(
                "SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (slot,)
            )

    async def _until_replicating(self) -> None:
        await self._each_link(self._replicates)

    async def _replicates(self, source: ClusterLayout, _: ClusterLayout) -> None:
        async with await self._connect(source) as connection:
            await _until(connection, "SELECT bool_and(active) FROM pg_replication_slots")

    async def _record(self, cluster: ClusterLayout, listener: Connection) -> None:
        """Record what the database notifies."""
        async with listener:
            async for notice in listener.notifies():
                entry = json.loads(notice.payload)
                records.append(self.layout.effects, place=cluster.database_name, **entry)

    async def _connect(self, cluster: ClusterLayout) -> Connection:
        return await psycopg.AsyncConnection.connect(
            self._servers[cluster.name].dsn(DATABASE), autocommit=True
        )

    async def _each(self, act: Step) -> None:
        await asyncio.gather(*map(act, self.layout.clusters))

    async def _each_link(self, act: LinkStep) -> None:
        await asyncio.gather(*(act(*link) for link in self.links))

    def _other(self, cluster: ClusterLayout) -> ClusterLayout:
        first, second = self.layout.clusters
        return second if cluster == first else first


async def _until(connection: Connection, question: LiteralString) -> None:
    """Wait until the database answers true."""

    async def answered() -> bool:
        answer = await (await connection.execute(question)).fetchone()
        return bool(answer and answer[0])

    if not await holds_within(SETTLE_TIMEOUT, answered, 0.02):
        raise TimeoutError(f"after {SETTLE_TIMEOUT} s still not: {question}")


def _joined(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _joined_literals(row: Row) -> sql.Composable:
    return sql.SQL("({})").format(_joined(map(sql.Literal, row)))
