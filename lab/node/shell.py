"""The SSH server of a machine's operating system.

Commands run in a real ``/bin/sh``, each in a session of its own, or in wine's ``cmd.exe``. As with
any SSH server, a command goes on when its client vanishes; it ends with the machine.

Faults (``SimulationOptions.faults``): ``unreachable`` (any text): new connections and new commands
are broken off; ``refuses_login`` (any text): no key is accepted; ``noise``: what every command
answers instead of being run. The first client that is refused by ``unreachable`` or
``refuses_login`` also ends the open connections.

Behind a jump host (``Drivers.jump_host``) nobody else is let in, but for the lab's own operator.

What a site may bring, in the same place: ``banner``: what the profile prints before every command;
``login_shell``: the shell that runs commands; ``slow_shell``: how many seconds it takes to start;
``max_sessions``: how many commands run at a time on one connection, further ones are refused.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import tempfile
from collections.abc import Awaitable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import asyncssh
from typing_extensions import override

from lab import records
from lab.forking import Channel, Message
from lab.layout import LOGIN_USER, SHELL_PORT, SHELL_USER, Layout
from lab.node.forwarding import connect
from lab.node.login import SudoLogin
from lab.node.request_hook import RequestEvent, When, passes, readable
from lab.node.windows.system import Invocation, Windows
from lab.simulation_options import SimulationOptions

_LOCAL = ("localhost", "127.0.0.1", "::1")
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Context:
    """What the shell's process is given."""

    layout: Layout
    name: str
    address: str
    root: Path
    channel: Channel
    windows: Windows | None = None
    """The machine's Windows, if it has one."""

    @property
    def faults(self) -> dict[str, str]:
        """The faults that this machine simulates."""
        return SimulationOptions.read(self.layout.simulation).faults.get(self.name, {})

    @property
    def user(self) -> str:
        """The account that may log in."""
        return LOGIN_USER if self.layout.drivers.run_as else SHELL_USER

    @property
    def reachable(self) -> bool:
        """Whether connections are accepted."""
        return "unreachable" not in self.faults

    def admits(self, peer: str) -> bool:
        """Whether this address may connect at all."""
        layout = self.layout
        if not layout.drivers.jump_host or peer in {layout.jump_host, layout.operator}:
            return True
        # The kernel connects from the address that it connects to, where that is near: only the
        # cluster's own worker is in its network.
        return peer == self.address and layout.networks.exists()


class _Visitor(asyncssh.SSHServer):
    def __init__(
        self, context: Context, shell: _Shell, inside: set[asyncssh.SSHServerConnection]
    ) -> None:
        self._context = context
        self._shell = shell
        self._sessions = 0
        self._inside = inside
        """Every connection of the machine."""

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._inside.add(conn)
        if not self._context.reachable:
            self._disconnect(self._inside)
        peer = conn.get_extra_info("peername")[0]
        if not self._context.admits(peer):
            records.append(self._context.layout.ways, to=self._context.name, past_by=peer)
            conn.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._inside.discard(self._connection)

    @override
    def begin_auth(self, username: str) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        if "refuses_login" in self._context.faults:
            self._disconnect(self._inside - {self._connection})
            return False
        operator = asyncssh.read_public_key(self._context.layout.keys / "operator.pub")
        return username == self._context.user and key.public_data == operator.public_data

    @staticmethod
    def _disconnect(some: set[asyncssh.SSHServerConnection]) -> None:
        for each in tuple(some):
            each.abort()

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        most = self._context.faults.get("max_sessions")
        if most is not None and self._sessions >= int(most):
            return False
        self._sessions += 1
        return cast(
            asyncssh.SSHServerSession[bytes],
            asyncssh.SSHServerProcess(self._run_counted, None, 3, False),  # noqa: FBT003 - no SCP
        )

    async def _run_counted(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            await self._shell.run(process)
        finally:
            self._sessions -= 1

    @override
    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]] | bool:
        if dest_host not in (*_LOCAL, self._context.address) or not self._context.reachable:
            return False
        # All machines of a lab share one localhost, so each maps it to its own address.
        return connect(self._context.address, self._context.address, dest_port)


