"""Hostile HTTPS servers, as admin API, as a client's login, and as a webhook."""

import asyncio
import gzip
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from activities.load_balancer.client_login import ClientLogins, LoginTarget
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import Call
from activities.transport.ssh import Shell
from activities.webhook import SignedWebhook
from bench.hostile import Case
from bench.hostile.wires import Peer, Speak, after, over_tls, plain, silent
from tests.activities.test_webhook import GIVEN
from tests.support.ssh_machines import SshServer, admin_access, make_node
from workflows.model.estate import Node, Probe, Protocol

Reading = Callable[[AdminClient, Node], Awaitable[object]]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BLOCK = b"10000\r\n" + b"x" * 65536 + b"\r\n"
UNREAD = "the admin API's answer cannot be read as JSON"


def says(body: bytes, head: bytes = OK) -> Speak:
    """Give one whole answer, and then nothing."""
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    return after(whole, b"", 0.05)


async def _sessions(admin: AdminClient, node: Node) -> object:
    return len((await admin.sessions(node))[0])


async def _many(admin: AdminClient, node: Node) -> object:
    """Read as many lists at once as the readiness checks of one node do, and more."""
    reading = (admin.sessions(node) for _ in range(15))
    results = await asyncio.gather(*reading, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return "every list was read"


async def _events(admin: AdminClient, node: Node) -> object:
    return len(await admin.items(node, "events"))


async def _change(admin: AdminClient, node: Node) -> object:
    await admin.operate(node, Call("POST", "clusterServices/operations"), 2)
    return "done"


def api(name: str, speak: Speak, expected: str, reading: Reading = _sessions) -> Case:
    """Return a case in which the admin API is hostile."""

    async def run(text: str) -> object:
        peer = Peer.read(text)
        with tempfile.TemporaryDirectory() as place:
            access = admin_access(peer.port, fingerprint=peer.fingerprint)
            node = make_node(SshServer(port=1), Path(place), admin=access)
            return await reading(AdminClient(Shell(peer.secrets), peer.secrets), node)

    return Case(f"admin API: {name}", lambda: over_tls(speak), run, expected)


def login(name: str, speak: Speak, expected: str) -> Case:
    """Return a case in which a client's HTTPS login is answered by a hostile server."""

    async def run(text: str) -> object:
        peer = Peer.read(text)
        probe = Probe(
            protocol=Protocol.HTTP,
            address="127.0.0.1",
            port=peer.port,
            user="probe",
            password="env:PROBE",  # noqa: S106 - where it is, not what it is
            fingerprint=peer.fingerprint,
        )
        await ClientLogins(peer.secrets).list_root(LoginTarget(probe, "the login"))
        return "logged in"

    return Case(f"HTTPS login: {name}", lambda: over_tls(speak), run, expected)


def webhook(name: str, speak: Speak, expected: str) -> Case:
    """Return a case in which the receiver of notices is hostile."""

    async def run(text: str) -> object:
        await SignedWebhook(Peer.read(text).secrets).notify(GIVEN)
        return "delivered"

    return Case(f"webhook: {name}", lambda: plain(speak), run, expected)


CASES = (
    api("answers without an end", after(CHUNKED, BLOCK), "OutcomeUnknown: .* longer than 16777216"),
    api(
        "answers an operation without an end",
        after(CHUNKED, BLOCK),
        "OutcomeUnknown: .* longer than 1048576",
        _change,
    ),
    api(
        "answers with a byte now and then",
        after(CHUNKED, b"1\r\n[\r\n", 0.05),
        "Unreachable: server1: HTTPS does not answer .nothing whole within 1 s",
    ),
    api(
        "answers in parts of one byte",
        after(CHUNKED, b"1\r\n[\r\n" * 9000),
        "Unreachable: server1: .*nothing whole within 1 s",
    ),
    api("says nothing", silent, "Unreachable: server1: .*nothing whole within 1 s"),
    api("sends headers without an end", after(OK, b"A: b\r\n" * 900), "Unreachable: server1: "),
    api(
        "says without an end that it will answer soon",
        after(b"HTTP/1.1 100 \r\n\r\n", b"HTTP/1.1 100 \r\n\r\n" * 900),
        "Unreachable: server1: .*nothing whole within 1 s",
    ),
    api("speaks another protocol", after(b"SSH-2.0-x\r\n", b"", 0.1), "Unreachable: server1: "),
    api(
        "sends a compressed gigabyte",
        says(gzip.compress(b"[" + b" " * (1 << 24)), OK + b"Content-Encoding: gzip\r\n"),
        "OutcomeUnknown: server1: the answer is encoded as gzip, which was not asked for",
    ),
    api("nests a million lists", says(b"[" * 1_000_000), f"{UNREAD}: it has more than 300000"),
    api("nests 100,000 lists", says(b"[" * 100_000), f"{UNREAD}: it is nested deeper than 32"),
    api("lists half a character", says(b'[{"id":"\\ud800"}]'), f"{UNREAD}: .* half a character"),
    api("lists a number of 4000 digits", says(b"[" + b"9" * 4000 + b"]"), f"{UNREAD}: .*too large"),
    api("lists 1e999", says(b'[{"id":1e999}]'), f"{UNREAD}: it has a number that is too large"),
    api("says one thing twice", says(b'[{"id":1,"id":2}]'), f"{UNREAD}: it has one key twice"),
    api(
        "lists 290,000 items that are none (3 MB)",
        says(b'{"resultSet":{"totalCount":1},"result":[' + b"123456789," * 290_000 + b"1]}"),
        "OutcomeUnknown: server1: the admin API's answer cannot be read: result.0",
        _events,
    ),
    api(
        "shows the same page of a list without an end",
        says(b'{"resultSet":{"totalCount":999999999},"result":[' + b'{"id":1},' * 99 + b"{}]}"),
        "OutcomeUnknown: .* did not show all events within 4 s",
        _events,
    ),
    api(
        "shows pages of 4 MiB of a list without an end",
        says(
            b'{"resultSet":{"totalCount":999999999},"result":["a"]}'.replace(
                b'"a"', b",".join([b'{"id":"' + b"x" * 40_000 + b'"}'] * 100)
            )
        ),
        "OutcomeUnknown: server1: the admin API shows more events than can be read",
        _events,
    ),
    api(
        "lists 40,000 sessions (honest)",
        says(b"[" + b",".join([b'{"id":"a","userName":"u","host":"192.0.2.1"}'] * 40_000) + b"]"),
        "^40000$",
    ),
    api(
        "lists 149,000 sessions (2 MiB), fifteen times at once",
        says(b"[" + b",".join([b'{"id":1}'] * 149_000) + b"]"),
        "OutcomeUnknown: .* admin API answers with more than 64 MiB at once",
        _many,
    ),
    api(
        "lists 149,000 sessions (15 MiB)",
        says(b"[" + b",".join([b'{"id":"' + b"x" * 50 + b'"}'] * 149_000) + b"]"),
        "^149000$",
    ),
    api(
        "refuses with escape sequences",
        says(b"\x1b]0;owned\x07\x1b[2J", b"HTTP/1.1 400 No\r\n"),
        r"^CommandFailed: server1: .* answered 400[^\x00-\x1f\x7f-\x9f]*owned[^\x00-\x1f]*$",
    ),
    api(
        "sends a page in an unknown alphabet, and cookies",
        says(
            b"+AGE-",
            b"HTTP/1.1 400 No\r\nContent-Type: text/x; charset=utf-7\r\n"
            b"Set-Cookie: a=b; expires=" + b"1 " * 40_000 + b"\r\n",
        ),
        "CommandFailed: server1: .* answered 400",
    ),
    login("answers without an end", after(CHUNKED, BLOCK), "logged in"),
    login("says nothing", silent, "Unreachable: the login: "),
    login("sends headers without an end", after(OK, b"A: b\r\n", 0.02), "Unreachable: the login: "),
    webhook("answers without an end", after(CHUNKED, BLOCK), "delivered"),
    webhook("says nothing", silent, "Unreachable: webhook env:HOOK: the notice was not accepted"),
    webhook(
        "sends a header now and then", after(OK, b"A: b\r\n", 0.05), "Unreachable: webhook env:HOOK"
    ),
)
