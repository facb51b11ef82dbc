"""Carry SSH's bytes, and bound how much of the worker's time one peer takes."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

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
    """What ``asyncssh.connect`` takes as its tunnel: TCP, a local socket, or a jump host."""

    def __init__(
        self, path: Path | None = None, *, via: asyncssh.SSHClientConnection | None = None
    ) -> None:
        self._path = path
        self._via = via

    async def create_connection(
        self,
        session_factory: Any,  # noqa: ANN401 - the library's
        remote_host: str,
        remote_port: int,
    ) -> tuple[Any, Any]:
        """Connect; return the transport, and the library's connection."""
        if self._via is not None:
            carried = _Carried(session_factory)
            channel, _ = await self._via.create_connection(
                lambda: carried, remote_host, remote_port
            )
            return channel, carried.connection
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


class _Meter:
    """Counts what one connection takes of the worker's time.

    What a jump host carries for others is counted to them: many machines behind one may together
    take more than one peer.
    """

    charged = 0.0
    """Seconds that all connections took so far."""

    def __init__(self) -> None:
        self._taken = 0.0
        self._at = time.monotonic()

    def exceeded(self, connection: asyncssh.SSHClientConnection, data: bytes) -> bool:
        """Hand on what came, and return whether that took too long, with what came before."""
        began, others = time.thread_time(), _Meter.charged
        connection.data_received(data)
        seconds = time.thread_time() - began - (_Meter.charged - others)
        _Meter.charged += seconds
        now = time.monotonic()
        self._taken = max(0.0, self._taken - MAX_SHARE * (now - self._at)) + seconds
        self._at = now
        return self._taken > ALLOWANCE


class _Metered(asyncio.BufferedProtocol):
    """Hands bytes to a connection in small portions, and ends it if that takes too long."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self._buffer = bytearray(READ_SIZE)
        self._transport: asyncio.BaseTransport | None = None
        self._meter = _Meter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.connection.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the library's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        exceeded = self._meter.exceeded(self.connection, bytes(self._buffer[:nbytes]))
        if exceeded and isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    def eof_received(self) -> None:
        self.connection.eof_received()

    def pause_writing(self) -> None:
        self.connection.pause_writing()

    def resume_writing(self) -> None:
        self.connection.resume_writing()


class _Carried(asyncssh.SSHTCPSession[bytes]):
    """Hands on what a jump host brings of a connection, and ends that if it takes too long."""

    def __init__(self, session_factory: Callable[[], asyncssh.SSHClientConnection]) -> None:
        self._session_factory = session_factory
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None
        self._meter = _Meter()

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        # Not before: a connection that is made for no channel would wait for its login for ever.
        self.connection = self._session_factory()
        self._channel = chan
        self.connection.connection_made(cast(asyncio.Transport, chan))

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.connection_lost(exc)

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002 - the library's signature
        if self._meter.exceeded(self.connection, data) and self._channel is not None:
            self._channel.abort()

    def eof_received(self) -> bool:
        self.connection.eof_received()
        return False
