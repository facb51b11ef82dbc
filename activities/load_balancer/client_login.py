"""Log in as a client does, through the load balancer or straight to a node."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import httpx

from activities.time_limits import LIMITS, Stopwatch
from activities.transport.http import PLAIN, bracketed, translated, transport
from activities.transport.keys import private_key
from activities.transport.secrets import Secrets
from activities.transport.ssh_errors import FAILURES, reason
from activities.transport.tls import trust
from activities.transport.wire import BOUNDED, Wire
from workflows.errors import AccessRefused, CommandFailed, Unreachable
from workflows.model.estate import Probe, Protocol

MAX_ENTRIES = 1000
"""Of a root directory: a listing that has come so far works."""


@dataclass(frozen=True)
class LoginTarget:
    """Where a client logs in, and as whom; the server is verified as the probe says."""

    probe: Probe
    place: str
    """As messages name it."""
    to: Path | tuple[str, int] | None = None
    """A Unix socket that is forwarded there, or an address and a port; without it, the probe's."""

    @property
    def endpoint(self) -> tuple[str, int]:
        """Return the address and port to connect to, unless it is a socket."""
        probe = self.probe
        return self.to if isinstance(self.to, tuple) else (probe.address, probe.port)

    @property
    def socket_path(self) -> Path | None:
        """Return the socket to connect to."""
        return self.to if isinstance(self.to, Path) else None


class ClientLogins:
    """Logs in as a partner does, with a key or a password."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def session(self, target: LoginTarget) -> AbstractAsyncContextManager[object]:
        """Stay logged in until the block ends.

        Raises:
            Unreachable: no server answers there.
            AccessRefused: the login, or the server's key or certificate, is not accepted.
        """
        over_ssh = target.probe.protocol is Protocol.SSH
        return self._sftp(target) if over_ssh else self._https(target)

    async def list_root(self, target: LoginTarget) -> None:
        """Log in, list the root directory, and leave; CommandFailed where only the list failed."""
        if target.probe.protocol is not Protocol.SSH:
            async with self._https(target):
                return  # its login is a request for the listing
        async with self._sftp(target) as (connection, files):
            limit = LIMITS.get().contact
            # A request that is cancelled waits for its answer; one without a connection does not.
            end = asyncio.get_running_loop().call_later(limit, connection.abort)
            with _ssh_translated(target.place):
                try:
                    await _list(files)
                except asyncssh.SFTPConnectionLost as silence:
                    raise Unreachable(
                        f"{target.place}: the login was accepted, and its listing did not come "
                        f"within {limit:g} s, or the connection was lost"
                    ) from silence
                except asyncssh.SFTPError as refusal:
                    raise CommandFailed(
                        f"{target.place}: the login was accepted, its listing failed "
                        f"({reason(refusal)})"
                    ) from refusal
                finally:
                    end.cancel()

    @asynccontextmanager
    async def _sftp(
        self, target: LoginTarget
    ) -> AsyncIterator[tuple[asyncssh.SSHClientConnection, asyncssh.SFTPClient]]:
        probe, keys = target.probe, await self._keys(target.probe)
        password = await self._secrets.password(probe.password) if probe.password else None
        with _ssh_translated(target.place):
            host_key = asyncssh.import_public_key(probe.host_key or "")
            connecting = asyncssh.connect(
                *target.endpoint,
                tunnel=Wire(target.socket_path),
                **BOUNDED,
                username=probe.user,
                password=password,
                client_keys=keys,
                agent_path=None,
                preferred_auth="publickey,password,keyboard-interactive",
                known_hosts=([host_key], [], []),
                config=None,
                login_timeout=0,
            )
            connection = await Stopwatch().time(connecting, LIMITS.get().contact)
        async with connection:
            with _ssh_translated(target.place):
                starting = connection.start_sftp_client()
                files = await Stopwatch().time(starting, LIMITS.get().contact)
            yield connection, files

    async def _keys(self, probe: Probe) -> list[asyncssh.SSHKey] | None:
        if probe.key is None:
            return None
        return [await private_key(self._secrets, probe.key, probe.passphrase)]

    @asynccontextmanager
    async def _https(self, target: LoginTarget) -> AsyncIterator[None]:
        probe = target.probe
        trusted = await trust(target.place, probe.ca, probe.fingerprint)
        async with httpx.AsyncClient(
            auth=(probe.user, await self._secrets.password(str(probe.password))),
            transport=transport(trusted.context, target.socket_path),
            timeout=LIMITS.get().contact,
            trust_env=False,
        ) as client:
            address, port = target.endpoint
            # The certificate, and what the server serves, are those of the probe's own address.
            extensions = {**trusted.extensions, "sni_hostname": probe.address}
            host = f"{bracketed(probe.address)}:{probe.port}"
            request = client.build_request(
                "GET",
                f"https://{bracketed(address)}:{port}/",
                headers={"Host": host, **PLAIN},
                extensions=extensions,
            )
            with translated(target.place, Unreachable):
                # The client's limits hold for each part of a request, this one for all of it.
                asking = client.send(request, stream=True)
                response = await Stopwatch().time(asking, LIMITS.get().contact)
            # What is listed is not read: however long it is, the status says all.
            async with aclosing(response):
                _require_login(target.place, response)
                yield  # the client keeps the connection, and with it the session


async def _list(files: asyncssh.SFTPClient) -> None:
    """Ask for the entries of the root, and keep none; some are enough."""
    seen = 0
    async for _ in files.scandir("."):
        seen += 1
        if seen == MAX_ENTRIES:
            return


def _require_login(place: str, response: httpx.Response) -> None:
    """Take any answer to an accepted login: what the root contains is the site's own business."""
    if response.status_code in (401, 403):
        raise AccessRefused(f"{place}: the login was refused; check its account and password")
    if response.status_code >= 500:  # noqa: PLR2004 - the server's own fault
        raise Unreachable(f"{place}: answered {response.status_code}")


@contextmanager
def _ssh_translated(place: str) -> Iterator[None]:
    try:
        yield
    except (asyncssh.PermissionDenied, asyncssh.HostKeyNotVerifiable) as refusal:
        raise AccessRefused(
            f"{place}: the login was not accepted, or the host key differs ({reason(refusal)}); "
            "check account, key or password, and host_key"
        ) from refusal
    except asyncssh.KeyImportError as mistake:
        raise AccessRefused(f"{place}: host_key is not a public key; correct it") from mistake
    except FAILURES as fault:
        raise Unreachable(f"{place}: no login ({reason(fault)})") from fault
