"""Services that only have to exist."""

from __future__ import annotations

import asyncio
import signal

from lab.forking import Message
from lab.layout import PROTOCOL_PORTS
from lab.node.service import Context, Line
from lab.node.sessions import ProtocolServer


class StubServer(ProtocolServer):
    """Accepts connections and answers nothing: FTP, AS2 and PeSIT."""

    def __init__(self, context: Context, line: Line) -> None:
        super().__init__(context, line)
        self._listener: asyncio.Server | None = None

    @property
    def protocol(self) -> str:
        """The service's own name."""
        return self.context.service.name

    async def open(self) -> None:
        """Listen."""
        self._listener = await asyncio.start_server(
            _listen_only, self.context.node.address, PROTOCOL_PORTS[self.protocol]
        )

    def close(self) -> None:
        """Listen no more."""
        if self._listener:
            self._listener.close()


async def _listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    except ConnectionError:
        return
    finally:
        writer.close()


async def serve(context: Context, line: Line) -> None:
    """Run a protocol server without clients."""
    await StubServer(context, line).serve()


def idle(context: Context) -> None:
    """Be a process and nothing else: the SOCKS proxy, the Edge's embedded database."""
    context.channel.send(Message("ready", sender=context.service.name))
    while True:
        signal.pause()
