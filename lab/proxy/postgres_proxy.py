"""A PostgreSQL proxy that can hold, refuse or break off single statements.

It reads protocol version 3 just enough to know where a request and its answer end. Toxiproxy and
similar programs hold bytes, not requests.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from lab.layout import DATABASE_PORT
from lab.node.request_hook import RequestEvent
from lab.proxy.tcp_proxy import Connections, reset

DATABASE_PROXY_PORT = DATABASE_PORT + 1
"""The port in the product's estate file, instead of the database's own."""

Admit = Callable[[RequestEvent], Awaitable[bool]]

_QUERY, _PARSE, _SYNC, _TERMINATE = b"Q", b"P", b"S", b"X"
_READY, _AUTHENTICATION = b"Z", b"R"
_INSUFFICIENT_PRIVILEGE = "42501"
_WANTS_AN_ANSWER = (3, 5, 10, 11)
"""Kinds of authentication message: a password, clear or hashed, and SCRAM's two turns."""
_WANTS_NO_SESSION = range(80877100, 80877105)
"""What a client may ask for instead of a session: to cancel something, or encryption."""


@dataclass(frozen=True)
class _End:
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def message(self) -> bytes:
        """Read one whole message, its type first."""
        head = await self.reader.readexactly(5)
        return head + await self.reader.readexactly(_length(head[1:]) - 4)

    async def send(self, message: bytes) -> None:
        """Pass something on."""
        self.writer.write(message)
        await self.writer.drain()


@dataclass
class PostgresProxy(Connections):
    """All connections to one database; they can be cut, refused, or broken off in an answer."""

    place: str
    address: str
    passes: Admit
    refuses: str | None = None
    """Statements with this text are answered by an error and are not carried out."""
    breaks_off: bool = False
    """Whether connections end in the middle of an answer."""

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await asyncio.start_server(
            self._connect, self.address, DATABASE_PROXY_PORT, reuse_address=True
        )

    def heal(self) -> None:
        """Take connections again, and answer them in full."""
        super().heal()
        self.refuses, self.breaks_off = None, False

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refused:
            reset(writer)
            return
        client = _End(reader, writer)
        with suppress(OSError, asyncio.IncompleteReadError):  # either side has closed
            server = _End(*await asyncio.open_connection(self.address, DATABASE_PORT))
            ends = {writer, server.writer}
            self.writers |= ends
            try:
                await _log_in(client, server)
                while await self._ask(client, server):
                    pass
            finally:
                self.writers -= ends
                server.writer.close()
        writer.close()

    async def _ask(self, client: _End, server: _End) -> bool:
        """Carry one request out and answer it; whether there may be another."""
        request, statements = b"", []
        while True:
            message = await client.message()
            request += message
            statements += _statements(message)
            if message[:1] in (_QUERY, _SYNC, _TERMINATE):
                break
        statement = "; ".join(statements)
        if statement and not await self.passes(
            RequestEvent("before", self.place, "sql", statement)
        ):
            return False
        if statement and self.refuses is not None and self.refuses in statement:
            await client.send(_refusal(f"must be owner of what {self.place} was asked for"))
            return True
        breaks_off = statement and self.breaks_off
        await server.send(request)
        if message[:1] == _TERMINATE:
            return False
        answer = [await server.message()]
        while answer[-1][:1] != _READY:
            answer.append(await server.message())
        whole = b"".join(answer)
        if statement:
            await self.passes(RequestEvent("after", self.place, "sql", statement))
        if breaks_off:
            await client.send(whole[: len(whole) // 2])
            return False
        await client.send(whole)
        return True


async def _log_in(client: _End, server: _End) -> None:
    """Pass everything on until the server is ready for a session's first request."""
    while True:
        size = await client.reader.readexactly(4)
        asked = await client.reader.readexactly(_length(size) - 4)
        await server.send(size + asked)
        if _length(asked[:4]) not in _WANTS_NO_SESSION:
            break
        await client.send(await server.reader.readexactly(1))
    while (message := await server.message())[:1] != _READY:
        await client.send(message)
        if message[:1] == _AUTHENTICATION and _length(message[5:9]) in _WANTS_AN_ANSWER:
            await server.send(await client.message())
    await client.send(message)


def _statements(message: bytes) -> list[str]:
    if message[:1] == _QUERY:
        return [message[5:-1].decode()]
    if message[:1] == _PARSE:
        return [message[5:].split(b"\0")[1].decode()]
    return []


def _refusal(message: str) -> bytes:
    """Return an error, and that the next request may come."""
    fields = {"S": "ERROR", "V": "ERROR", "C": _INSUFFICIENT_PRIVILEGE, "M": message}
    body = b"".join(f"{code}{text}".encode() + b"\0" for code, text in fields.items()) + b"\0"
    error = b"E" + struct.pack("!i", len(body) + 4) + body
    return error + _READY + struct.pack("!i", 5) + b"I"


def _length(four: bytes) -> int:
    (length,) = struct.unpack("!i", four)
    return int(length)
