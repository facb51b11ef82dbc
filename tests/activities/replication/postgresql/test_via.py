"""Databases behind jump hosts: real PostgreSQL through real SSH servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.replication.activities import ReplicationLinks
from activities.replication.postgresql.connection import (
    CONNECT_TIMEOUT,
    FLAGS,
    connected,
    fetched_one,
)
from activities.replication.postgresql.table_digests import PostgresTables
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from lab.layout import DATABASE_PASSWORD, DATABASE_PORT
from tests.activities.replication.postgresql.test_table_digests import cluster
from tests.support.openssh import openssh
from tests.support.polling import eventually
from tests.support.port_listeners import Listener
from tests.support.postgres_pair import ADDRESS, LINKS, THERE, Pair, database, input_for
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY_LINE, Attempt, SshServer
from workflows.errors import AccessRefused, BadInput, Unreachable
from workflows.model import actions
from workflows.model.observations import ReplicationReading
from workflows.model.replications.postgresql import PostgresReplication

KNOWN = CLIENT_KEY.export_private_key("openssh").decode()


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    """A worker's connections."""
    one = Shell(Secrets({"DATABASE": DATABASE_PASSWORD, "KEY": KNOWN, "ADMIN": "no key"}))
    yield one
    await one.close()


@pytest.fixture
async def jump_host() -> AsyncIterator[SshServer]:
    """An SSH server that forwards."""
    server = SshServer()
    async with server.serving():
        yield server


def hop(port: int, **given: object) -> dict[str, object]:
    """The keys of a jump host."""
    known = {"user": "jump", "key": "env:KEY", "host_key": HOST_KEY_LINE, "port": port}
    return {"address": "127.0.0.1", **known, **given}


async def observed(shell: Shell, **changes: object) -> ReplicationReading:
    """Observe a link whose databases are reached in this way."""
    sides = (database(side, wal_space=2**40, **changes) for side in (THERE.source, THERE.target))
    publisher, subscriber = sides
    given = input_for(
        actions.ObserveReplication(link=THERE.name),
        THERE,
        *LINKS,
        publisher=publisher,
        subscriber=subscriber,
    )
    links = ReplicationLinks(shell.logins.secrets, shell)
    return await Attempt().run(links.observe_replication, given)


@pytest.mark.usefixtures("pair")
async def test_databases_are_observed_through_one_login_to_their_jump_host(
    shell: Shell, jump_host: SshServer
) -> None:
    """What is read is the same as without one, and the connections end when they were asked."""
    behind = await observed(shell, via=hop(jump_host.port))
    straight = await observed(shell)
    assert behind.findings == straight.findings
    assert (behind.exists, behind.running, behind.tables) == (True, True, straight.tables)
    assert len(jump_host.connections) == 1
    assert jump_host.commands == []


async def test_no_connection_is_left_behind_a_jump_host(
    pair: Pair, shell: Shell, jump_host: SshServer
) -> None:
    """A replication connection, too: the server has none when the worker is done."""
    counted = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'switchover' "
        "AND backend_type IN ('client backend', 'walsender')"
    )
    there = database("one", via=hop(jump_host.port))
    async with connected(shell.logins, there), connected(shell.logins, there, "database"):
        assert await pair.execute("one", counted) == [(2,)]

    async def gone() -> bool:
        return await pair.execute("one", counted) == [(0,)]

    await eventually(gone)


@pytest.mark.usefixtures("pair")
async def test_tables_are_digested_through_a_jump_host(shell: Shell, jump_host: SshServer) -> None:
    """As the freeze watch does it."""
    replication = PostgresReplication(links=LINKS)
    there, straight = cluster("one", via=hop(jump_host.port)), cluster("one")
    tables = PostgresTables(shell.logins)
    assert await tables.read(replication, there) == await tables.read(replication, straight) != {}


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("given", "finding", "says"),
    [
        ({"port": 1}, "database_unreachable", "the jump host 127.0.0.1:1 does not answer"),
        ({"key": "env:ADMIN"}, "access_refused", "env:ADMIN is no private key"),
        ({"host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHnsInZOjsiyNYtR96CxNuqTJRaKUmBLDe+"
          "G2Z6Kek9S"}, "access_refused", "does not let jump in"),
        ({"key": "env:NOTHING"}, "reading_unusable", "environment has no NOTHING"),
    ],
)  # fmt: skip
async def test_a_jump_host_that_does_not_lead_on_is_a_finding(
    given: dict[str, object], finding: str, says: str, *, shell: Shell, jump_host: SshServer
) -> None:
    """Before any effect, at the link whose databases are behind it."""
    found = (await observed(shell, via={**hop(jump_host.port), **given})).findings
    assert {one.name for one in found} == {finding}
    assert all(says in one.seen and "database-" in one.seen for one in found)


@pytest.mark.usefixtures("pair")
async def test_openssh_that_does_not_forward_to_the_database_is_a_finding(
    shell: Shell, tmp_path: Path
) -> None:
    """With what to allow; the database that is allowed is reached."""
    for setting, refused in (
        ("PermitOpen 192.0.2.1:1", True),
        (f"PermitOpen {ADDRESS}:{DATABASE_PORT}", False),
    ):
        place = tmp_path / str(refused)
        place.mkdir()
        async with openssh(place, setting, "MaxSessions 0", "MaxStartups 1") as server:
            via = {**server.user(), "address": "127.0.0.1", "host_key": server.host_key}
            found = (await observed(shell, via=via)).findings
            assert {one.name for one in found} == ({"access_refused"} if refused else set())
            said = f"refuses to forward connections of {via['user']} to {ADDRESS}:{DATABASE_PORT}"
            assert all(said in one.seen for one in found)
            await shell.close()


async def test_a_database_that_does_not_answer_behind_a_jump_host_is_named(
    shell: Shell, jump_host: SshServer, listener: Listener
) -> None:
    """Whether nothing listens there, or what does is silent."""
    way = {"via": hop(jump_host.port), "address": "127.0.0.1"}
    says = r"^database-one: the jump host .* has no connection to 127\.0\.0\.1:1 "
    with pytest.raises(Unreachable, match=says):
        await _asked(shell, port=1, **way)
    says = rf"^database-one: 127.0.0.1:{listener.port} did not accept the login within"
    async with asyncio.timeout(CONNECT_TIMEOUT + 5):
        with pytest.raises(Unreachable, match=says):
            await _asked(shell, port=listener.port, **way)


async def test_the_database_and_the_one_jump_host_of_two_are_named(
    shell: Shell, jump_host: SshServer
) -> None:
    """By all that is wrong with a login."""
    second = hop(jump_host.port, address="localhost", key="env:NOTHING")
    says = rf"^database-one: the jump host localhost:{jump_host.port}: env:NOTHING: "
    with pytest.raises(BadInput, match=says):
        await _asked(shell, via=[hop(jump_host.port), second])
    second["key"] = "env:ADMIN"
    says = rf"^database-one: the jump host localhost:{jump_host.port}: env:ADMIN is no private key"
    with pytest.raises(AccessRefused, match=says):
        await _asked(shell, via=[hop(jump_host.port), second])


async def _asked(shell: Shell, **changes: object) -> None:
    await fetched_one(shell.logins, database("one", **changes), FLAGS, "SELECT true")
