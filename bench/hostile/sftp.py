"""Hostile SFTP servers, to which a client logs in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import asyncssh

from activities.load_balancer.client_login import ClientLogins, LoginTarget
from bench.hostile import Case
from bench.hostile.wires import Peer, over_ssh
from workflows.model.estate import Probe, Protocol


class Endless(asyncssh.SFTPServer):
    """Lists entries without an end."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:  # noqa: ARG002 - any
        """Yield long names for ever."""
        while True:
            yield asyncssh.SFTPName(b"\x1b[2J" + b"x" * 4000, b"y" * 4000, asyncssh.SFTPAttrs())


class Stuck(asyncssh.SFTPServer):
    """Lists nothing, and never ends."""

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:  # noqa: ARG002 - any
        """Wait for ever."""
        await asyncio.Event().wait()
        yield asyncssh.SFTPName(b"never")


def _serving(**options: object) -> Callable[[], AbstractAsyncContextManager[str]]:
    return lambda: over_ssh(_nothing, **options)


class Subsystem(asyncssh.SSHServerSession[bytes]):
    """Begins SFTP, and says the same for ever instead; nothing where that is empty."""

    def __init__(self, part: bytes) -> None:
        self._part = part
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._paused = False

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Note the channel."""
        self._channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Begin it."""
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Say it."""
        self._say()

    def pause_writing(self) -> None:
        """Wait: the client reads no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        self._say()

    def _say(self) -> None:
        while self._part and not self._paused and self._channel and not self._channel.is_closing():
            self._channel.write(self._part)


def _subsystem(part: bytes) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Serve no SFTP, but something else under its name."""

    class Server(asyncssh.SSHServer):
        def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
            return Subsystem(part)

    return lambda: over_ssh(None, server_factory=Server)


async def _nothing(process: asyncssh.SSHServerProcess[bytes]) -> None:
    await process.stdin.read()


async def _login(text: str) -> str:
    peer = Peer.read(text)
    probe = Probe(
        protocol=Protocol.SSH,
        address="127.0.0.1",
        port=peer.port,
        user="probe",
        key="env:KEY",
        host_key=peer.host_key,
    )
    await ClientLogins(peer.secrets).list_root(LoginTarget(probe, "the login"))
    return "logged in"


CASES = (
    Case(
        "SFTP login: lists entries without an end",
        _serving(sftp_factory=Endless),
        _login,
        "logged in",
    ),
    Case(
        "SFTP login: never lists",
        _serving(sftp_factory=Stuck),
        _login,
        "Unreachable: the login: .* its listing did not come within 1 s",
    ),
    Case(
        "SFTP login: says nothing",
        _subsystem(b""),
        _login,
        "Unreachable: the login: no login .TimeoutError",
    ),
    Case(
        "SFTP login: prints without an end",
        _subsystem(b"\0\0\x10\0" * 16384),
        _login,
        "Unreachable: the login: no login .(?!Session request)",
    ),
)
