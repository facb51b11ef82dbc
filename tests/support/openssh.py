"""A real OpenSSH server on loopback, with a configuration of one's choice."""

import asyncio
import getpass
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from tests.support.polling import eventually
from tests.support.ssh_machines import CLIENT_KEY

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
PidFile none
AuthorizedKeysFile {root}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PermitRootLogin yes
{more}
"""


@dataclass(frozen=True)
class OpenSsh:
    """Where it listens, and the key that it shows."""

    port: int
    host_key: str

    def access(self) -> dict[str, object]:
        """The keys of a machine in an estate that reach it."""
        user = {"user": getpass.getuser(), "key": "env:KEY", "port": self.port}
        return {"address": "127.0.0.1", "ssh": user, "host_key": self.host_key}


def needs_openssh() -> str:
    """Return the server's program; skip the test where there is none, or it may not be started."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("OpenSSH's server is not installed, or may only be started by root")
    return program


@asynccontextmanager
async def openssh(root: Path, *more: str) -> AsyncIterator[OpenSsh]:
    """Run a server with these further lines of configuration."""
    program = needs_openssh()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # noqa: ASYNC240 - where it separates privileges
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(root / "host_key")
    (root / "host_key").chmod(0o600)
    CLIENT_KEY.write_public_key(root / "authorized_keys")
    port = _free_port()
    config = root / "sshd_config"
    config.write_text(CONFIG.format(port=port, root=root, more="\n".join(more)), encoding="ascii")
    with (root / "sshd.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            *(program, "-D", "-e", "-f", str(config)), stdin=asyncio.subprocess.DEVNULL, stderr=log
        )
    try:
        await eventually(lambda: _answers(port))
        yield OpenSsh(port, key.export_public_key("openssh").decode().strip())
    finally:
        server.terminate()
        await server.wait()


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
