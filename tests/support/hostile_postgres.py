"""A PostgreSQL server that lets everyone in, and then sends what it likes."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import chain, count, repeat

Sends = Callable[[], Iterator[bytes]]
"""What a server sends; a peer that waits before a byte sends an empty one."""

BIG = b"x" * 65536
NO_COLUMNS = b"T\0\0\0\6\0\0"


def message(kind: bytes, content: bytes) -> bytes:
    """Return one message of the protocol."""
    return kind + (len(content) + 4).to_bytes(4, "big") + content


def described(*columns: tuple[bytes, int, int]) -> bytes:
    """Describe rows: for each column its name, the number of its type, and 1 where it is binary."""
    each = (
        name
        + b"\0"
        + bytes(6)
        + kind.to_bytes(4, "big")
        + b"\xff\xff"
        + b"\xff" * 4
        + form.to_bytes(2, "big")
        for name, kind, form in columns
    )
    return message(b"T", len(columns).to_bytes(2, "big") + b"".join(each))


def row(*cells: bytes) -> bytes:
    """Return one row."""
    content = b"".join(len(cell).to_bytes(4, "big") + cell for cell in cells)
    return message(b"D", len(cells).to_bytes(2, "big") + content)


def error(text: bytes, code: bytes = b"XX000") -> bytes:
    """Return a refusal of the server."""
    return message(b"E", b"SERROR\0VERROR\0C" + code + b"\0M" + text + b"\0\0")


DONE = message(b"C", b"SELECT 1\0")
READY = message(b"Z", b"I")
OK = message(b"R", bytes(4))
WELCOME = (
    OK + message(b"S", b"server_version\x0018.0\0") + message(b"S", b"client_encoding\0UTF8\0")
)
THREE = described((b"a", 16, 0), (b"b", 25, 0), (b"c", 16, 0))
ESCAPES = "\x1b]0;owned\x07\u202egnitteg\x9b31m".encode()

ANSWERS: dict[str, tuple[Sends, str]] = {
    "is silent": (lambda: repeat(b""), "no whole answer within"),
    "drips": (lambda: chain.from_iterable((b"T", b"") for _ in count()), "no whole answer within"),
    "sends rows without end": (
        lambda: chain((THREE,), repeat(row(b"t", b"slot", b"t") * 1000)),
        "sent more than 1 MiB in one answer",
    ),
    "sends empty rows without end": (
        lambda: chain((NO_COLUMNS,), repeat(row() * 9000)),
        "sent more than 1 MiB in one answer",
    ),
    "sends a row of a gibibyte": (
        lambda: chain((THREE, b"D\x3f\xff\xff\xff\0\3\x3f\xff\xff\0"), repeat(BIG)),
        "sent more than 1 MiB in one answer",
    ),
    "sends notices without end": (
        lambda: repeat(message(b"N", b"SNOTICE\0M" + b"hear! " * 9 + b"\0\0") * 500),
        "sent more than 1 MiB in one answer",
    ),
    "sends parameters without end": (
        lambda: (message(b"S", b"p%d\0" % n + b"v" * 999 + b"\0") for n in count()),
        "sent more than 1 MiB in one answer",
    ),
    "sends too many rows": (
        lambda: iter((NO_COLUMNS, row() * 20_000, DONE, READY)),
        "answered with more than 10000 rows",
    ),
    "answers with other values": (
        lambda: iter((THREE, row(b"perhaps", b"slot", b"1e9"), DONE, READY)),
        "its answer is not what was asked for",
    ),
    "answers with fewer columns": (
        lambda: iter((described((b"a", 16, 0)), row(b"t"), DONE, READY)),
        "its answer is not what was asked for",
    ),
    "answers with a broken array, in binary": (
        lambda: iter(
            (described((b"a", 1009, 1)), row(b"\x7f\xff\xff\xff" * 3 + b"\0"), DONE, READY)
        ),
        "its answer is not what was asked for",
    ),
    "answers with names of a megabyte": (
        lambda: iter((THREE, row(b"t", b"s" * 999_000, b"t"), DONE, READY)),
        "its answer is not what was asked for",
    ),
    "wants to be sent a copy": (
        lambda: iter((message(b"G", b"\0\0\0"),)),
        "its answer cannot be understood|no whole answer",
    ),
    "speaks another protocol": (lambda: iter((b"\0" * 99,)), "its answer cannot be understood"),
    "refuses in escape sequences": (
        lambda: iter((error(ESCAPES + b"!" * 100_000), READY)),
        r"database-two: +\]0;owned  gnitteg 31m!{100,390}$",
    ),
}
"""By what a server does after the login: what it sends, and what the worker says."""

LOGINS: dict[str, tuple[Sends, str]] = {
    "is silent": (lambda: repeat(b""), "did not accept the login within"),
    "drips": (
        lambda: chain.from_iterable((b"N", b"") for _ in count()),
        "did not accept the login within|sent",
    ),
    "is a web server": (
        lambda: iter((b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",)),
        "sent more than 64 KiB|did not accept the login within",
    ),
    "wants Kerberos": (lambda: iter((message(b"R", b"\0\0\0\7"),)), "GSS|require_auth"),
    "wants its password hashed for an hour": (
        lambda: iter((message(b"R", b"\0\0\0\nSCRAM-SHA-256\0\0"), b"?")),
        "asks for the password to be hashed more than 40000 times",
    ),
    "sends notices without end": (
        lambda: repeat(message(b"N", b"SNOTICE\0Mhear!\0\0") * 500),
        "expected authentication request from server",
    ),
    "lets in, and is not ready without end": (
        lambda: chain((OK,), (message(b"S", b"p%d\0v\0" % n) * 500 for n in count())),
        "sent more than 64 KiB in one answer",
    ),
    "accepts every connection, and nothing else": (
        lambda: iter(()),
        "did not accept the login within",
    ),
}
"""By what a server does instead of a login."""


@asynccontextmanager
async def hostile(sends: Sends, *, login: bool) -> AsyncIterator[int]:
    """Serve on a port, which is returned; with *login*, the server lets everyone in at first."""
    serving: set[asyncio.Task[None]] = set()

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await _serve(reader, writer, sends, login=login)
        writer.transport.abort()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sends: Sends, *, login: bool
) -> None:
    await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big") - 4)
    if login:
        writer.write(WELCOME + READY)
        while await _statement(reader, writer):  # it sets its limit of time
            pass
    for part in sends():
        if part == b"?":
            part = await _challenge(reader)  # noqa: PLW2901 - in its place
        writer.write(part)
        await (writer.drain() if part else asyncio.sleep(0.1))
    await writer.drain()
    await reader.read()


async def _statement(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Obey one statement if it sets something; whether it was one of these."""
    text = b""
    while True:
        head = await reader.readexactly(5)
        text += await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
        if head[:1] in (b"Q", b"S"):
            break
    extended = head[:1] == b"S"
    sets = b"SET statement_timeout" in text or b"BEGIN" in text or b"DECLARE" in text
    if extended:
        writer.write(message(b"1", b"") + message(b"2", b""))
    if sets:
        writer.write((message(b"n", b"") if extended else b"") + message(b"C", b"SET\0") + READY)
    return sets


async def _challenge(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    sent = await reader.readexactly(int.from_bytes(head[1:], "big") - 4)
    nonce = re.search(rb"r=([^,]+)", sent)
    assert nonce is not None
    return message(b"R", b"\0\0\0\x0br=" + nonce[1] + b"x,s=c2FsdA==,i=2147483647")
