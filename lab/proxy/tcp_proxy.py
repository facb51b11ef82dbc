"""A TCP proxy that can cut, refuse or reset connections."""

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from lab.layout import SHELL_PORT

SHELL_PROXY_PORT = SHELL_PORT + 1
"""The port in the product's estate file, instead of the machine's own."""

CHUNK_BYTES = 1 << 16
_ABORT = struct.pack("ii", 1, 0)


@dataclass
class Connections:
    """The connections through a proxy."""

    refused: bool = field(default=False, init=False)
    writers: set[asyncio.StreamWriter] = field(default_factory=set, init=False)

    def cut(self) -> None:
        """Reset what is connected, and refuse what comes."""
        self.refused = True
        self.break_off()

    def heal(self) -> None:
        """Take connections again."""
        self.refused = False

    def break_off(self) -> None:
        """Reset what is connected."""
        for writer in list(self.writers):
            reset(writer)


@dataclass
class TcpProxy(Connections):
    """All connections to one port; they can be cut, refused, or reset at a byte."""

    place: str
    address: str
    listen_port: int = SHELL_PROXY_PORT
    target_port: int = SHELL_PORT
    resets_after: int | None = None
    """How many more bytes pass, either way, until one connection is reset."""
    answers_at_most: int | None = None
    """After how many bytes of its answers every connection is reset."""
    was_reset: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await asyncio.start_server(
            self._connect, self.address, self.listen_port, reuse_address=True
        )

    def heal(self) -> None:
        """Take connections again, and leave them alone."""
        super().heal()
        self.resets_after = self.answers_at_most = None

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refused:
            reset(writer)
            return
        # From the client's own address: machines may tell by it who comes.
        client, *_ = writer.get_extra_info("peername")
        try:
            theirs, to_them = await asyncio.open_connection(
                self.address, self.target_port, local_addr=(client, 0)
            )
        except OSError:
            reset(writer)
            return
        ends = {writer, to_them}
        self.writers |= ends
        try:
            await asyncio.gather(
                self._copy(reader, to_them, ends),
                self._copy(theirs, writer, ends, self.answers_at_most),
            )
        finally:
            self.writers -= ends
            for end in ends:
                end.close()

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
        at_most: int | None = None,
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(CHUNK_BYTES):
                if at_most is not None:
                    part, at_most = part[:at_most], at_most - len(part)
                if self.resets_after is not None:
                    part, self.resets_after = (
                        part[: self.resets_after],
                        self.resets_after - len(part),
                    )
                writer.write(part)
                await writer.drain()
                if self.resets_after is not None and self.resets_after <= 0:
                    self.resets_after = None
                    self.was_reset.set()
                    break
                if at_most is not None and at_most <= 0:
                    break
            else:
                writer.write_eof()  # a closed connection is closed on the other side, too
                return
        for end in ends:
            reset(end)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off as a failing line does, without a farewell."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()
