"""Servers that send what they like, over TCP, TLS and SSH; and how a case finds them."""

import asyncio
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import asyncssh

from activities.time_limits import LIMITS, TimeLimits
from activities.transport.secrets import Secrets
from tests.support.admin_api import Certificate
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY, HOST_KEY_LINE

QUICK = TimeLimits(reach=0.5, answer=1)
"""What the estates of all cases allow."""
CLOSED_WITHIN = 10.0
"""Seconds after a case within which its connections must have ended."""

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Handle = Callable[[asyncssh.SSHServerProcess[bytes]], Awaitable[None]]


@dataclass(frozen=True)
class Peer:
    """Where a peer is, and how it is known."""

    port: int
    fingerprint: str = ""
    host_key: str = ""
    client_key: str = ""
    jump: int = 0
    """The port of the jump host before it; 0 where there is none."""

    @classmethod
    def read(cls, text: str) -> "Peer":
        """Read what :meth:`text` gives, and let this estate's limits hold."""
        LIMITS.set(QUICK)
        return cls(**json.loads(text))

    @property
    def text(self) -> str:
        """As one argument of a program."""
        return json.dumps(self.__dict__)

    @property
    def secrets(self) -> Secrets:
        """Every secret that a case needs."""
        return Secrets(
            {"KEY": self.client_key, "ADMIN": "a", "PROBE": "p", "SECRET": "s", "HOOK": self.url}
        )

    @property
    def url(self) -> str:
        """Of a webhook there."""
        return f"http://127.0.0.1:{self.port}/"


@cache
def certificate() -> Certificate:
    """Make the certificate of every HTTPS peer of this process."""
    with tempfile.TemporaryDirectory() as place:
        made = Certificate.make(Path(place) / "peer.pem")
        _tls().load_cert_chain(made.file)
        return made


@cache
def _tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


@asynccontextmanager
async def tcp(speak: Speak, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve every connection, until the worker has closed it.

    Raises:
        TimeoutError: the worker has left one open.
    """
    speaking: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        speaking.add(task)
        with suppress(OSError, asyncio.IncompleteReadError):
            if tls is not None:
                await writer.start_tls(tls)
            await speak(reader, writer)
        writer.transport.abort()
        speaking.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        async with asyncio.timeout(CLOSED_WITHIN):
            await asyncio.gather(*speaking)


@asynccontextmanager
async def plain(speak: Speak) -> AsyncIterator[str]:
    """Serve TCP."""
    async with tcp(speak) as port:
        yield known(port).text


@asynccontextmanager
async def over_tls(speak: Speak) -> AsyncIterator[str]:
    """Serve TLS."""
    fingerprint = certificate().fingerprint
    async with tcp(speak, _tls()) as port:
        yield Peer(port, fingerprint).text


@asynccontextmanager
async def over_ssh(handle: Handle | None, **options: object) -> AsyncIterator[str]:
    """Serve SSH, and handle every command; without a handler, as a ``server_factory`` says."""
    sessions: set[asyncio.Task[None]] = set()

    async def handled(process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one
        sessions.add(task)
        with suppress(OSError, asyncssh.Error, asyncio.CancelledError):
            if handle is not None:
                await handle(process)
        sessions.discard(task)

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[HOST_KEY],
        authorized_client_keys=asyncssh.import_authorized_keys(
            CLIENT_KEY.export_public_key("openssh").decode()
        ),
        # The library asks a server for its sessions only where there is no factory of processes.
        process_factory=handled if handle is not None else None,
        encoding=None,
        config=None,
        **options,
    )
    try:
        yield known(acceptor.get_port()).text
    finally:
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions)
        acceptor.close()


def known(port: int) -> Peer:
    """Return a peer with the keys of this process."""
    return Peer(
        port, host_key=HOST_KEY_LINE, client_key=CLIENT_KEY.export_private_key("openssh").decode()
    )


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Take everything, and say nothing."""
    while await reader.read(1 << 16):
        pass


def endless(part: bytes, pause: float = 0) -> Speak:
    """Say the same for ever, with a pause between."""
    return after(b"", part, pause)


def after(head: bytes, part: bytes, pause: float = 0) -> Speak:
    """Wait for the first bytes, say *head*, and then the same for ever."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head:
            await reader.read(1)
        writer.write(head)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return speak
