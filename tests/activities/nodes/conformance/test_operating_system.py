"""What every driver of the operating-system port has to do, Linux on a real machine."""

# ruff: noqa: D102 - the methods are documented in Subject

import asyncio
import hashlib
import ipaddress
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path, PureWindowsPath
from typing import ClassVar
from uuid import uuid4

import pytest

from activities.ledger.store import LedgerCommand
from activities.nodes.linux import Linux
from activities.nodes.operating_system import OperatingSystem, Socket, SocketFilter
from activities.nodes.windows import Windows
from activities.transport.commands import WindowsCommand
from activities.transport.ssh import Command, Shell
from tests.support.memory_system import MemorySystem
from tests.support.ssh_machines import SshServer
from tests.support.unix_machines import MACHINES, UnixMachine
from tests.support.wine import WindowsServer, Wine, make_windows_node, needs_wine
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node

LOCAL = ipaddress.ip_address("127.0.0.1")


@dataclass
class Subject(ABC):
    """A machine with its driver, and the ways in which a test changes the machine."""

    node: Node
    system: OperatingSystem
    storage: str
    ran: Path
    tells_stale_files: ClassVar[bool] = True
    """Whether a number in a PID file is surely one of its own processes."""

    def installed(self, *names: str) -> str:
        """Return a path below FILEDRIVEHOME."""
        return self.node.below(self.node.filedrivehome, *names)

    @abstractmethod
    def write(self, path: str, text: str) -> None:
        """Put a file there."""

    @abstractmethod
    def start(self, pid_file: str) -> None:
        """Let a process live whose number is in the PID file."""

    @abstractmethod
    def leave_stale(self, pid_file: str) -> None:
        """Leave a PID file whose process is gone."""

    @abstractmethod
    def connect(self) -> int:
        """Return a port that listens, with one established connection."""

    @abstractmethod
    def runs(self) -> int:
        """Return how many times a command ran."""

    def command(self, operation: str = "run.stage.stop.1", **given: object) -> LedgerCommand:
        """Return a command whose every run is counted."""
        argv = ("sh", "-c", f"echo ran | tee -a {self.ran}")
        known = {"service": "ssh", "timeout": timedelta(minutes=1), **given}
        return LedgerCommand(operation, command=Command(argv), **known)  # type: ignore[arg-type]

    async def ended(self, command: LedgerCommand) -> None:
        """Wait until the command has ended."""
        while (await self.system.ledger.read(self.node, command)).status is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@dataclass
class OnLinux(Subject):
    """This machine, behind SSH."""

    stack: ExitStack = field(default_factory=ExitStack)

    def write(self, path: str, text: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)

    def start(self, pid_file: str) -> None:
        self.write(f"{self.node.filedrivehome}/var/run/{pid_file}", f"{os.getpid()}\n")

    def leave_stale(self, pid_file: str) -> None:
        self.write(f"{self.node.filedrivehome}/var/run/{pid_file}", "999999999\n")

    def connect(self) -> int:
        listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port: int = listener.getsockname()[1]
        self.stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        return port

    def runs(self) -> int:
        return len(self.ran.read_text().splitlines()) if self.ran.exists() else 0


@dataclass
class OnWindows(OnLinux):
    """A machine of wine, behind SSH."""

    wine: Wine = field(kw_only=True)
    tells_stale_files = False

    def write(self, path: str, text: str) -> None:
        # Its scripts have the names of Windows.
        script = "\\bin\\status_" in path
        self.wine.write(f"{path}.com" if script else path, text)
        folder = self.wine.local(self.storage)
        found = "".join(
            f"orphan {file.stat().st_size}.{int(file.stat().st_mtime)} "
            f"{PureWindowsPath(self.storage, file.relative_to(folder))}\n"
            for file in folder.rglob("*.m_inproc")
        )
        self.wine.write(r"C:\stand-ins\orphans.txt", f"{found}whole\n" if folder.exists() else "")

    def start(self, pid_file: str) -> None:
        self.leave_stale(pid_file)
        self.wine.write(r"C:\stand-ins\alive.txt", f"alive {pid_file}\n")

    def leave_stale(self, pid_file: str) -> None:
        self.write(self.installed("var", "run", pid_file), "8\n")

    def connect(self) -> int:
        rows = (
            "0.0.0.0:8022 0.0.0.0:0 LISTENING",
            "127.0.0.1:8022 127.0.0.1:50000 ESTABLISHED",
            "127.0.0.1:8022 127.0.0.1:50001 TIME_WAIT",
        )
        self.wine.write(
            r"C:\stand-ins\sockets.txt", "\n".join(f"  TCP {row}" for row in rows) + "\n"
        )
        return 8022

    def runs(self) -> int:
        file = self.wine.local(str(self.ran))
        return len(file.read_text().splitlines()) if file.exists() else 0

    def command(self, operation: str = "run.stage.stop.1", **given: object) -> LedgerCommand:
        path = self.node.below(self.node.filedrivehome, "bin", "stop_all.cmd")
        self.wine.write(path, f"@echo off\n>>{self.ran} echo ran\necho ran\n")
        known = {"service": "ssh", "timeout": timedelta(minutes=1), **given}
        return LedgerCommand(operation, command=WindowsCommand((path,)), **known)  # type: ignore[arg-type]


