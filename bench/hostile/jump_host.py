"""Hostile machines behind a jump host, and hostile jump hosts."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncssh
from typing_extensions import override

from bench.hostile import Case
from bench.hostile.ssh import (
    BLOCK,
    HEAD,
    TOO_MUCH,
    answering,
    flood,
    in_sockets,
    over,
    printing,
    run_true,
)
from bench.hostile.wires import endless, over_ssh, plain, silent

Serving = Callable[[], AbstractAsyncContextManager[str]]
Session = asyncssh.SSHTCPSession[bytes]


class _Leading(asyncssh.SSHServer):
    """A jump host that does what it should."""

    @override
    def connection_requested(self, *_: object) -> bool:
        return True


class _Waiting(asyncssh.SSHServer):
    """One that never says whether it leads on."""

    @override
    async def connection_requested(self, *_: object) -> Session:
        await asyncio.Event().wait()
        raise AssertionError


class _Greeting(Session):
    """What it says in the place of the machine, without an end."""

    def __init__(self) -> None:
        self._channel: asyncssh.SSHTCPChannel[bytes] | None = None

    @override
    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        self._channel = chan
        self._more()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None

    def _more(self) -> None:
        if self._channel is not None:
            self._channel.write(b"welcome\r\n" * 100)
            asyncio.get_running_loop().call_later(0.001, self._more)


class _Answering(asyncssh.SSHServer):
    """One that answers itself, and leads nowhere."""

    @override
    def connection_requested(self, *_: object) -> Session:
        return _Greeting()


class _Flooding(asyncssh.SSHServer):
    """One that sends messages that say nothing, from when it is asked to lead on."""

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    @override
    async def connection_requested(self, *_: object) -> Session:
        await flood(self._connection)
        raise asyncssh.ChannelOpenError(1, "it has gone")


def _known(text: str, **more: int) -> str:
    return json.dumps({**json.loads(text), **more})


def _behind(machine: Serving) -> Serving:
    """Serve a machine behind a jump host that does what it should."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with machine() as text, over_ssh(None, server_factory=_Leading) as way:
            yield _known(text, jump=json.loads(way)["port"])

    return serving


def _jump_host(way: Serving) -> Serving:
    """Serve a jump host; the machine behind it is never reached."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[str]:
        async with way() as text:
            yield _known(text, jump=json.loads(text)["port"], port=1)

    return serving


def _case(
    does: str, peer: Serving, says: str, run: Callable[[str], Awaitable[object]] = run_true
) -> Case:
    return Case(f"jump host: {does}", peer, run, says)


def _over(server: type[asyncssh.SSHServer]) -> Serving:
    return _jump_host(lambda: over_ssh(None, server_factory=server))


ITSELF = r"Unreachable: server1: the jump host 127\.0\.0\.1:\d+"

CASES = (
    _case(
        "leads to a machine that prints without an end", _behind(over(printing(BLOCK))), TOO_MUCH
    ),
    _case(
        "leads to a machine that floods with messages that say nothing",
        _behind(over(lambda process: flood(process.get_extra_info("connection")))),
        "OutcomeUnknown: server1: (the connection was lost before true|true did not end)",
    ),
    _case(
        "leads to a machine that lists 15 MiB of empty lines as sockets",
        _behind(over(answering(lambda _: HEAD + b"\n" * (15 << 20) + b"end\n"))),
        "OutcomeUnknown: server1: a script printed more than 150000 lines",
        in_sockets,
    ),
    _case(
        "leads to a machine that greets without an end",
        _behind(lambda: plain(endless(b"welcome\r\n" * 100))),
        "Unreachable: server1: .* does not answer",
    ),
    _case("says nothing", _jump_host(lambda: plain(silent)), f"{ITSELF} did not let jump in"),
    _case(
        "greets without an end",
        _jump_host(lambda: plain(endless(b"welcome\r\n" * 100))),
        f"{ITSELF} does not answer",
    ),
    _case("never says whether it leads on", _over(_Waiting), "Unreachable: server1: .* not answer"),
    _case(
        "greets in the place of the machine, without an end",
        _over(_Answering),
        "Unreachable: server1: .* not answer",
    ),
    _case("floods with messages that say nothing", _over(_Flooding), "Unreachable: server1: "),
)
