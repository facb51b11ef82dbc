"""Hostile SSH servers."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from unittest import mock

import asyncssh
from asyncssh import kex_dh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import MPInt, String

from activities.nodes.linux import Linux
from activities.transport.ssh import Command, Shell
from bench.hostile import Case
from bench.hostile.wires import Handle, Peer, endless, over_ssh, plain, silent
from tests.support.ssh_machines import SshServer, make_node, unframed
from workflows.model.estate import Node

BLOCK = b"x" * 65536
SHOWN = r"[^\x00-\x1f\x7f-\x9f]*$"
"""A sentence without anything that a terminal would obey."""


def printing(part: bytes, pause: float = 0, *, error: bool = False) -> Handle:
    """Print the same for ever."""

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        to = process.stderr if error else process.stdout
        while True:
            to.write(part)
            await to.drain()
            await asyncio.sleep(pause)

    return handle


def answering(make: Callable[[str], bytes], status: str = "0") -> Handle:
    """Print what the function makes of the command, between the right marks."""

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        line = process.command or ""
        [word, *_] = re.findall("answer-[0-9a-f]{16}", line)
        made = make(unframed(line))
        process.stdout.write(f"<{word}\n".encode() + made + f"{word} {status}>".encode())
        process.stderr.write(f"<{word}\n{word}>".encode())
        await process.stdout.drain()
        process.exit(0)

    return handle


async def _echo(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write((process.command or "").encode())
    await process.stdout.drain()
    process.exit(0)


async def flood(connection: asyncssh.SSHServerConnection) -> None:
    """Send messages that say nothing, until the connection ends."""
    transport = connection._transport  # noqa: SLF001 - asyncssh has no hostile server
    assert transport is not None  # noqa: S101 - it is connected
    while not transport.is_closing():
        if transport.get_write_buffer_size() < 1 << 20:
            for _ in range(500):
                if not transport.is_closing():
                    connection.send_packet(MSG_IGNORE, String(b""))
        await asyncio.sleep(0.001)


async def _forgetful(process: asyncssh.SSHServerProcess[bytes]) -> None:
    process.stdout.write(b"all that there is")
    process.channel._send_request(b"exit-status", b"\0\0\0\0")  # noqa: SLF001 - without a close
    await asyncio.Event().wait()


@asynccontextmanager
async def _mute() -> AsyncIterator[str]:
    """Serve SSH, and never confirm a channel."""

    async def never() -> asyncssh.SSHServerSession[bytes]:
        await asyncio.Event().wait()
        raise AssertionError

    class Server(asyncssh.SSHServer):
        def session_requested(self) -> Awaitable[asyncssh.SSHServerSession[bytes]]:
            return never()

    async with over_ssh(None, server_factory=Server) as peer:
        yield peer


@asynccontextmanager
async def _giant_group() -> AsyncIterator[str]:
    """Choose a number of 250,000 bits for the key exchange."""

    def choose(self: kex_dh._KexDHGex, *_: object) -> bool:
        modulus = MPInt((1 << 250_000) - 1) + MPInt(2)
        self.send_packet(kex_dh.MSG_KEX_DH_GEX_GROUP, modulus)
        return True

    kex = "diffie-hellman-group-exchange-sha256"
    handlers = dict(kex_dh._KexDHGex._packet_handlers)  # noqa: SLF001 - asyncssh has no hostile server
    handlers[kex_dh.MSG_KEX_DH_GEX_REQUEST] = choose
    with mock.patch.object(kex_dh._KexDHGex, "_packet_handlers", handlers):  # noqa: SLF001
        async with over_ssh(_forgetful, kex_algs=[kex]) as peer:
            yield peer


def node(peer: Peer, place: Path) -> Node:
    """Return the node that the peer pretends to be."""
    known = {"host_key": peer.host_key}
    if not peer.jump:
        return make_node(SshServer(port=peer.port), place, **known)
    login = {"key": "env:KEY", "port": peer.port}
    jump = {**login, **known, "address": "127.0.0.1", "port": peer.jump, "user": "jump"}
    return make_node(
        SshServer(port=peer.port), place, **known, ssh={**login, "user": "st", "jump": jump}
    )


async def _in_shell(text: str, times: int, run: Callable[[Shell, Node], Awaitable[object]]) -> str:
    peer = Peer.read(text)
    shell = Shell(peer.secrets)
    with tempfile.TemporaryDirectory() as place:
        machine = node(peer, Path(place))
        try:
            results = await asyncio.gather(
                *(run(shell, machine) for _ in range(times)), return_exceptions=True
            )
        finally:
            await shell.close()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return str(results[0])[:200]


async def run_true(text: str) -> str:
    """Run one command."""
    return await _in_shell(text, 1, lambda shell, one: shell.run(one, Command(("true",))))


async def _commands(text: str) -> str:
    return await _in_shell(text, 7, lambda shell, one: shell.run(one, Command(("true",))))


async def in_sockets(text: str) -> str:
    """List sockets."""
    return await _in_shell(text, 1, lambda shell, one: Linux(shell).sockets(one))


def over(handle: Handle) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Serve SSH with this handler of commands."""
    return lambda: over_ssh(handle)


