"""Run commands on machines over SSH, and translate connection errors."""

import asyncio
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED

from activities.time_limits import LIMITS
from activities.transport import sudo
from activities.transport.answer import MAX_ANSWER, WINDOW, Answer, Held
from activities.transport.framing import MAX_SHOWN, CommandResult, Frame
from activities.transport.login import Logins, Shared
from activities.transport.port_probe import try_port
from activities.transport.secrets import Secrets
from activities.transport.slots import Slots
from activities.transport.ssh_errors import NoSession, after_sending, before_sending, reason
from activities.transport.windows_framing import WindowsFrame
from workflows.errors import (
    ForwardingRefused,
    NotReady,
    OutcomeUnknown,
    RunAsRefused,
    SwitchoverError,
    Unreachable,
)
from workflows.model.estate import Machine
from workflows.model.machines import JumpHost, System
from workflows.model.text import printable

MAX_PARALLEL_COMMANDS = 7
"""On one connection, until the machine refuses one: OpenSSH's default allows ten."""
FORWARDING_TIMEOUT = 2.0
"""Seconds; a server that refuses to forward says so at once."""
REFUSALS_ALONE = 20
"""So often the only command is refused before the machine counts as one that runs none."""
MAX_ABANDONED = 10
"""So many commands may be given up on one connection before the machine has closed their channels.
"""
REFUSAL_PAUSE = 0.1
"""Seconds; a server may still count the command before, which has just ended."""
FRAMES: Mapping[str, Callable[[], Frame | WindowsFrame]] = MappingProxyType(
    {"linux": Frame, "windows": WindowsFrame}
)
"""By a machine's system: how a command is framed for what its SSH server runs."""


@dataclass(frozen=True)
class Command:
    """Arguments for a remote shell; joined and quoted only when sent."""

    argv: tuple[str, ...]
    system: ClassVar[System] = "linux"
    """Whose shell it is quoted for."""

    def __str__(self) -> str:
        return shlex.join(self.argv)


def script(text: str, *arguments: str) -> Command:
    """Return a POSIX shell script as one command: on standard input it could be cut mid-line."""
    return Command(("sh", "-c", text, "switchover", *arguments))


@dataclass
class _SharedConnection(Shared):
    """The one shared connection to a machine."""

    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    slots: Slots = field(default_factory=lambda: Slots(MAX_PARALLEL_COMMANDS))
    tunnels: dict[int, Path] = field(default_factory=dict)
    held: Held = field(default_factory=Held)
    abandoned: list[Answer] = field(default_factory=list)
    """Those whose channels the machine has not closed yet."""
    slowest: float = 0.0
    """Seconds that the slowest command took, or lasted so far, since this was last asked for."""

    def renewed(self) -> None:
        """Forget what belonged to the connection before."""
        self.tunnels, self.abandoned = {}, []


