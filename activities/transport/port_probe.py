"""Try a port through an SSH connection, and leave nothing open."""

import asyncio
from contextlib import suppress

import asyncssh

from activities.time_limits import Stopwatch
from activities.transport.ssh_errors import FAILURES

Opened = tuple[asyncssh.SSHReader[bytes], asyncssh.SSHWriter[bytes]]


async def try_port(
    connection: asyncssh.SSHClientConnection, address: str, port: int, seconds: float
) -> None:
    """Connect from where the SSH connection ends; what opens later is closed when it does.

    Raises:
        asyncssh.Error: it does not connect.
        TimeoutError: it has not within so many seconds.
    """
    # Not cancelled: nobody would be told of the channel that the server then opens.
    opening = asyncio.ensure_future(connection.open_connection(address, port))
    try:
        await Stopwatch().time(asyncio.shield(opening), seconds)
    finally:
        opening.add_done_callback(_close)


def _close(opening: asyncio.Future[Opened]) -> None:
    with suppress(asyncio.CancelledError, *FAILURES):  # there is nothing to close
        _, writer = opening.result()
        writer.close()
