"""Ports that only accept connections."""

import asyncio
import random

NEVER_GIVEN_OUT = 20_000, 32_000
"""Below the range of which Linux takes a port where none is named."""


class Listener:
    """A protocol server's port and its connected clients."""

    port: int

    def __init__(self) -> None:
        self.clients: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> int:
        """Listen on this port or on a free one, and return it.

        It stays free when the listener is closed: no kernel gives out ports of this range.
        """
        while True:
            tried = port or random.randrange(*NEVER_GIVEN_OUT)  # noqa: S311 - a port
            try:
                self._server = await asyncio.start_server(self._hold, "127.0.0.1", tried)
                break
            except OSError:
                if port:
                    raise
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    @property
    def listens(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None and self._server.is_serving()

    async def connect(self, port: int) -> None:
        """Have one more client."""
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        self.clients.append(writer)

    async def leave(self) -> None:
        """Let every client go."""
        for writer in self.clients:
            writer.close()
            await writer.wait_closed()
        self.clients.clear()

    async def close(self) -> None:
        """Listen no more."""
        await self.leave()
        assert self._server is not None
        self._server.close()

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
