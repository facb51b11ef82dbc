"""Hostile SFTP servers, to which a client logs in."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import asyncssh

from activities.load_balancer.client_login import ClientLogins, LoginTarget
from bench.hostile import Case
from bench.hostile.ssh import printing
from bench.hostile.wires import Handle, Peer, over_ssh
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


def _subsystem(handle: Handle) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Serve no SFTP, but whatever else, under its name."""
    return lambda: over_ssh(handle)


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
    Case("SFTP login: says nothing", _subsystem(_nothing), _login, "Unreachable: the login: "),
    Case(
        "SFTP login: prints without an end",
        _subsystem(printing(b"\0" * 65536)),
        _login,
        "(CommandFailed|Unreachable): the login",
    ),
)
