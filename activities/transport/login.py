"""Log in to SSH servers, straight or through jump hosts whose connections are shared."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncssh

from activities.time_limits import LIMITS, Stopwatch
from activities.transport.agent import AgentKey, agent_key
from activities.transport.keys import certificate, known_hosts, private_key
from activities.transport.secrets import Secrets
from activities.transport.ssh_errors import at_jump_host, beyond_jump_host
from activities.transport.wire import BOUNDED, Wire
from workflows.model.machines import JumpHost, SshLogin

Connection = asyncssh.SSHClientConnection
Jumps = tuple[JumpHost, ...]
Identity = asyncssh.SSHKey | tuple[asyncssh.SSHKey, asyncssh.SSHCertificate] | AgentKey

KEEPALIVES = 4
"""So many messages are sent in the time that a machine may be silent; the last is not awaited."""


@dataclass
class Shared:
    """One connection, opened when first needed and again when it was lost."""

    connection: Connection | None = None
    connecting: asyncio.Future[Connection] | None = None
    """The attempt that all share: a silent machine is waited for once."""

    async def opened(self, connect: Callable[[], Awaitable[Connection]]) -> Connection:
        """Return the connection; what *connect* raises, all who wait for it get."""
        if self.connection is not None and not self.connection.is_closed():
            return self.connection
        if self.connecting is None or self.connecting.done():
            self.connecting = asyncio.ensure_future(connect())
            self.connecting.add_done_callback(_retrieve)
        connection = await asyncio.shield(self.connecting)
        if self.connection is not connection:
            self.connection = connection
            self.renewed()
        return connection

    def renewed(self) -> None:
        """Forget what belonged to the connection before."""

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self.connection is not None:
            self.connection.close()
            await self.connection.wait_closed()


class Logins:
    """Logs in with the worker's keys.

    All that is reached through a jump host goes over one connection to it: forty machines behind it
    are one login there.
    """

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets
        self._jump_hosts: dict[Jumps, Shared] = {}
        """By the whole way to each: the same address may be another machine behind another one."""

    async def through(self, jumps: Jumps) -> Connection | None:
        """Return the connection to the last of these jump hosts; None without any.

        Raises:
            Unreachable: one of them does not answer.
            AccessRefused: one of them refuses the login or to forward, or has another host key.
        """
        if not jumps:
            return None
        shared = self._jump_hosts.setdefault(jumps, Shared())
        return await shared.opened(lambda: self._jump(jumps))

    async def connect(
        self, address: str, login: SshLogin, host_key: str | None, jumps: Jumps = ()
    ) -> Connection:
        """Log in to one server; the errors are asyncssh's, but for those of keys and jump hosts."""
        return await self._login(await self.through(jumps), address, login, host_key, jumps)

    async def _login(
        self,
        via: Connection | None,
        address: str,
        login: SshLogin,
        host_key: str | None,
        jumps: Jumps,
    ) -> Connection:
        limits = LIMITS.get()
        async with self._identity(login) as identity:
            connecting = asyncssh.connect(
                address,
                login.port,
                username=login.user,
                client_keys=[identity],
                agent_path=None,
                preferred_auth="publickey",
                known_hosts=await _known(host_key, login.known_hosts),
                tunnel=_Way(via, jumps),
                **BOUNDED,
                config=None,  # only the estate counts; no file of the worker's user adds to it
                login_timeout=0,
                keepalive_interval=limits.reach / KEEPALIVES,
                keepalive_count_max=KEEPALIVES - 1,
            )
            return await Stopwatch().time(connecting, limits.contact)

    async def close(self) -> None:
        """Close the connections to jump hosts, the farthest first."""
        for jumps in sorted(self._jump_hosts, key=len, reverse=True):
            await self._jump_hosts[jumps].close()
        self._jump_hosts.clear()

    async def _jump(self, jumps: Jumps) -> Connection:
        *before, hop = jumps
        via = await self.through(tuple(before))  # its errors name another jump host
        with at_jump_host(hop):
            return await self._login(via, hop.address, hop, hop.host_key, tuple(before))

    @asynccontextmanager
    async def _identity(self, login: SshLogin) -> AsyncIterator[Identity]:
        """Give what the worker logs in with: a key, or an agent's, perhaps with a certificate."""
        if login.key is not None:
            key = await private_key(self.secrets, login.key, login.passphrase)
            signed = await self._certificate(login, key)
            yield key if signed is None else (key, signed)
            return
        public = asyncssh.import_public_key(str(login.public_key))
        async with agent_key(self.secrets, str(login.agent), public) as pair:
            if (signed := await self._certificate(login, public)) is not None:
                pair.set_certificate(signed)
            yield pair

    async def _certificate(
        self, login: SshLogin, key: asyncssh.SSHKey
    ) -> asyncssh.SSHCertificate | None:
        if login.certificate is None:
            return None
        return await certificate(self.secrets, login.certificate, key)


class _Way(Wire):
    """A wire that says which jump host could not lead on."""

    def __init__(self, via: Connection | None, jumps: Jumps) -> None:
        super().__init__(via=via)
        self._jumps = jumps

    async def create_connection(
        self, session_factory: object, remote_host: str, remote_port: int
    ) -> tuple[object, object]:
        """Connect; return the transport, and the library's connection."""
        if not self._jumps:
            return await super().create_connection(session_factory, remote_host, remote_port)
        with beyond_jump_host(self._jumps[-1], f"{remote_host}:{remote_port}"):
            return await super().create_connection(session_factory, remote_host, remote_port)


async def _known(
    host_key: str | None, file: str | None
) -> asyncssh.SSHKnownHosts | tuple[list[asyncssh.SSHKey], ...]:
    if host_key is not None:
        return [asyncssh.import_public_key(host_key)], [], []
    return await known_hosts(str(file))


def _retrieve(attempt: asyncio.Future[Connection]) -> None:
    """Take the result, also where every waiter has gone."""
    if not attempt.cancelled():
        attempt.exception()
