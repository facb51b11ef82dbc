"""The hook holds requests before and after they have their effect, on every proxy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
import psycopg
import pytest

from lab import records
from lab.environment.lab import Lab
from lab.layout import SHELL_PORT, SHELL_USER
from lab.node.request_hook import RequestEvent, When
from lab.proxy.postgres_proxy import DATABASE_PROXY_PORT, PostgresProxy
from lab.proxy.request_id import Request
from lab.proxy.request_monitor import RequestMonitor

DISABLE = 'ALTER SUBSCRIPTION "cluster2_to_cluster1" DISABLE'


class Hook:
    """Records every statement, and lets all pass but one."""

    def __init__(self, text: str = "", when: When = "before") -> None:
        self.events: list[tuple[When, str]] = []
        self._text = text
        self._when = when
        self.connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None

    async def passes(self, event: RequestEvent) -> bool:
        """Record it; at the chosen event the client loses its connection."""
        self.events.append((event.when, event.text))
        if event.text != self._text or event.when != self._when:
            return True
        assert self.connection
        self.connection.pgconn.finish()  # as when its process is killed
        return False


@asynccontextmanager
async def proxied(
    lab: Lab, hook: Hook
) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """A connection to cluster1's database through the proxy."""
    cluster = lab.layout.clusters[0]
    statements = PostgresProxy(cluster.database_name, cluster.database_address, hook.passes)
    async with await statements.listen():
        dsn = f"{cluster.dsn} port={DATABASE_PROXY_PORT} sslmode=disable"
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        hook.connection = connection
        try:
            yield connection
        finally:
            await connection.close()


async def test_statements_and_their_answers_pass_unchanged(whole_lab: Lab) -> None:
    """With and without parameters, large answers and refusals included."""
    hook = Hook()
    async with proxied(whole_lab, hook) as connection:
        series = await connection.execute("SELECT generate_series(1, 20000)")
        assert len(await series.fetchall()) == 20000
        added = await connection.execute("SELECT %s::int + 1", (41,))
        assert await added.fetchall() == [(42,)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            await connection.execute("SELECT * FROM nowhere")
        assert await (await connection.execute("SELECT 'on'")).fetchone() == ("on",)
    assert [text for when, text in hook.events if when == "after"] == [
        "SELECT generate_series(1, 20000)",
        "SELECT $1::int + 1",
        "SELECT * FROM nowhere",
        "SELECT 'on'",
    ]


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
async def test_a_statement_has_its_effect_or_not(whole_lab: Lab, when: When, effects: int) -> None:
    """Held before, it never happens; held after, it has, and only its answer is lost."""
    async with proxied(whole_lab, Hook(DISABLE, when)) as connection:
        with pytest.raises(psycopg.Error):
            await connection.execute(DISABLE)
    assert len(list(records.read(whole_lab.layout.effects))) == effects


async def test_a_machine_asks_before_and_after_every_command(whole_lab: Lab) -> None:
    """A command that is dropped has no effect; the connection breaks off."""
    node = whole_lab.layout.nodes[0]
    events: list[tuple[When, str]] = []

    async def drops_touch(event: RequestEvent, _: Request) -> bool:
        events.append((event.when, event.text))
        return "touch" not in event.text

    request_monitor = RequestMonitor(whole_lab.layout, drops_touch)
    async with request_monitor.listening(), shell(whole_lab, node.address, node.name) as connection:
        assert (await connection.run("echo there")).stdout == "there\n"
        assert (await connection.run(f"touch {node.root}/touched")).returncode is None
    assert events == [
        ("before", "echo there"),
        ("after", "echo there"),
        ("before", f"touch {node.root}/touched"),
    ]
    assert not (node.root / "touched").exists()


@asynccontextmanager
async def shell(lab: Lab, address: str, name: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in on a machine as an operator would."""
    host_key = asyncssh.read_public_key(lab.layout.keys / f"{name}_host_key.pub")
    async with asyncssh.connect(
        address,
        SHELL_PORT,
        username=SHELL_USER,
        client_keys=[str(lab.layout.keys / "operator")],
        known_hosts=([host_key], [], []),
        config=None,
    ) as connection:
        yield connection
