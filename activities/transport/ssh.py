"""How is a command run on a machine of the estate, and what does a failing connection mean?"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from activities.transport.secrets import Secrets
from workflows.errors import AccessRefused, OutcomeUnknown, Unreachable
from workflows.model.estate import Machine

CONNECT_TIMEOUT = 10.0
"""Seconds until a machine that does not answer counts as unreachable."""
COMMAND_TIMEOUT = 60.0
"""Seconds; every command here is short, since what lasts is detached (see ``ledger``)."""
MAX_PARALLEL_COMMANDS = 8
"""Commands on one connection at a time: OpenSSH's own default allows ten."""


@dataclass(frozen=True)
class Command:
    """Words for a remote shell; joined and quoted only when sent."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.argv)


def script(text: str, *arguments: str) -> Command:
    """Make a POSIX shell script one command: it travels whole, never on standard input."""
    return Command(("sh", "-c", text, "switchover", *arguments))


@dataclass(frozen=True)
class CommandResult:
    """What a command that ended on its own left behind."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The end of what it printed, for an operator to read."""
        return "\n".join(filter(None, (self.out.strip(), self.err.strip())))[-400:]


@dataclass
class _Line:
    """The one shared connection to a machine."""

    connection: asyncssh.SSHClientConnection | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    room: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(MAX_PARALLEL_COMMANDS)
    )
    tunnels: dict[int, Path] = field(default_factory=dict)


class Shell:
    """Runs commands over one connection per machine, opened when first needed."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._lines: dict[tuple[object, ...], _Line] = {}
        self._tunnels: Path | None = None
        self._tunnels_made = 0

    async def run(self, machine: Machine, command: Command) -> CommandResult:
        """Return the answer of a command, whatever its exit status.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: the command was sent, and its end was not seen.
            AccessRefused: keys or host keys do not fit.
        """
        line = self._line(machine)
        async with line.room:
            connection = await self._connected(machine, line)
            with _after_sending(machine):
                ended = await connection.run(
                    str(command),
                    stdin=asyncssh.DEVNULL,
                    encoding="utf-8",
                    errors="replace",
                    timeout=COMMAND_TIMEOUT,
                )
        if ended.returncode is None or ended.returncode < 0:
            # asyncssh raises nothing when the connection is lost while a command runs.
            raise OutcomeUnknown(
                f"{machine.name}: the connection was lost before {_name(command)} ended"
            )
        return CommandResult(ended.returncode, str(ended.stdout or ""), str(ended.stderr or ""))

    async def tunnel(self, machine: Machine, port: int) -> Path:
        """Return a socket of our own that leads to *port* on the machine's own address.

        Not to its loopback address: services that listen on one address only would not be found.
        The socket stands in a private directory, so that no other user of the worker gets near.
        """
        line = self._line(machine)
        connection = await self._connected(machine, line)
        async with line.opening:
            if port not in line.tunnels:
                path = self._new_socket()
                with _before_sending(machine):
                    await connection.forward_local_path_to_port(str(path), machine.address, port)
                line.tunnels[port] = path
            return line.tunnels[port]

    async def close(self) -> None:
        """Close every connection."""
        for line in self._lines.values():
            if line.connection is not None:
                line.connection.close()
                await line.connection.wait_closed()
        self._lines.clear()
        if self._tunnels is not None:
            shutil.rmtree(self._tunnels, ignore_errors=True)
            self._tunnels = None

    def _line(self, machine: Machine) -> _Line:
        # Not by name: a plan's snapshot may know the machine under other access than the next one.
        key = (machine.address, machine.ssh.model_dump_json(), machine.host_key)
        return self._lines.setdefault(key, _Line())

    async def _connected(self, machine: Machine, line: _Line) -> asyncssh.SSHClientConnection:
        async with line.opening:
            if line.connection is None or line.connection.is_closed():
                line.connection, line.tunnels = await self._connect(machine), {}
            return line.connection

    async def _connect(self, machine: Machine) -> asyncssh.SSHClientConnection:
        with _before_sending(machine):
            key = asyncssh.import_private_key(self._secrets.read(machine.ssh.key) + "\n")
            return await asyncssh.connect(
                machine.address,
                machine.ssh.port,
                username=machine.ssh.user,
                client_keys=[key],
                agent_path=None,
                preferred_auth="publickey",
                known_hosts=_known(machine),
                config=None,  # the estate says everything; no file of this worker's user adds to it
                connect_timeout=CONNECT_TIMEOUT,
                login_timeout=CONNECT_TIMEOUT,
                keepalive_interval=5,
                keepalive_count_max=3,
            )

    def _new_socket(self) -> Path:
        if self._tunnels is None:
            self._tunnels = Path(tempfile.mkdtemp(prefix="switchover-"))
        self._tunnels_made += 1
        return self._tunnels / str(self._tunnels_made)


def _known(machine: Machine) -> asyncssh.SSHKnownHosts | tuple[list[asyncssh.SSHKey], ...]:
    if machine.host_key is not None:
        return [asyncssh.import_public_key(machine.host_key)], [], []
    try:
        return asyncssh.read_known_hosts(str(machine.ssh.known_hosts))
    except (OSError, ValueError) as fault:
        raise AccessRefused(
            f"{machine.name}: the worker cannot read {machine.ssh.known_hosts} ({fault}); "
            "without it no host key can be verified"
        ) from fault


def _name(command: Command) -> str:
    return "a script" if command.argv[:2] == ("sh", "-c") else command.argv[0]


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
_FAULTS = (asyncssh.Error, asyncssh.ChannelListenError, asyncssh.PasswordChangeRequired, OSError)


@contextmanager
def _before_sending(machine: Machine) -> Iterator[None]:
    """Say what a complaint means while nothing was asked of the machine yet."""
    try:
        yield
    except _ACCESS as refusal:
        raise AccessRefused(
            f"{machine.name}: no shell for {machine.ssh.user}@{machine.address}:{machine.ssh.port} "
            f"({refusal}); look at key, host_key and the account"
        ) from refusal
    except (*_FAULTS, ValueError) as fault:
        raise Unreachable(
            f"{machine.name}: {machine.address}:{machine.ssh.port} does not answer "
            f"({str(fault) or type(fault).__name__})"
        ) from fault


@contextmanager
def _after_sending(machine: Machine) -> Iterator[None]:
    """Say what a complaint means once a command may have begun."""
    try:
        yield
    except asyncssh.ChannelOpenError as full:
        raise Unreachable(f"{machine.name}: no room for one more command ({full})") from full
    except _FAULTS as fault:  # asyncssh.TimeoutError among them
        raise OutcomeUnknown(
            f"{machine.name}: stopped answering while a command ran "
            f"({str(fault) or type(fault).__name__})"
        ) from fault
