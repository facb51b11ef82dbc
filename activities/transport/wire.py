"""Carry SSH's bytes, and bound how much of the worker's time one peer takes."""

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncssh

READ_SIZE = 16 << 10
"""Bytes that are processed without a break for others: hundreds of the smallest messages."""
MAX_SHARE = 0.2
"""Of the worker's time: a peer that takes more for long sends what was not asked for."""
ALLOWANCE = 1.5
"""Seconds of it that a peer may take at once: a list of 16 MiB takes less."""

BOUNDED: dict[str, Any] = {"compression_algs": None}
"""Options of every connection: what comes is as long as it says."""


class Wire:
    """What ``asyncssh.connect`` takes as its tunnel: a connection by TCP, or by a local socket."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    async def create_connection(
        self,
        session_factory: Any,  # noqa: ANN401 - the library's
        remote_host: str,
        remote_port: int,
    ) -> tuple[Any, Any]:
        """Connect; return the transport, and the library's connection."""
        loop = asyncio.get_running_loop()

        def metered() -> _Metered:
            return _Metered(session_factory())

        if self._path is None:
            transport, meter = await loop.create_connection(metered, remote_host, remote_port)
        else:
            transport, meter = await loop.create_unix_connection(metered, str(self._path))
        return transport, meter.connection

    def close(self) -> None:
        """Do nothing: the connection is closed by itself."""

    async def wait_closed(self) -> None:
        """Do nothing."""


class _Metered(asyncio.BufferedProtocol):
    """Hands bytes to a connection in small portions, and ends it if that takes too long."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self._buffer = bytearray(READ_SIZE)
        self._transport: asyncio.BaseTransport | None = None
        self._taken = 0.0
        self._at = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.connection.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the library's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        began = time.thread_time()
        self.connection.data_received(bytes(self._buffer[:nbytes]))
        self._take(time.thread_time() - began)

    def eof_received(self) -> None:
        self.connection.eof_received()

    def pause_writing(self) -> None:
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        self.connection.resume_writing()

    def _take(self, seconds: float) -> None:
        now = time.monotonic()
        self._taken = max(0.0, self._taken - MAX_SHARE * (now - self._at)) + seconds
        self._at = now
        if self._taken > ALLOWANCE and isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()
