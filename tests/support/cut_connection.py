"""A line to an SSH server that breaks after a number of bytes, which ends the session."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import asyncssh

from tests.support.ssh_machines import SshServer

Way = Literal["request", "reply"]
CHUNK = 65536


class HarshServer(SshServer):
    """Runs each command in a real shell, and kills that when the connection is gone."""

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command and pass on what it prints."""
        child = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", process.command or ""),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        killing = asyncio.create_task(_kill_with(process.get_extra_info("connection"), child))
        out, err = await child.communicate()
        killing.cancel()
        with suppress(OSError):
            process.stdout.write(out)
            process.stderr.write(err)
            process.exit(child.returncode or 0)


async def _kill_with(
    connection: asyncssh.SSHServerConnection, child: asyncio.subprocess.Process
) -> None:
    await connection.wait_closed()
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@dataclass
class Line:
    """Passes bytes on to a port; after *after* bytes of one way, both ends are gone."""

    port: int
    way: Way = "request"
    after: int | None = None
    passed: dict[Way, int] = field(default_factory=lambda: {"request": 0, "reply": 0})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Listen on the port that is returned."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        await asyncio.gather(
            self._pass("request", reader, back), self._pass("reply", there, writer)
        )

    async def _pass(
        self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass on until the end; closing one end ends the other way, too."""
        with suppress(OSError):
            while data := await reader.read(self._room(way)):
                self.passed[way] += len(data)
                writer.write(data)
                await writer.drain()
        writer.close()

    def _room(self, way: Way) -> int:
        if way != self.way or self.after is None:
            return CHUNK
        return min(CHUNK, self.after - self.passed[way])
