"""Whatever a PostgreSQL server sends, asking it ends in time, in one sentence, in little memory."""

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import LiteralString

import pytest
from psycopg import sql

from activities.replication.postgresql import connection
from activities.replication.postgresql.connection import FLAGS, connected, fetched_one
from activities.replication.postgresql.contents import Table, stored_rows
from activities.replication.postgresql.copy_rows import copy_rows
from activities.replication.postgresql.link import PostgresLink
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.pgoutput import Reader
from activities.transport.login import Logins
from activities.transport.secrets import Secrets
from lab.layout import DATABASE_PASSWORD
from tests.support.admin_api import Certificate
from tests.support.hostile_postgres import (
    ANSWERS,
    DONE,
    LOGINS,
    READY,
    Sends,
    described,
    hostile,
    message,
    row,
)
from tests.support.postgres_pair import (
    ACCESS,
    ADDRESS,
    OLD_PROGRAMS,
    THERE,
    database,
    replicating_pair,
)
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY_LINE, SshServer
from workflows.errors import AccessRefused, OutcomeUnknown, SwitchoverError

_ENCRYPTED: LiteralString = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
MEBIBYTE = 1024 * 1024
MOST_MEMORY = 64 * MEBIBYTE
"""By which this process may grow meanwhile; the server sends without end, and is in it, too."""
MOST_BLOCKED = 0.5
"""Seconds that the event loop may stand still on a busy machine; hashing took an hour."""


def link(port: int) -> PostgresLink:
    """Return a link whose databases are both served at a port of this machine."""
    there = {"address": "127.0.0.1", "port": port}
    return PostgresLink(ACCESS, THERE, database("one", **there), database("two", **there))


def memory() -> int:
    """Return how much of the process is in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Return how many files and sockets the process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of time are short; which hold is what is tested."""
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT", 0.5)
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT", 0.5)
    monkeypatch.setattr(connection, "MARGIN", 0.1)


async def refused(
    sends: Sends, asked: Callable[[PostgresLink], Awaitable[object]], *, login: bool
) -> str:
    """Return what is said to an operator, within the bounds of time, memory and patience."""
    open_before, before, worst = descriptors(), memory(), 0
    async with hostile(sends, login=login) as port, asyncio.timeout(5):
        asking, slowest, at = asyncio.ensure_future(asked(link(port))), 0.0, time.monotonic()
        while not asking.done():
            await asyncio.sleep(0.01)
            worst = max(worst, memory() - before)
            slowest, at = max(slowest, time.monotonic() - at), time.monotonic()
        with pytest.raises(SwitchoverError) as refusal:
            asking.result()
    assert worst < MOST_MEMORY
    assert slowest < MOST_BLOCKED
    said = str(refusal.value)
    assert said.isprintable()
    assert len(said) < 1000
    await asyncio.sleep(0)  # transports close in the next step
    assert descriptors() <= open_before + 1
    return said


@pytest.mark.parametrize("does", ANSWERS)
async def test_a_server_that_answers_with_anything_is_bounded(does: str) -> None:
    """After a login; nothing that it says is taken for a subscription."""
    sends, says = ANSWERS[does]
    said = await refused(sends, PostgresLink.subscription, login=True)
    assert re.search(says, said), said


@pytest.mark.parametrize("does", LOGINS)
async def test_a_server_that_lets_nobody_in_is_bounded(does: str) -> None:
    """Before a login, when nothing was asked yet."""
    sends, says = LOGINS[does]
    said = await refused(sends, PostgresLink.subscription, login=False)
    assert re.search(says, said), said


async def _pending(one: PostgresLink) -> None:
    async for _ in Pending(one, "slot", 0.5).changes():
        pass


async def test_changes_that_nobody_can_hold_are_bounded() -> None:
    """One answer of 16 MiB at most, no more rows than were asked for, and no other columns."""
    data = described((b"data", 17, 1))
    more = row(b"B") * 501
    answers: dict[str, tuple[bytes, ...]] = {
        "sent more than 16 MiB in one answer": (data, *[row(b"x" * 65536)] * 300),
        "its answer is not the changes of a slot": (data, more, DONE, READY),
        "its answer is not the changes of a slot that": (
            data,
            b"D\0\0\0\x0a\0\1" + b"\xff" * 4,
            DONE,
            READY,
        ),
        "holds a message of an unknown kind b'x'": (data, row(b"xyz"), DONE, READY),
    }
    for says, sent in answers.items():
        assert says in await refused(lambda sent=sent: iter(sent), _pending, login=True)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"R" + bytes(4) + b"s" * 256 + b"\0", "a name of 256 bytes"),
        (b"R" + bytes(4) + b"s\0t\0d\xff\xff" + (b"\1c\0" + bytes(8)) * 65535, "100000 columns"),
    ],
)
def test_tables_without_end_are_not_remembered(message: bytes, says: str) -> None:
    """A server may describe as many as it likes."""
    reader = Reader()

    def describe_all() -> None:
        for number in range(3):
            reader.changes(message[:1] + number.to_bytes(4, "big") + message[5:])

    with pytest.raises(OutcomeUnknown, match=says):
        describe_all()


