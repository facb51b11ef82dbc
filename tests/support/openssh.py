"""A real OpenSSH server on loopback, with a configuration of one's choice."""

import asyncio
import getpass
import os
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from tests.support.polling import eventually
from tests.support.ssh_machines import CLIENT_KEY

CONFIG = """\
Port {port}
HostKey {root}/host_key
PidFile none
AuthorizedKeysFile {root}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PermitRootLogin yes
# Else bash reads the account's .bashrc before every command: here it is not part of the test.
SetEnv SHLVL=1 {environment}
{more}
"""


@dataclass(frozen=True)
class OpenSsh:
    """Where it listens, and the key that it shows."""

    port: int
    host_key: str

    def user(self, key: str = "env:KEY") -> dict[str, object]:
        """The account of an estate that may log in, with the reference of its key."""
        return {"user": getpass.getuser(), "key": key, "port": self.port}

    def access(self) -> dict[str, object]:
        """The keys of a machine in an estate that reach it."""
        return {"address": "127.0.0.1", "ssh": self.user(), "host_key": self.host_key}


def needs_openssh() -> str:
    """Return the server's program; skip the test where there is none, or it may not be started."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None or os.geteuid() != 0:
        pytest.skip("OpenSSH's server is not installed, or may only be started by root")
    return program


@asynccontextmanager
async def openssh(  # noqa: PLR0913 - each is a line of its configuration, or of its start
    root: Path,
    *more: str,
    addresses: Sequence[str] = ("127.0.0.1",),
    client_key: asyncssh.SSHKey = CLIENT_KEY,
    host_key: str = "ssh-ed25519",
    host_authority: asyncssh.SSHKey | None = None,
    within: Sequence[str] = (),
    environment: str = "",
) -> AsyncIterator[OpenSsh]:
    """Run a server with these further lines of configuration, on all of these addresses.

    With *host_authority* it has a host certificate for them, too. *within* is a program that runs
    it, such as in a namespace; *environment* is what commands have besides.
    """
    program = needs_openssh()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # noqa: ASYNC240 - where it separates privileges
    key = asyncssh.generate_private_key(host_key)
    key.write_private_key(root / "host_key")
    (root / "host_key").chmod(0o600)
    if host_authority is not None:
        signed = host_authority.generate_host_certificate(key, "host", principals=list(addresses))
        signed.write_certificate(root / "host_key-cert.pub")
        more = (*more, f"HostCertificate {root}/host_key-cert.pub")
    client_key.write_public_key(root / "authorized_keys")
    port = _free_port(addresses)
    more = (*more, *(f"ListenAddress {address}" for address in addresses))
    config = root / "sshd_config"
    text = CONFIG.format(port=port, root=root, more="\n".join(more), environment=environment)
    config.write_text(text, encoding="ascii")
    with (root / "sshd.log").open("wb") as log:
        server = await asyncio.create_subprocess_exec(
            *(*within, program, "-D", "-e", "-f", str(config)),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        await eventually(lambda: all(_answers(address, port) for address in addresses))
        yield OpenSsh(port, key.export_public_key("openssh").decode().strip())
    finally:
        server.terminate()
        await server.wait()


def _free_port(addresses: Sequence[str]) -> int:
    with closing(socket.socket()) as one:
        one.bind((addresses[0], 0))
        return int(one.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    with closing(socket.socket()) as one:
        one.settimeout(10)
        if one.connect_ex((address, port)):
            return False
        # Until the server has closed it, too: it would count among its MaxStartups.
        one.shutdown(socket.SHUT_WR)
        while one.recv(1024):
            pass
        return True