class Shell:
    """Runs commands over one connection per machine, opened when first needed.

    One that is *behind_jump_hosts* leads no connection through those that an estate names.
    """

    def __init__(self, secrets: Secrets, *, behind_jump_hosts: bool = False) -> None:
        self.logins = Logins(secrets)
        """Further servers are reached with them, such as jump hosts of databases."""
        self._behind_jump_hosts = behind_jump_hosts
        self._connections: dict[tuple[object, ...], _SharedConnection] = {}
        self._tunnels: Path | None = None
        self._tunnels_made = 0

    async def run(
        self,
        machine: Machine,
        command: Command,
        *,
        undecodable: str = "replace",
        limit: int = MAX_ANSWER,
    ) -> CommandResult:
        """Return the result of a command, whatever its exit status, and no word of others.

        *undecodable* says what becomes of bytes that are no UTF-8; with ``surrogateescape`` the
        text gives the same bytes again. *limit* is how many bytes there may be of everything that
        is printed.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: the command was sent, and its answer or its end was not received, or
                there was too much of it.
            AccessRefused: the key or host key does not match, or sudo refuses.
            NotReady: the machine has another system than the command is for; nothing was sent.
        """
        if command.system != machine.system:
            raise NotReady(
                f"{machine.name}: what is asked there needs a shell of {command.system}, and the "
                f"machine has {machine.system}"
            )
        frame, name = FRAMES[machine.system](), _name(command)
        line = frame.line(str(command), machine.ssh.run_as)
        answer = await self._run(machine, name, line, limit)
        if answer.excess:
            raise OutcomeUnknown(
                f"{machine.name}: {name} printed {answer.excess}, and the rest was not read; "
                f"find out on {machine.name} what prints so much"
            )
        if answer.status is None:
            # The library raises nothing when the connection is lost while a command runs.
            raise OutcomeUnknown(f"{machine.name}: the connection was lost before {name} ended")
        if (result := frame.result(answer.out, answer.err, undecodable)) is not None:
            return result
        if machine.ssh.run_as is not None and not frame.began(answer.out, answer.err):
            await self._require_sudo(machine)
        ends = (text[-MAX_SHOWN:].decode("utf-8", "replace") for text in (answer.out, answer.err))
        printed = printable(" ".join(ends)).strip()[-MAX_SHOWN:] or "nothing"
        raise OutcomeUnknown(
            f"{machine.name}: {name} gave no whole answer; the login shell of "
            f"{machine.ssh.user} ended with {answer.status} and printed: {printed}"
        )

    async def _require_sudo(self, machine: Machine) -> None:
        """Raise RunAsRefused where sudo is why nothing ran; else the caller says what it knows."""
        try:
            asking = script(sudo.WHY, machine.ssh.account)
            answer = await self.run(sudo.without(machine), asking)
        except SwitchoverError:  # of this question; the command was sent before
            return
        if (refusal := sudo.refusal(machine, answer.out)) is not None:
            raise RunAsRefused(refusal)

    async def _run(self, machine: Machine, name: str, line: str, limit: int) -> Answer:
        """Run it as soon as the machine lets it: a command that is refused was not sent."""
        shared, alone = self._shared(machine), 0
        while True:
            async with shared.slots:
                connection = await self._connected(machine, shared)
                answer = Answer(limit, shared.held)
                clock = asyncio.get_running_loop().time
                began = clock()
                try:
                    return await _answered(machine, connection, answer, line)
                except TimeoutError as silence:
                    raise OutcomeUnknown(
                        f"{machine.name}: {name} did not end within "
                        f"{LIMITS.get().answer:g} s; find out on {machine.name} what it waits for"
                    ) from silence
                except NoSession as refusal:
                    answer.closed = True
                    if not shared.slots.learn_of_refusal():
                        alone += 1
                    if connection.is_closed() or alone == REFUSALS_ALONE:
                        raise Unreachable(str(refusal)) from refusal
                finally:
                    answer.leave()
                    shared.slowest = max(shared.slowest, clock() - began)
                    _abandon(shared, answer)
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
                with before_sending(machine):
                    await connection.forward_local_path_to_port(str(path), machine.address, port)
                shared.tunnels[port] = path
            return shared.tunnels[port]

    async def last_jump_host(self, machine: Machine) -> asyncssh.SSHClientConnection | None:
        """Return the connection from which the machine is reached; None where it is the worker's.

        Raises:
            Unreachable: a jump host does not answer.
            AccessRefused: a jump host refuses.
        """
        with before_sending(machine):
            return await self.logins.through(self._jumps(machine))

    def slowest_answer(self, machine: Machine) -> timedelta | None:
        """Return how long the slowest command took since the last call; None without any."""
        shared = self._shared(machine)
        slowest, shared.slowest = shared.slowest, 0.0
        return timedelta(seconds=slowest) if slowest else None

    async def close(self) -> None:
        """Close every connection."""
        for shared in self._connections.values():
            await shared.close()
        self._connections.clear()
        await self.logins.close()
        if self._tunnels is not None:
            shutil.rmtree(self._tunnels, ignore_errors=True)
            self._tunnels = None

    def _shared(self, machine: Machine) -> _SharedConnection:
        # Not by name: two plans may reach the same machine with different access.
        access = machine.ssh.model_dump_json(exclude={"run_as"})
        key = (machine.address, access, machine.host_key)
        return self._connections.setdefault(key, _SharedConnection())

    async def _connected(
        self, machine: Machine, shared: _SharedConnection
    ) -> asyncssh.SSHClientConnection:
        return await shared.opened(lambda: self._connect(machine))

    async def _connect(self, machine: Machine) -> asyncssh.SSHClientConnection:
        with before_sending(machine):
            jumps = self._jumps(machine)
            return await self.logins.connect(machine.address, machine.ssh, machine.host_key, jumps)

    def _jumps(self, machine: Machine) -> tuple[JumpHost, ...]:
        return () if self._behind_jump_hosts else machine.ssh.jump

    def _new_socket(self) -> Path:
        if self._tunnels is None:
            self._tunnels = Path(tempfile.mkdtemp(prefix="switchover-"))
        self._tunnels_made += 1
        return self._tunnels / str(self._tunnels_made)


async def _answered(
    machine: Machine, connection: asyncssh.SSHClientConnection, answer: Answer, line: str
) -> Answer:
    """Send a command, and wait for the end of its answer; TimeoutError if there is none in time."""
    try:
        async with asyncio.timeout(LIMITS.get().answer):
            with after_sending(machine):
                await connection.create_session(lambda: answer, line, encoding=None, window=WINDOW)
                await answer.ended
    except TimeoutError:
        if not answer.opened:
            # A channel that is opened from now on could be filled without anyone who closes it.
            connection.abort()
        raise
    return answer


def _abandon(shared: _SharedConnection, answer: Answer) -> None:
    """Remember a channel that the machine has not closed; the connection ends with too many."""
    shared.abandoned = [one for one in (*shared.abandoned, answer) if not one.closed]
    if len(shared.abandoned) > MAX_ABANDONED and shared.connection is not None:
        shared.connection.abort()


async def _require_forwarding(
    connection: asyncssh.SSHClientConnection, machine: Machine, port: int
) -> None:
    """Refuse where the server does: a tunnel's own client would see only a broken connection."""
    try:
        await try_port(connection, machine.address, port, FORWARDING_TIMEOUT)
    except asyncssh.ChannelOpenError as refusal:
        if refusal.code == OPEN_ADMINISTRATIVELY_PROHIBITED:
            raise ForwardingRefused(
                f"{machine.name}: its SSH server refuses to forward connections of "
                f"{machine.ssh.user} to {machine.address}:{port} ({reason(refusal)})"
            ) from refusal
    except (asyncssh.Error, OSError):  # TimeoutError is one; who uses the tunnel says what is wrong
        return


def _name(command: Command) -> str:
    return "a script" if command.argv[:2] == ("sh", "-c") else command.argv[0]
