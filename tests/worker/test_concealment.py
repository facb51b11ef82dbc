"""A place that shows what it was sent gets no password into history, logs or spans."""

import asyncio
import base64
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities import concealment
from activities.concealment import HIDDEN, concealed
from activities.replication.postgresql.link import PostgresLink
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import Call
from activities.transport.login import Logins
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from bench.hostile.wires import Peer, Speak, over_tls, tcp
from tests.support.hostile_postgres import error, message
from tests.support.postgres_pair import THERE, database
from tests.support.ssh_machines import SshServer, admin_access, make_node
from worker.history_bounds import HistoryBounds
from worker.interceptor import AttemptInterceptor
from worker.payload_converter import DATA_CONVERTER
from worker.telemetry import OneLine
from workflows.errors import CommandFailed, SwitchoverError

PASSWORD = "correct horse battery"
SECRETS = Secrets({"ADMIN": PASSWORD, "DATABASE": PASSWORD})
ENCODED = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


class Runs(ActivityInboundInterceptor):
    """Carries out an activity that does this."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        self._work = work

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002, ARG002 - the SDK's
        """Do it."""
        return await self._work()


async def attempt(work: Callable[[], Awaitable[object]]) -> Any:  # noqa: ANN401 - any result
    """Return what the worker keeps of an activity that does this."""
    bounds = HistoryBounds().intercept_activity(Runs(work))
    chain = AttemptInterceptor().intercept_activity(bounds)
    environment = ActivityEnvironment()
    environment.payload_converter = DATA_CONVERTER.payload_converter
    return await environment.run(chain.execute_activity, ExecuteActivityInput(print, (), None, {}))


def echoing(status: bytes, quote: Callable[[bytes], bytes] = lambda request: request) -> Speak:
    """Answer with the request itself."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = quote(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        await reader.read()

    return speak


async def asked(speak: Speak, place: Path, ask: Callable[[AdminClient, Any], Any]) -> object:
    """Return what is kept of one question to such an admin API."""
    async with over_tls(speak) as text:
        peer = Peer.read(text)
        access = admin_access(peer.port, fingerprint=peer.fingerprint)
        node = make_node(SshServer(port=1), place, admin=access)
        return await attempt(lambda: ask(AdminClient(Shell(SECRETS), SECRETS), node))


async def test_a_refusal_that_quotes_the_request_shows_no_password(tmp_path: Path) -> None:
    """As HTTP sends it: anyone can read it who knows the alphabet."""
    with pytest.raises(CommandFailed, match=r"answered 400 .*Authorization: Basic") as refusal:
        await asked(echoing(b"400 No"), tmp_path, lambda admin, node: admin.sessions(node))
    assert HIDDEN in str(refusal.value)
    assert ENCODED[:12] not in str(refusal.value)


async def test_a_result_that_quotes_the_request_shows_no_password(tmp_path: Path) -> None:
    """Where the admin API reports it as the message of an operation."""

    def quoted(request: bytes) -> bytes:
        [line] = [line for line in request.splitlines() if line.startswith(b"Authorization")]
        return b'{"isSuccessful": false, "message": "%b"}' % line

    with pytest.raises(CommandFailed, match="Basic") as refusal:
        await asked(
            echoing(b"200 OK", quoted),
            tmp_path,
            lambda admin, node: admin.operate(node, Call("POST", "x"), 2),
        )
    assert HIDDEN in str(refusal.value)
    assert ENCODED[:12] not in str(refusal.value)


async def test_a_database_that_quotes_the_password_shows_none() -> None:
    """It has asked for it in clear, as it may."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
        writer.write(message(b"R", (3).to_bytes(4, "big")))
        _, *length = await reader.readexactly(5)
        password = await reader.readexactly(int.from_bytes(bytes(length), "big") - 4)
        writer.write(error(b"no such user with " + password.rstrip(b"\0")))
        await reader.read()

    async with tcp(speak) as port:
        there = {"address": "127.0.0.1", "port": port}
        link = PostgresLink(
            Logins(SECRETS), THERE, database("one", **there), database("two", **there)
        )
        with pytest.raises(SwitchoverError, match="no such user with") as refusal:
            await attempt(link.subscription)
    assert HIDDEN in str(refusal.value)
    assert PASSWORD[:8] not in str(refusal.value)


async def test_logs_show_no_password() -> None:
    """Of whatever library."""

    async def logging_it() -> str:
        await SECRETS.password("env:ADMIN")
        record = logging.LogRecord("x", logging.INFO, "x", 1, f"sent {PASSWORD}", None, None)
        return OneLine("%(message)s").format(record)

    assert await attempt(logging_it) == f"sent {HIDDEN}"


async def test_another_attempt_conceals_only_what_it_has_sent() -> None:
    """Or a place could guess the password of another one, and see in history that it is right."""

    async def knowing() -> str:
        await SECRETS.password("env:ADMIN")
        return PASSWORD

    async def guessing() -> str:
        return PASSWORD

    assert await attempt(knowing) == HIDDEN
    assert await attempt(guessing) == PASSWORD


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"a {PASSWORD}, b {PASSWORD}", f"a {HIDDEN}, b {HIDDEN}"),
        (f"cut: {PASSWORD[:11]}", f"cut: {HIDDEN}"),
        (f"Basic {ENCODED}.", f"Basic {HIDDEN}."),
        (f"Basic {ENCODED[:30]}", f"Basic {HIDDEN}"),
        (f"short: {PASSWORD[:7]}", f"short: {PASSWORD[:7]}"),
        ("Basic YWRtaW46d29yZA==", "Basic YWRtaW46d29yZA=="),
    ],
)
def test_passwords_are_found_whole_and_cut(text: str, shown: str) -> None:
    """What is too short to be recognised stays."""
    concealment.begin_attempt()
    concealment.remember(PASSWORD)
    assert concealed(text) == shown


@pytest.mark.parametrize(
    ("password", "text", "shown"),
    [
        ("cluster1-is-secret", "cluster1-server1: ", "cluster1-server1: "),
        ("cluster1-is-secret", "cluster1-is-secret: ", f"{HIDDEN}: "),
        ("cluster1", "cluster1-server1: ", "cluster1-server1: "),
    ],
)
def test_the_names_of_the_estate_stay_readable(password: str, text: str, shown: str) -> None:
    """A reading whose place was changed would be one of no place."""
    concealment.begin_attempt('{"place": "cluster1-server1"}')
    concealment.remember(password)
    assert concealed(text) == shown


def test_short_passwords_are_words() -> None:
    """Only as HTTP sends them can they be told from the text."""
    concealment.begin_attempt()
    concealment.remember("admin")
    encoded = base64.b64encode(b"st:admin").decode()
    assert concealed(f"the admin API answered {encoded}") == f"the admin API answered {HIDDEN}"