ROW = b"   0: 0100007F:1F90 0200007F:C000 01 00000000:00000000 00:00000000 00000000  0 0 1 1 0\n"
HEAD = b"  sl  local_address rem_address   st\n"
TOO_MUCH = r"OutcomeUnknown: server1: true printed more than 1048576 bytes, and the rest was not"

CASES = (
    Case("SSH: prints without an end", over(printing(BLOCK)), run_true, TOO_MUCH),
    Case(
        "SSH: prints errors without an end", over(printing(BLOCK, error=True)), run_true, TOO_MUCH
    ),
    Case(
        "SSH: prints without an end to seven commands", over(printing(BLOCK)), _commands, TOO_MUCH
    ),
    Case(
        "SSH: prints a byte now and then, for ever",
        over(printing(b".", 0.05)),
        run_true,
        "OutcomeUnknown: server1: true did not end within 1 s",
    ),
    Case(
        "SSH: ends a command, and never its channel",
        over(_forgetful),
        run_true,
        "OutcomeUnknown: server1: true did not end within 1 s",
    ),
    Case("SSH: opens no channel", _mute, run_true, "OutcomeUnknown: server1: true did not end"),
    Case(
        "SSH: floods with messages that say nothing",
        over(lambda process: flood(process.get_extra_info("connection"))),
        run_true,
        "OutcomeUnknown: server1: (true did not end within|the connection was lost before true)",
    ),
    Case(
        "SSH: prints escape sequences",
        over(answering(lambda _: b"\x1b]0;owned\x07\x1b[2J\x9b31m\r\n" * 9, status="x")),
        run_true,
        f"^OutcomeUnknown: server1: true gave no whole answer{SHOWN}",
    ),
    Case(
        "SSH: echoes the command, and ends as if it had run",
        over(_echo),
        run_true,
        f"^OutcomeUnknown: server1: true gave no whole answer{SHOWN}",
    ),
    Case(
        "SSH: ends with a status of 5000 digits",
        over(answering(lambda _: b"", status="9" * 5000)),
        run_true,
        "OutcomeUnknown: server1: true gave no whole answer",
    ),
    Case(
        "SSH: lists 15 MiB of empty lines as sockets",
        over(answering(lambda _: HEAD + b"\n" * (15 << 20) + b"end\n")),
        in_sockets,
        "OutcomeUnknown: server1: a script printed more than 150000 lines",
    ),
    Case(
        "SSH: lists 100,000 sockets (honest)",
        over(answering(lambda _: HEAD + ROW * 100_000 + b"end\n")),
        in_sockets,
        "Socket",
    ),
    Case(
        "SSH: says nothing", lambda: plain(silent), run_true, "Unreachable: server1: .* not answer"
    ),
    Case(
        "SSH: greets without an end",
        lambda: plain(endless(b"welcome\r\n" * 100)),
        run_true,
        "Unreachable: server1: .* does not answer",
    ),
    Case(
        "SSH: greets with a byte now and then",
        lambda: plain(endless(b"w", 0.05)),
        run_true,
        "Unreachable: server1: .* does not answer",
    ),
    Case(
        "SSH: chooses a number of 250,000 bits for the keys",
        _giant_group,
        run_true,
        "Unreachable: server1: .* does not answer .Invalid DH parameters",
    ),
)
