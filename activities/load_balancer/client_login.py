"""How does a client log in, through the load balancer or straight to a node?"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import httpx

from activities.securetransport.admin_client import bracketed, translated
from activities.transport.secrets import Secrets
from activities.transport.ssh import CONNECT_TIMEOUT
from activities.transport.tls import trust
from workflows.errors import AccessRefused, CommandFailed, Unreachable
from workflows.model.estate import Probe, Protocol


@dataclass(frozen=True)
class Door:
    """Where a client knocks, and as whom; what answers there is verified as the probe says."""

    probe: Probe
    place: str
    """As an operator reads it."""
    way: Path | None = None
    """A socket that leads there; without it, the probe's own address."""

    @classmethod
    def of(cls, probe: Probe) -> Door:
        """Return the door that every client takes: through the load balancer."""
        return cls(probe, f"{probe.protocol} probe at {probe.address}:{probe.port}")


class Logins:
    """Logs in as a partner does, with a password."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    @asynccontextmanager
    async def held(self, door: Door) -> AsyncIterator[None]:
        """Stay logged in as long as the block runs.

        Raises:
            Unreachable: nobody answers there.
            AccessRefused: the login, or what answers it, is not accepted.
        """
        login = self._sftp if door.probe.protocol is Protocol.SSH else self._https
        async with login(door):
            yield

    async def list_root(self, door: Door) -> None:
        """Log in, list the root directory, and leave; CommandFailed where only the list failed."""
        if door.probe.protocol is not Protocol.SSH:
            async with self._https(door):
                return  # its login is a request for the listing
        async with self._sftp(door) as files:
            with _ssh_translated(door.place):
                try:
                    await files.listdir(".")
                except asyncssh.SFTPError as refusal:
                    raise CommandFailed(
                        f"{door.place}: the login was accepted, its listing failed ({refusal})"
                    ) from refusal

    @asynccontextmanager
    async def _sftp(self, door: Door) -> AsyncIterator[asyncssh.SFTPClient]:
        probe, password = door.probe, self._secrets.read(door.probe.password)
        with _ssh_translated(door.place):
            host_key = asyncssh.import_public_key(probe.host_key or "")
            connection = await asyncssh.connect(
                probe.address,
                probe.port,
                sock=await _socket(door.way) if door.way else None,
                username=probe.user,
                password=password,
                client_keys=None,
                agent_path=None,
                preferred_auth="password,keyboard-interactive",
                known_hosts=([host_key], [], []),
                config=None,
                connect_timeout=CONNECT_TIMEOUT,
                login_timeout=CONNECT_TIMEOUT,
            )
        async with connection:
            with _ssh_translated(door.place):
                files = await connection.start_sftp_client()
            yield files

    @asynccontextmanager
    async def _https(self, door: Door) -> AsyncIterator[None]:
        probe = door.probe
        trusted = trust(door.place, probe.ca, probe.fingerprint)
        way = str(door.way) if door.way else None
        async with httpx.AsyncClient(
            auth=(probe.user, self._secrets.read(probe.password)),
            transport=httpx.AsyncHTTPTransport(verify=trusted.context, uds=way, trust_env=False),
            timeout=CONNECT_TIMEOUT,
            trust_env=False,
        ) as client:
            url = f"https://{bracketed(probe.address)}:{probe.port}/"
            with translated(door.place, Unreachable):
                response = await client.get(url, extensions=dict(trusted.extensions))
            _require_login(door.place, response)
            yield  # the client keeps the connection, and with it the session


async def _socket(way: Path) -> socket.socket:
    ours = socket.socket(socket.AF_UNIX)
    ours.setblocking(False)  # noqa: FBT003 - the library's own way of saying so
    try:
        await asyncio.get_running_loop().sock_connect(ours, str(way))
    except BaseException:
        ours.close()
        raise
    return ours


def _require_login(place: str, response: httpx.Response) -> None:
    """Any answer to a login that was accepted will do: what stands at the root is the site's."""
    if response.status_code in (401, 403):
        raise AccessRefused(f"{place}: the login was refused; look at its account and password")
    if response.status_code >= 500:  # noqa: PLR2004 - the server's own fault
        raise Unreachable(f"{place}: answered {response.status_code}")


@contextmanager
def _ssh_translated(place: str) -> Iterator[None]:
    try:
        yield
    except (asyncssh.PermissionDenied, asyncssh.HostKeyNotVerifiable) as refusal:
        raise AccessRefused(
            f"{place}: the login was not accepted, or its host key is another ({refusal}); "
            "look at account, password and host_key"
        ) from refusal
    except asyncssh.KeyImportError as mistake:
        raise AccessRefused(f"{place}: host_key is no public key; correct it") from mistake
    except (asyncssh.Error, OSError) as fault:
        raise Unreachable(f"{place}: no login ({str(fault) or type(fault).__name__})") from fault
