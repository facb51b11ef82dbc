"""A request to an admin API leaves nothing behind, however it ends."""

import asyncio
from pathlib import Path

import pytest

from activities.securetransport.admin_client import AdminClient
from activities.time_limits import LIMITS, TimeLimits
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from tests.support.ssh_machines import SshServer, admin_access, make_node
from workflows.errors import Unreachable


async def test_a_request_that_is_given_up_during_the_handshake_closes_its_connection(
    tmp_path: Path,
) -> None:
    """Each attempt would keep one for as long as the silent server does."""
    connections: list[asyncio.Future[None]] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.get_running_loop().create_future()
        connections.append(ended)
        while await reader.read(1 << 16):  # the client's part of the handshake
            pass
        ended.set_result(None)
        writer.close()

    LIMITS.set(TimeLimits(reach=0.2, answer=0.3))
    secrets = Secrets({"KEY": "", "ADMIN": "a"})
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        access = admin_access(server.sockets[0].getsockname()[1], fingerprint="0" * 64)
        node = make_node(SshServer(port=1), tmp_path, admin=access)
        with pytest.raises(Unreachable, match="nothing whole within"):
            await AdminClient(Shell(secrets), secrets).sessions(node)
        assert connections
        async with asyncio.timeout(5):
            await asyncio.gather(*connections)
