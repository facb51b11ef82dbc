"""Run commands on machines over SSH, and translate connection errors."""

import asyncio
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_REQUEST_SESSION_FAILED

from activities.time_limits import LIMITS, Stopwatch
from activities.transport.framing import CommandResult, Frame
from activities.transport.keys import known_hosts, private_key
from activities.transport.secrets import Secrets
from activities.transport.slots import Slots
from workflows.errors import AccessRefused, ForwardingRefused, OutcomeUnknown, Unreachable
from workflows.model.estate import Machine
from workflows.model.text import printable

KEEPALIVES = 4
"""So many messages are sent in the time that a machine may be silent; the last is not awaited."""
MAX_PARALLEL_COMMANDS = 7
"""On one connection, until the machine refuses one: OpenSSH's default allows ten."""
FORWARDING_TIMEOUT = 2.0
"""Seconds; a server that refuses to forward says so at once."""
REFUSALS_ALONE = 20
"""So often the only command is refused before the machine counts as one that runs none."""
REFUSAL_PAUSE = 0.1
"""Seconds; a server may still count the command before, which has just ended."""


@dataclass(frozen=True)
class Command:
    """Arguments for a remote shell; joined and quoted only when sent."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.argv)


def script(text: str, *arguments: str) -> Command:
    """Return a POSIX shell script as one command: on standard input it could be cut mid-line."""
    return Command(("sh", "-c", text, "switchover", *arguments))


@dataclass
class _SharedConnection:
    """The one shared connection to a machine."""

    connection: asyncssh.SSHClientConnection | None = None
    connecting: asyncio.Future[asyncssh.SSHClientConnection] | None = None
    """The attempt that all share: a silent machine is waited for once."""
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    slots: Slots = field(default_factory=lambda: Slots(MAX_PARALLEL_COMMANDS))
    tunnels: dict[int, Path] = field(default_factory=dict)
    slowest: float = 0.0
    """Seconds that the slowest command took, or lasted so far, since this was last asked for."""


class Shell:
    """Runs commands over one connection per machine, opened when first needed."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._connections: dict[tuple[object, ...], _SharedConnection] = {}
        self._tunnels: Path | None = None
        self._tunnels_made = 0

    async def run(
        self, machine: Machine, command: Command, *, undecodable: str = "replace"
    ) -> CommandResult:
        """Return the result of a command, whatever its exit status, and no word of others.

        *undecodable* says what becomes of bytes that are no UTF-8; with ``surrogateescape`` the
        text gives the same bytes again.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: the command was sent, and its answer or its end was not received.
            AccessRefused: the key or host key does not match.
        """
        frame = Frame()
        ended = await self._run(machine, frame.line(str(command)), undecodable)
        if ended.returncode is None or ended.returncode < 0:
            # asyncssh raises nothing when the connection is lost while a command runs.
            raise OutcomeUnknown(
                f"{machine.name}: the connection was lost before {_name(command)} ended"
            )
        out, err = str(ended.stdout or ""), str(ended.stderr or "")
        if (result := frame.result(out, err)) is not None:
            return result
        printed = printable(f"{out} {err}").strip()[-400:] or "nothing"
        raise OutcomeUnknown(
            f"{machine.name}: {_name(command)} gave no whole answer; the login shell of "
            f"{machine.ssh.user} ended with {ended.returncode} and printed: {printed}"
        )

    async def _run(
        self, machine: Machine, line: str, undecodable: str
    ) -> asyncssh.SSHCompletedProcess:
        """Run it as soon as the machine lets it: a command that is refused was not sent."""
        shared, alone = self._shared(machine), 0
        while True:
            async with shared.slots:
                connection = await self._connected(machine, shared)
                clock = asyncio.get_running_loop().time
                began = clock()
                try:
                    with _after_sending(machine):
                        return await connection.run(
                            line,
                            stdin=asyncssh.DEVNULL,
                            encoding="utf-8",
                            errors=undecodable,
                            timeout=LIMITS.get().answer,
                        )
                except _NoSession as refusal:
                    if not shared.slots.learn_of_refusal():
                        alone += 1
                    if connection.is_closed() or alone == REFUSALS_ALONE:
                        raise Unreachable(str(refusal)) from refusal
                finally:
                    shared.slowest = max(shared.slowest, clock() - began)
            await asyncio.sleep(REFUSAL_PAUSE)

    async def tunnel(self, machine: Machine, port: int) -> Path:
        """Return a local socket that leads to *port* on the machine's own address.

        Its loopback address would not reach services that listen on one address only. The socket is
        in a private directory, so that other users of the worker's machine cannot use it.

        Raises:
            Unreachable: the machine does not answer.
            AccessRefused: the key or host key does not match.
            ForwardingRefused: its SSH server forwards nothing there.
        """
        shared = self._shared(machine)
        connection = await self._connected(machine, shared)
        if port not in shared.tunnels:
            await _require_forwarding(connection, machine, port)
        async with shared.opening:
            if port not in shared.tunnels:
                path = self._new_socket()
                with _before_sending(machine):
                    await connection.forward_local_path_to_port(str(path), machine.address, port)
                shared.tunnels[port] = path
            return shared.tunnels[port]

    def slowest_answer(self, machine: Machine) -> timedelta | None:
        """Return how long the slowest command took since the last call; None without any."""
        shared = self._shared(machine)
        slowest, shared.slowest = shared.slowest, 0.0
        return timedelta(seconds=slowest) if slowest else None

    async def close(self) -> None:
        """Close every connection."""
        for shared in self._connections.values():
            if shared.connection is not None:
                shared.connection.close()
                await shared.connection.wait_closed()
        self._connections.clear()
        if self._tunnels is not None:
            shutil.rmtree(self._tunnels, ignore_errors=True)
            self._tunnels = None

    def _shared(self, machine: Machine) -> _SharedConnection:
        # Not by name: two plans may reach the same machine with different access.
        key = (machine.address, machine.ssh.model_dump_json(), machine.host_key)
        return self._connections.setdefault(key, _SharedConnection())

    async def _connected(
        self, machine: Machine, shared: _SharedConnection
    ) -> asyncssh.SSHClientConnection:
        if shared.connection is not None and not shared.connection.is_closed():
            return shared.connection
        if shared.connecting is None or shared.connecting.done():
            shared.connecting = asyncio.ensure_future(self._connect(machine))
            shared.connecting.add_done_callback(_retrieve)
        connecting = shared.connecting
        connection = await asyncio.shield(connecting)
        if shared.connection is not connection:
            shared.connection, shared.tunnels = connection, {}
        return connection

    async def _connect(self, machine: Machine) -> asyncssh.SSHClientConnection:
        with _before_sending(machine):
            key = await private_key(self._secrets, machine.ssh.key, machine.ssh.passphrase)
            limits = LIMITS.get()
            connecting = asyncssh.connect(
                machine.address,
                machine.ssh.port,
                username=machine.ssh.user,
                client_keys=[key],
                agent_path=None,
                preferred_auth="publickey",
                known_hosts=await _known(machine),
                config=None,  # only the estate counts; no file of the worker's user adds to it
                login_timeout=0,
                keepalive_interval=limits.reach / KEEPALIVES,
                keepalive_count_max=KEEPALIVES - 1,
            )
            return await Stopwatch().time(connecting, limits.contact)

    def _new_socket(self) -> Path:
        if self._tunnels is None:
            self._tunnels = Path(tempfile.mkdtemp(prefix="switchover-"))
        self._tunnels_made += 1
        return self._tunnels / str(self._tunnels_made)


