"""Lead one connection to a PostgreSQL server through this process, which bounds what comes over it.

libpq holds an answer in memory until it is whole, whatever its length, and obeys whatever a server
asks of a login. So it connects to a socket of this process, in a private directory. Behind that,
bytes are counted, and an exchange that asks too much work of the worker is ended. TLS ends here,
too: otherwise nothing of this could be seen.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import ssl
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import asyncssh
from asyncssh.forward import SSHForwarder

from activities.transport.ssh_errors import beyond_jump_host
from workflows.errors import AccessRefused, OutcomeUnknown
from workflows.model.estate import Database

PORT: Final = 5432
"""A part of the socket's name: libpq puts it there."""
CHUNK = 64 * 1024
MEBIBYTE = 1024 * 1024
MAX_LOGIN_BYTES = 64 * 1024
"""Bytes until the server has accepted the login."""
MAX_LOGIN_ROUNDS = 40_000
"""How often a server may have the password hashed, which takes 50 ms; usual are 4,096."""

MAX_DIGITS = 9
"""Of a number that is read: one of many digits takes long."""

_SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
_AUTHENTICATION, _ACCEPTED, _MECHANISMS, _SCRAM = b"R", 0, 10, 11
_BOUND_TO_TLS = b"SCRAM-SHA-256-PLUS\0"
_ROUNDS = re.compile(rb",i=(\d+)")


@dataclass
class Wire:
    """What carries one connection, and how much more it carries."""

    place: str
    directory: Path
    listening: socket.socket
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    fault: OutcomeUnknown | None = None
    """Why it was ended; libpq itself sees only that it was."""
    tunnel: asyncssh.SSHTCPChannel[bytes] | None = None
    """The channel through a jump host, where the database is behind one."""
    _most: int = 0
    _left: int = 0
    _carrying: asyncio.Future[object] = field(init=False)

    @classmethod
    async def open(
        cls,
        database: Database,
        context: ssl.SSLContext | None,
        via: asyncssh.SSHClientConnection | None = None,
    ) -> Wire:
        """Connect to the server; with a context, encrypted and verified.

        Raises:
            AccessRefused: it does not encrypt, or a jump host does not lead there.
            Unreachable: a jump host has no connection to it.
            OSError: it does not answer, or its certificate is not trusted.
        """
        tunnel = None
        if via is None:
            reader, writer = await asyncio.open_connection(database.address, database.port)
        else:
            reader, writer, tunnel = await _through(via, database)
        try:
            if context is not None:
                writer.write(_SSL_REQUEST)
                # More than one byte was sent before encryption: by whom cannot be known.
                _require_encrypting(database, await reader.read(2))
                await writer.start_tls(context, server_hostname=database.address)
            return cls(database.name, *_listen(), reader, writer, tunnel=tunnel)
        except BaseException:
            writer.transport.abort()
            if tunnel is not None:
                tunnel.abort()
            raise

    def __post_init__(self) -> None:
        self.allow(MAX_LOGIN_BYTES)
        self._carrying = asyncio.ensure_future(self._carry())

    def allow(self, most: int) -> None:
        """Carry so many bytes of the server from now on, and no more."""
        self._most = self._left = most

    async def close(self) -> None:
        """End the connection at once, on both sides."""
        self._carrying.cancel()
        await asyncio.gather(self._carrying, return_exceptions=True)
        self.writer.transport.abort()
        if self.tunnel is not None:
            self.tunnel.abort()
        self.listening.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    async def _carry(self) -> None:
        loop = asyncio.get_running_loop()
        near, _ = await loop.sock_accept(self.listening)
        with near:
            near.setblocking(False)  # noqa: FBT003 - the library's signature
            requests = asyncio.ensure_future(self._requests(near))
            try:
                await self._login(near)
                while data := await self.reader.read(CHUNK):
                    self._count(len(data))
                    await loop.sock_sendall(near, data)
            except OutcomeUnknown as fault:
                self.fault = fault
            except (OSError, asyncio.IncompleteReadError):
                return  # libpq says so when its end is closed
            finally:
                requests.cancel()
                await asyncio.gather(requests, return_exceptions=True)

    async def _requests(self, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await loop.sock_recv(near, CHUNK):
                self.writer.write(data)
                await self.writer.drain()

    async def _login(self, near: socket.socket) -> None:
        """Pass on whole messages until the server has accepted the login."""
        accepted = False
        while not accepted:
            head = await self.reader.readexactly(5)
            length = int.from_bytes(head[1:], "big") - 4
            self._count(len(head) + max(0, length))
            content = await self.reader.readexactly(max(0, length))
            if head[:1] == _AUTHENTICATION:
                kind = int.from_bytes(content[:4], "big")
                accepted = kind == _ACCEPTED
                if kind == _MECHANISMS:
                    # libpq has no TLS on its side; whom it talks to was verified here.
                    content = content.replace(_BOUND_TO_TLS, b"", 1)
                if kind == _SCRAM:
                    self._require_few_rounds(content)
            message = head[:1] + (len(content) + 4).to_bytes(4, "big") + content
            await asyncio.get_running_loop().sock_sendall(near, message)

    def _require_few_rounds(self, challenge: bytes) -> None:
        found = _ROUNDS.search(challenge)
        if found is not None and (len(found[1]) > MAX_DIGITS or int(found[1]) > MAX_LOGIN_ROUNDS):
            raise OutcomeUnknown(
                f"{self.place}: asks for the password to be hashed more than {MAX_LOGIN_ROUNDS} "
                "times; find out which server answers there, or lower scram_iterations"
            )

    def _count(self, sent: int) -> None:
        self._left -= sent
        if self._left < 0:
            limit = f"{self._most // MEBIBYTE} MiB" if self._most >= MEBIBYTE else "64 KiB"
            raise OutcomeUnknown(
                f"{self.place}: sent more than {limit} in one answer, so it was not read further; "
                "find out which server answers there"
            )


async def _through(
    via: asyncssh.SSHClientConnection, database: Database
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, asyncssh.SSHTCPChannel[bytes]]:
    """Connect from the last jump host, to a pair of sockets: TLS needs a real one."""
    near, far = socket.socketpair()
    try:
        loop = asyncio.get_running_loop()
        _, forwarder = await loop.create_connection(SSHForwarder, sock=far)
        reader, writer = await asyncio.open_connection(sock=near)
    except BaseException:
        near.close()
        far.close()
        raise
    try:
        destination = f"{database.address}:{database.port}"
        with beyond_jump_host(database.via[-1], destination):
            channel, _ = await via.create_connection(
                lambda: cast(Any, SSHForwarder(forwarder)), database.address, database.port
            )
    except BaseException:
        writer.transport.abort()
        forwarder.close()
        raise
    return reader, writer, channel


def _require_encrypting(database: Database, answer: bytes) -> None:
    if answer != b"S":
        raise AccessRefused(
            f"{database.name}: does not encrypt its connections, and the estate gives a ca for it; "
            "turn ssl on at the server"
        )


def _listen() -> tuple[Path, socket.socket]:
    directory = Path(tempfile.mkdtemp(prefix="switchover-"))
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.setblocking(False)  # noqa: FBT003 - the library's signature
        listening.bind(str(directory / f".s.PGSQL.{PORT}"))
        listening.listen(1)
    except BaseException:
        listening.close()
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return directory, listening