async def test_a_question_that_is_given_up_leaves_nothing_open() -> None:
    """Whoever asked does not wait until the server lets go."""
    sends, _ = ANSWERS["is silent"]
    open_before = descriptors()
    async with hostile(sends, login=True) as port:
        asking = asyncio.ensure_future(link(port).subscription())
        while descriptors() < open_before + 5:  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.01)
        began = time.monotonic()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        assert time.monotonic() - began < 0.4  # the limit of the question was half a second
    await asyncio.sleep(0)
    assert descriptors() <= open_before + 1


@pytest.mark.parametrize("answer", [b"N", b"SX", b"E", b""])
async def test_a_server_that_does_not_encrypt_gets_no_password(
    answer: bytes, tmp_path: Path
) -> None:
    """Nor one that sends something before encryption, which anyone on the way may have added."""
    authority = Certificate.make(tmp_path / "ca.pem").file
    received: list[bytes] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1024))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(session, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        there = database("two", address="127.0.0.1", port=port, ca=str(authority))
        with pytest.raises(AccessRefused, match="does not encrypt its connections"):
            await PostgresLink(ACCESS, THERE, there, there).subscription()
    assert received == [b"\0\0\0\x08\x04\xd2\x16\x2f"]


async def test_a_real_server_is_verified_by_its_certificate(tmp_path: Path) -> None:
    """TLS ends in the worker's own code: a certificate for another address is refused."""
    if not OLD_PROGRAMS.is_dir():
        pytest.skip("the wheel's PostgreSQL has no TLS; scripts/debian brings one that has")
    async with replicating_pair(OLD_PROGRAMS) as pair:
        data = pair.server.data
        for name, address in (("right", ADDRESS), ("wrong", "127.0.0.1")):
            file = Certificate.make(tmp_path / f"{name}.pem", address).file
            served = data / f"{name}.pem"
            served.write_bytes(file.read_bytes())
            served.chmod(0o600)
            owner = data.stat()
            os.chown(served, owner.st_uid, owner.st_gid)
            for setting in ("ssl_cert_file", "ssl_key_file"):
                await pair.execute(
                    "one", sql.SQL("ALTER SYSTEM SET " + setting + " = {}").format(served.name)
                )
            await pair.execute("one", "ALTER SYSTEM SET ssl = on")
            await pair.execute("one", "SELECT pg_reload_conf()")
            await pair.settles("one", "SHOW ssl_cert_file", served.name)
            jump_host = SshServer()
            async with jump_host.serving():
                hop = {"address": "127.0.0.1", "port": jump_host.port, "user": "jump"}
                via = {**hop, "key": "env:KEY", "host_key": HOST_KEY_LINE}
                key = CLIENT_KEY.export_private_key("openssh").decode()
                logins = Logins(Secrets({"DATABASE": DATABASE_PASSWORD, "KEY": key}))
                # Behind a jump host it is still the database's own address that is verified.
                for way in ({}, {"via": via}):
                    there = database("one", ca=str(file), **way)
                    asked = fetched_one(logins, there, FLAGS, _ENCRYPTED)
                    if name == "right":
                        assert await asked == (True,)
                    else:
                        with pytest.raises(AccessRefused, match="certificate cannot be verified"):
                            await asked
                await logins.close()


async def _compared(one: PostgresLink) -> None:
    table = Table("public", "account", partitioned=False, columns=("name",), key=("name",))
    async with connected(ACCESS, one.publisher) as session:
        async for _ in stored_rows(session, table, within=0.5):
            pass


async def _copied(one: PostgresLink) -> None:
    table = Table("public", "account", partitioned=False, columns=("name",), key=("name",))
    async with (
        connected(ACCESS, one.publisher) as source,
        connected(ACCESS, one.subscriber) as target,
    ):
        await copy_rows(source, target, table, within=0.5)


@pytest.mark.parametrize("does", ANSWERS)
@pytest.mark.parametrize("asked", [_compared, _copied])
async def test_rows_of_a_table_are_bounded(
    does: str, asked: Callable[[PostgresLink], Awaitable[object]]
) -> None:
    """Neither a comparison nor a copy takes whatever comes for rows."""
    await refused(ANSWERS[does][0], asked, login=True)


COPYING = message(b"H", b"\0\0\1\0\0")
TAKING = message(b"G", b"\0\0\1\0\0")


async def test_a_row_that_is_too_long_is_not_copied() -> None:
    """Libpq would hold it as a whole."""
    takes = iter([TAKING])  # the side that writes is asked first

    def one_each() -> Iterator[bytes]:
        if (first := next(takes, None)) is not None:
            yield first
            return
        yield COPYING
        yield b"d\x3f\xff\xff\xff"
        yield from repeat(b"x" * 65536)

    said = await refused(one_each, _copied, login=True)
    assert "sent more than 16 MiB in one answer" in said
