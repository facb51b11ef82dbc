"""Real servers, in this process and on loopback, for the hands to reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest

from activities.secrets import Secrets
from activities.shell import Shell
from workflows.estate import AdminAccess, Kind, Node, Protocol, SshAccess

CLIENT_KEY = asyncssh.generate_private_key("ssh-ed25519")
HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")


@dataclass
class SshServer:
    """A machine's SSH server: it runs what it is asked in a real shell."""

    port: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    sh: str = "/bin/sh"

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command and pass on what it prints."""
        self.commands.append(process.command or "")
        child = await asyncio.create_subprocess_exec(
            self.sh,
            "-c",
            process.command or "",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await child.communicate()
        process.stdout.write(out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)

    def cut(self) -> None:
        """Lose every connection without a word."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()


@pytest.fixture
async def ssh_server() -> AsyncIterator[SshServer]:
    """Serve SSH on loopback for whoever has the client key."""
    state = SshServer()

    class Accepting(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            state.connections.append(conn)

        def connection_requested(
            self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
        ) -> bool:
            return True

    authorized = asyncssh.import_authorized_keys(
        CLIENT_KEY.export_public_key("openssh").decode()
    )
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Accepting,
        server_host_keys=[HOST_KEY],
        authorized_client_keys=authorized,
        process_factory=state.handle,
        encoding=None,
        config=None,
    )
    state.port = server.get_port()
    yield state
    state.cut()
    server.close()
    await server.wait_closed()


SECRETS = Secrets(
    {
        "KEY": CLIENT_KEY.export_private_key("openssh").decode(),
        "ADMIN": "admin-secret",
        "PROBE": "probe-secret",
        "DATABASE": "database-secret",
    }
)


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    """A shell that is closed afterwards."""
    shell = Shell(SECRETS)
    yield shell
    await shell.close()


def ssh_access(port: int) -> SshAccess:
    """Access to the server above."""
    return SshAccess(user="st", key="env:KEY", port=port)


NodeMaker = Callable[..., Node]


@pytest.fixture
def make_node(ssh_server: SshServer, tmp_path: Path) -> NodeMaker:
    """Make nodes that live in a directory of their own behind the SSH server."""

    def make(name: str = "server1", **given: object) -> Node:
        home = tmp_path / name
        (home / "bin").mkdir(parents=True, exist_ok=True)
        (home / "var/run/admin").mkdir(parents=True, exist_ok=True)
        facts: dict[str, object] = {
            "name": name,
            "address": "127.0.0.1",
            "kind": Kind.SERVER,
            "ssh": ssh_access(ssh_server.port),
            "host_key": HOST_KEY.export_public_key("openssh").decode().strip(),
            "ledger": str(tmp_path / f"{name}-ledger"),
            "filedrivehome": str(home),
            "admin": AdminAccess(
                user="admin", password="env:ADMIN", port=1, via="direct", fingerprint="0" * 64
            ),
            "protocols": {Protocol.SSH: (8022,)},
            **given,
        }
        return Node.model_validate(facts)

    return make


@pytest.fixture
def node(make_node: NodeMaker) -> Node:
    """One Server."""
    return make_node()