def _retrieve(attempt: asyncio.Future[asyncssh.SSHClientConnection]) -> None:
    """Take the result, also where every waiter has gone."""
    if not attempt.cancelled():
        attempt.exception()


async def _known(machine: Machine) -> asyncssh.SSHKnownHosts | tuple[list[asyncssh.SSHKey], ...]:
    if machine.host_key is not None:
        return [asyncssh.import_public_key(machine.host_key)], [], []
    return await known_hosts(str(machine.ssh.known_hosts))


async def _require_forwarding(
    connection: asyncssh.SSHClientConnection, machine: Machine, port: int
) -> None:
    """Refuse where the server does: a tunnel's own client would see only a broken connection."""
    try:
        async with asyncio.timeout(FORWARDING_TIMEOUT):
            _, writer = await connection.open_connection(machine.address, port)
    except asyncssh.ChannelOpenError as refusal:
        if refusal.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
            raise ForwardingRefused(
                f"{machine.name}: its SSH server refuses to forward connections of "
                f"{machine.ssh.user} to {machine.address}:{port} ({refusal.reason})"
            ) from refusal
    except (asyncssh.Error, OSError):  # TimeoutError is one; who uses the tunnel says what is wrong
        return
    else:
        writer.close()


def _name(command: Command) -> str:
    return "a script" if command.argv[:2] == ("sh", "-c") else command.argv[0]


class _NoSession(Unreachable):
    """No channel was opened, so nothing was sent."""


_ACCESS = (
    asyncssh.PermissionDenied,
    asyncssh.HostKeyNotVerifiable,
    asyncssh.KeyImportError,
    asyncssh.KeyEncryptionError,
    asyncssh.IllegalUserName,
    asyncssh.KeyExchangeFailed,
    asyncssh.ProtocolNotSupported,
    asyncssh.PasswordChangeRequired,
)
_FAILURES = (asyncssh.Error, asyncssh.ChannelListenError, asyncssh.PasswordChangeRequired, OSError)


@contextmanager
def _before_sending(machine: Machine) -> Iterator[None]:
    """Translate errors that come before the command is sent."""
    try:
        yield
    except AccessRefused as refusal:
        raise AccessRefused(f"{machine.name}: {refusal}") from refusal
    except _ACCESS as refusal:
        raise AccessRefused(
            f"{machine.name}: no shell for {machine.ssh.user}@{machine.address}:{machine.ssh.port} "
            f"({refusal}); check key, host_key and the account"
        ) from refusal
    except (*_FAILURES, ValueError) as fault:
        raise Unreachable(
            f"{machine.name}: {machine.address}:{machine.ssh.port} does not answer "
            f"({str(fault) or type(fault).__name__})"
        ) from fault


@contextmanager
def _after_sending(machine: Machine) -> Iterator[None]:
    """Translate errors that come when the command may have begun."""
    try:
        yield
    except asyncssh.ChannelOpenError as refusal:
        if refusal.code == OPEN_REQUEST_SESSION_FAILED:
            # Also if the connection is lost while the server perhaps begins the command.
            raise OutcomeUnknown(f"{machine.name}: it is unknown whether a command began") from None
        raise _NoSession(
            f"{machine.name}: its SSH server runs no command ({refusal}); "
            "check MaxSessions, and what the account may do"
        ) from refusal
    except _FAILURES as fault:  # asyncssh.TimeoutError among them
        raise OutcomeUnknown(
            f"{machine.name}: the connection broke while a command ran "
            f"({str(fault) or type(fault).__name__})"
        ) from fault
