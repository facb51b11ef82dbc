"""Services that only have to exist."""

import asyncio
import signal

from lab.forking import Message
from lab.layout import PROTOCOL_PORTS
from lab.node.service import Context
from lab.node.sessions import ProtocolServer


class StubServer(ProtocolServer):
    """Accepts connections and answers nothing: FTP, AS2 and PeSIT."""

    @property
    def protocol(self) -> str:
        """The service's own name."""
        return self.context.service.name

    async def open(self) -> None:
        """Listen."""
        self.listener = await asyncio.start_server(
            _listen_only, self.context.node.address, PROTOCOL_PORTS[self.protocol]
        )


async def _listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    except ConnectionError:
        return
    finally:
        writer.close()


def idle(context: Context) -> None:
    """Be a process and nothing else: the SOCKS proxy, the Edge's embedded database."""
    context.channel.send(Message("ready", sender=context.service.name))
    while True:
        signal.pause()
