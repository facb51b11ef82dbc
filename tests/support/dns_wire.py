"""A wire to a name server on which messages are seen, held, cut and sent again; and bad servers."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

UPDATE_OPCODE = 5

Answer = Callable[[bytes], Awaitable[bytes]]
"""What a server makes of a question: everything that it sends, with its length before it."""


async def nothing() -> None:
    """Do nothing."""


@dataclass
class Wire:
    """What is between the worker and a name server."""

    to: int
    """The server's port."""
    port: int = 0
    updates: list[bytes] = field(default_factory=list)
    """Every update that was sent, as it was sent."""
    before_update: Callable[[], Awaitable[object]] = nothing
    """What happens before an update arrives."""
    lose_update: bool = False
    """Whether updates do not arrive."""
    lose_answer: bool = False
    """Whether answers to updates do not arrive."""

    async def deliver(self, message: bytes) -> bytes:
        """Send a message to the server, and return its answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.to)
        writer.write(framed(message))
        answer = await received(reader)
        writer.close()
        return answer

    async def answer(self, message: bytes) -> bytes:
        """Pass a message on, unless it is lost."""
        if not is_update(message):
            return framed(await self.deliver(message))
        self.updates.append(message)
        await self.before_update()
        if self.lose_update:
            return b""
        answer = await self.deliver(message)
        return b"" if self.lose_answer else framed(answer)

    @asynccontextmanager
    async def laid(self) -> AsyncIterator["Wire"]:
        """Lay the wire."""
        async with answering(self.answer) as port:
            self.port = port
            yield self


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """Serve DNS over TCP by a function; the connection ends with its answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await answer(await received(reader)))
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def framed(message: bytes) -> bytes:
    """Return a message as TCP carries it."""
    return struct.pack("!H", len(message)) + message


def is_update(message: bytes) -> bool:
    """Return whether a message is an update."""
    return (message[2] >> 3) & 0xF == UPDATE_OPCODE


async def received(reader: asyncio.StreamReader) -> bytes:
    """Return the next message."""
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)