@dataclass
class InMemory(Subject):
    """The smallest driver."""

    system: MemorySystem

    def write(self, path: str, text: str) -> None:
        self.system.files[path] = text

    def start(self, pid_file: str) -> None:
        self.system.alive.add(pid_file)

    def leave_stale(self, pid_file: str) -> None:
        self.system.alive.discard(pid_file)

    def connect(self) -> int:
        self.system.table += [Socket(LOCAL, 8022, LOCAL, listening) for listening in (True, False)]
        return 8022

    def runs(self) -> int:
        return len(self.system.store.runs)


@pytest.fixture(params=["linux", "memory", *MACHINES, pytest.param("windows", marks=needs_wine)])
async def subject(
    request: pytest.FixtureRequest,
    server: Node,
    shell: Shell,
    ssh_server: SshServer,
    tmp_path: Path,
) -> AsyncIterator[Subject]:
    """Return a machine under each driver; Linux also with other shells and few programs."""
    storage, ran = str(tmp_path / "storage"), tmp_path / "ran"
    if request.param == "windows":
        machine = WindowsServer(wine=request.getfixturevalue("wine"))
        async with machine.serving():
            node = make_windows_node(machine, tmp_path, f"node{uuid4().hex[:8]}")
            storage, counted = rf"C:\storages\{node.name}", rf"C:\{node.name}.ran"
            machine.wine.write(r"C:\stand-ins\orphans.txt", "")
            with ExitStack() as stack:
                where = (storage, Path(counted), stack)
                yield OnWindows(node, Windows(shell), *where, wine=machine.wine)
        return
    if request.param == "memory":
        yield InMemory(server, MemorySystem(), storage, ran)
        return
    if request.param in MACHINES:
        unix = UnixMachine.of(tmp_path, request.param)
        unix.link({"tee": "tee"})  # the test's own command
        ssh_server.sh = unix.login_shell()
    with ExitStack() as stack:
        yield OnLinux(server, Linux(shell), storage, ran, stack)


async def test_scripts_are_the_files_in_bin(subject: Subject) -> None:
    """What is not in the directory is not installed."""
    subject.write(subject.installed("bin", "status_sshd"), "")
    assert await subject.system.scripts(subject.node) == {"status_sshd"}


async def test_a_pid_file_counts_only_with_its_process(subject: Subject) -> None:
    """A stale PID file and a missing one are no running service."""
    subject.write(subject.installed("bin", "status_sshd"), "")
    subject.start("sshd.pid")
    there = ("sshd.pid", "httpd.pid")
    assert await subject.system.running(subject.node, there) == {"sshd.pid"}
    subject.leave_stale("tm.pid")
    asked = ("sshd.pid", "tm.pid", "httpd.pid")
    if subject.tells_stale_files:
        assert await subject.system.running(subject.node, asked) == {"sshd.pid"}
    else:
        with pytest.raises(OutcomeUnknown, match=r"tm\.pid is there"):
            await subject.system.running(subject.node, asked)


async def test_listeners_and_connections_are_told_apart(subject: Subject) -> None:
    """A listener is no session, and a connection is no listener."""
    port, everything = subject.connect(), SocketFilter(())
    sockets = await subject.system.sockets(subject.node)
    assert everything.sessions(sockets, (port,)) == 1
    assert port in everything.listening(sockets)