class _Shell:
    """Runs commands for one machine."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._environment = {
            "HOME": str(context.root),
            "LOGNAME": SHELL_USER,
            "USER": SHELL_USER,
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            # A machine's own programs come before those of the machine that the lab is on.
            "PATH": f"{context.root}/bin:{os.environ.get('PATH', _PATH)}",
        }
        self._login: SudoLogin | None = None
        if context.layout.drivers.run_as:
            path = self._environment["PATH"]
            self._login = SudoLogin(context.layout, context.name, context.root, path)
            self._login.prepare()
            self._environment = self._login.environment(self._environment)

    async def run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one command, then send how it ended."""
        if not (self._context.reachable and await self._passes("before", process)):
            process.channel.get_connection().abort()
            return
        faults = self._context.faults
        if noise := faults.get("noise"):
            process.stdout.write(noise.encode())
            process.exit(0)
            return
        process.stdout.write(faults.get("banner", "").encode())
        await asyncio.sleep(float(faults.get("slow_shell", 0)))
        begun = self._in_windows(process) or self._in_unix(process)
        # What leaves a session of wine takes its standard error with it, which as a pipe would
        # never end.
        with tempfile.TemporaryFile() if self._context.windows else nullcontext() as errors:
            command = subprocess.Popen(  # noqa: ASYNC220 - it only forks, which takes a millisecond
                begun.argv,
                cwd=begun.cwd,
                env=begun.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors or subprocess.PIPE,
                start_new_session=True,
            )
            # The end of standard output must not end the channel: standard error may still come.
            await process.redirect(command.stdin, command.stdout, command.stderr, send_eof=False)
            await _ended(command)
            if errors:
                errors.seek(0)
                process.stderr.write(errors.read())
        # What the command wrote last is still on its way.
        await process.stdout.drain()
        await process.stderr.drain()
        await self._passes("after", process)
        if (status := command.returncode) < 0:
            process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
        else:
            process.exit(status)

    def _in_unix(self, process: asyncssh.SSHServerProcess[bytes]) -> Invocation:
        shell = self._context.faults.get("login_shell", "/bin/sh").split()
        argv = [*shell, "-c", process.command] if process.command else shell
        if self._login is not None:
            argv = self._login.command(argv, process.command or "")
        return Invocation(argv, self._context.root, self._environment)

    def _in_windows(self, process: asyncssh.SSHServerProcess[bytes]) -> Invocation | None:
        windows = self._context.windows
        return windows.session(process.command or "") if windows else None

    async def _passes(self, when: When, process: asyncssh.SSHServerProcess[bytes]) -> bool:
        context = self._context
        return await passes(
            context.layout, RequestEvent(when, context.name, "ssh", readable(process.command or ""))
        )


async def _ended(command: subprocess.Popen[bytes]) -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    handle = os.pidfd_open(command.pid)
    loop.add_reader(handle, done.set)
    try:
        await done.wait()
    finally:
        loop.remove_reader(handle)
        os.close(handle)
    command.wait()  # it has ended, so this only collects its status


async def _serve(context: Context) -> None:
    shell = _Shell(context)
    inside: set[asyncssh.SSHServerConnection] = set()
    async with asyncssh.listen(
        context.address,
        SHELL_PORT,
        config=None,
        server_factory=lambda: _Visitor(context, shell, inside),
        server_host_keys=[context.layout.keys / f"{context.name}_host_key"],
        encoding=None,
        allow_scp=False,
        reuse_address=True,
        kex_algs=("curve25519-sha256", "ecdh-sha2-nistp256"),
        server_version="OpenSSH_9.6",
    ):
        context.channel.send(Message("ready", sender="shell"))
        await asyncio.Event().wait()


def run(context: Context) -> None:
    """Be the shell of a machine until the machine ends."""
    asyncio.run(_serve(context))
