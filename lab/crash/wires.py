"""How does the saboteur stand between the product and a machine, to cut or to reset its line?"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field

from lab.layout import SHELL_PORT

SHELL_BY_WIRE = SHELL_PORT + 1
"""The port that the product is told of instead of the machine's own."""

_PART = 1 << 16
_ABORT = struct.pack("ii", 1, 0)


@dataclass
class Wire:
    """All connections to one machine's shell; they can be cut, refused, or reset at a byte."""

    place: str
    address: str
    refuses: bool = False
    resets_after: int | None = None
    """How many more bytes pass, either way, until one connection is reset."""
    was_reset: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def listen(self) -> asyncio.Server:
        """Take connections."""
        return await asyncio.start_server(
            self._connect, self.address, SHELL_BY_WIRE, reuse_address=True
        )

    def cut(self) -> None:
        """Reset what is connected, and refuse what comes."""
        self.refuses = True
        self.break_off()

    def heal(self) -> None:
        """Take connections again, and leave them alone."""
        self.refuses, self.resets_after = False, None

    def break_off(self) -> None:
        """Reset what is connected."""
        for writer in list(self._open):
            _reset(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            _reset(writer)
            return
        try:
            theirs, to_them = await asyncio.open_connection(self.address, SHELL_PORT)
        except OSError:
            _reset(writer)
            return
        ends = {writer, to_them}
        self._open |= ends
        try:
            await asyncio.gather(
                self._copy(reader, to_them, ends), self._copy(theirs, writer, ends)
            )
        finally:
            self._open -= ends
            for end in ends:
                end.close()

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: set[asyncio.StreamWriter],
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(_PART):
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
            else:
                return
        for end in ends:
            _reset(end)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Break a connection off as a failing line does, without a farewell."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()