async def test_a_file_has_its_digest(subject: Subject) -> None:
    """SHA-256 of the content; a missing file is an error and not a digest."""
    path = subject.installed("bin", "taeh")
    with pytest.raises(OutcomeUnknown):
        await subject.system.digest(subject.node, path)
    subject.write(path, "secret")
    expected = hashlib.sha256(b"secret").hexdigest()
    assert await subject.system.digest(subject.node, path) == expected


async def test_the_clock_is_read(subject: Subject) -> None:
    """In whole seconds, with its time zone."""
    read = await subject.system.now(subject.node)
    assert abs(datetime.now(UTC) - read) < timedelta(seconds=5)


async def test_orphaned_files_are_found_and_change_when_written(subject: Subject) -> None:
    """Only ``*.m_inproc``; a storage that is not there is an error and not an empty one."""
    with pytest.raises(OutcomeUnknown):
        await subject.system.orphaned_files(subject.node, subject.storage)
    orphan = subject.node.below(subject.storage, "deep", "a b.m_inproc")
    subject.write(subject.node.below(subject.storage, "other"), "")
    subject.write(orphan, "one")
    before = await subject.system.orphaned_files(subject.node, subject.storage)
    subject.write(orphan, "longer")
    after = await subject.system.orphaned_files(subject.node, subject.storage)
    assert [path for path, _ in before] == [path for path, _ in after] == [orphan]
    assert before != after


async def test_a_machine_shows_its_facts(subject: Subject) -> None:
    """Who runs commands, on which system, and whether a ledger can be kept."""
    facts = await subject.system.facts(subject.node)
    assert facts.user
    assert facts.system
    assert facts.ledger_writable
    assert facts.ledger_free > 0


async def test_a_claimed_command_runs_once(subject: Subject) -> None:
    """Every attempt finds the same end of it."""
    ledger, command = subject.system.ledger, subject.command(note="monitor-ran")
    assert (await ledger.read(subject.node, command)).claim is None
    for _ in range(3):
        assert await ledger.begin(subject.node, command) is None
    await subject.ended(command)
    record = await ledger.read(subject.node, command)
    assert (subject.runs(), record.status, record.output) == (1, 0, "ran")
    assert record.claim is not None
    assert record.claim.note == "monitor-ran"


async def test_a_command_that_completes_at_its_deadline_keeps_others_out(subject: Subject) -> None:
    """Others of its service are busy until it is settled, and know until when it may change it."""
    ledger, node = subject.system.ledger, subject.node
    stop, start = subject.command(completes_on="deadline"), subject.command("run.stage.start.1")
    await ledger.begin(node, stop)
    await subject.ended(stop)
    busy = await ledger.begin(node, start)
    assert busy is not None
    assert (busy.operation, subject.runs()) == (stop.operation, 1)
    assert busy.until > busy.now
    seen = (await ledger.read(node, start)).busy
    assert seen is not None
    assert (seen.operation, seen.until) == (stop.operation, busy.until)
    assert await ledger.begin(node, subject.command("other", service="http")) is None
    await ledger.settle(node, stop)
    assert await ledger.begin(node, start) is None
    await subject.ended(start)
    claim = (await ledger.read(node, start)).claim
    assert claim is not None
    assert claim.may_change_until == busy.until


async def test_a_ledger_knows_what_the_same_run_did_before(subject: Subject) -> None:
    """To the same service; another run's operations do not count."""
    ledger, node = subject.system.ledger, subject.node
    first, undo = subject.command("run.stage.a.1"), subject.command("run.stage.undo.a.1")
    other, elsewhere = subject.command("run2.stage.a.1"), subject.command("x.1", service="http")
    for command in (other, elsewhere):
        await ledger.begin(node, command)
        await subject.ended(command)
    assert (await ledger.read(node, undo)).earlier is None
    await ledger.begin(node, first)
    await subject.ended(first)
    assert (await ledger.read(node, undo)).earlier == first.operation
    assert (await ledger.read(node, first)).earlier is None


async def test_previews_name_what_is_read(subject: Subject) -> None:
    """An operator sees the commands before they are sent."""
    assert subject.system.preview_sockets()
    assert subject.storage in subject.system.preview_orphaned_files(subject.storage)


async def test_what_a_ledger_depends_on_is_read(subject: Subject) -> None:
    """Whether it can be written, and its disk has room."""
    facts = await subject.system.ledger_facts(subject.node)
    assert facts.user
    assert facts.writable
    assert facts.free > 0
