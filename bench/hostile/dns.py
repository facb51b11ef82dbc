"""Hostile name servers, which the worker's machine asks for the addresses of nodes."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import cast

from activities.time_limits import LIMITS
from activities.transport.secrets import Secrets
from activities.transport.ssh import Command, Shell
from activities.transport.tls import verifying
from bench.hostile import Case
from bench.hostile.wires import QUICK, known
from tests.support.mount_namespace import may_mount
from tests.support.ssh_machines import SshServer, make_node

ADDRESS, PORT = "127.0.53.53", 53
LOOKUPS = 120
"""Names that are asked for at once: more than a worker looks up at a time."""
TRUNCATED = 0x8280
"""The bits of an answer with which a server says: I would know, but ask me over TCP."""

_MOUNTED = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class _Silent(asyncio.DatagramProtocol):
    """Takes every question."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed.set()


class _Truncating(_Silent):
    """Answers every question with: ask me over TCP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        flags = int.from_bytes(data[2:4], "big") | TRUNCATED
        self._transport.sendto(data[:2] + flags.to_bytes(2, "big") + data[4:], addr)


@asynccontextmanager
async def _serving(
    questions: type[_Silent], parts: Callable[[], Iterator[bytes]]
) -> AsyncIterator[str]:
    """Serve names by UDP and TCP; gives a file that names this server to the C library."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(1)
            for part in parts():
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.transport.abort()

    loop = asyncio.get_running_loop()
    udp, datagram = await loop.create_datagram_endpoint(questions, local_addr=(ADDRESS, PORT))
    try:
        async with await asyncio.start_server(speak, ADDRESS, PORT, backlog=LOOKUPS):
            with tempfile.TemporaryDirectory() as place:
                file = Path(place) / "resolv.conf"
                file.write_text(f"nameserver {ADDRESS}\n", encoding="ascii")
                yield str(file)
    finally:
        udp.close()
        await datagram.closed.wait()


def _with_resolver(file: str) -> tuple[str, ...]:
    return ("unshare", "--mount", "sh", "-c", _MOUNTED, file)


async def _look_up(_: str) -> str:
    """Ask for many names at once; afterwards there is a thread for other work."""
    LIMITS.set(QUICK)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        shell = Shell(Secrets({"KEY": known(PORT).client_key}))
        node = make_node(SshServer(port=22), place)
        asked = (node.model_copy(update={"address": f"node{n}.test"}) for n in range(LOOKUPS))
        results = await asyncio.gather(
            *(shell.run(one, Command(("true",))) for one in asked), return_exceptions=True
        )
        await shell.close()
    await asyncio.wait_for(verifying("another place", None), QUICK.answer)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return "connected"


def _case(name: str, questions: type[_Silent], parts: Callable[[], Iterator[bytes]]) -> Case:
    return Case(
        f"DNS: {name}",
        partial(_serving, questions, parts),
        _look_up,
        "Unreachable: server1: node0.test:22 does not answer",
        before=_with_resolver,
    )


PEERS = (
    _case("says nothing", _Silent, lambda: iter(())),
    _case("sends a byte now and then", _Truncating, lambda: chain((b"\xff\xff",), repeat(b"x"))),
    _case("sends an answer that is none", _Truncating, lambda: iter((b"\xff\xff" + b"x" * 65535,))),
)

CASES = PEERS if may_mount() else ()
"""The C library reads which server it asks from one file, which is another one only by a mount."""
