"""The Windows driver of the operating-system port: lines for ``cmd.exe``, and pure parsers.

Windows answers in its own language: so nothing is read but numbers, addresses, and words that are
the same everywhere. What ``cmd.exe`` cannot tell, PowerShell is asked; where that does not answer,
it is unknown.
"""

import asyncio
import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import PureWindowsPath

from activities.ledger.windows import WindowsLedger
from activities.ledger.windows_clock import CLOCK, POWERSHELL, parse_clock
from activities.nodes.operating_system import Address, LedgerFacts, OperatingSystem, Socket
from activities.nodes.windows_facts import WindowsFacts, parse_digest
from activities.securetransport import scripts as securetransport
from activities.transport.answer import MAX_ANSWER, MAX_LIST
from activities.transport.commands import command_line
from activities.transport.framing import CommandResult
from activities.transport.ssh import Shell
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts

SOCKETS = "netstat -an -p TCP& netstat -an -p TCPv6"
OVER = frozenset(
    [
        "SYN_SENT",
        "SYN_RECEIVED",
        "SYN_RCVD",
        "FIN_WAIT_1",
        "FIN_WAIT_2",
        "TIME_WAIT",
        "CLOSING",
        "LAST_ACK",
        "CLOSED",
    ]
)
"""States in which no client can send or be sent anything any more, or yet.

Some languages of Windows translate them: then such a socket counts as connected until it is gone.
"""
_ROW = re.compile(r"\s*TCP\s+(\S+):([0-9]{1,5})\s+(\S+):([0-9]{1,5})\s*(.*)")
_ORPHAN = re.compile(r"orphan ([0-9]+\.[0-9]+) (.+)")
_STALE = (
    "{0} is there, and names no process that is as old: it may be stale, or hold a number of "
    "Cygwin's; look at the service's process on {1}"
)


class Windows(OperatingSystem):
    """Runs lines of ``cmd.exe`` over the shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @property
    def ledger(self) -> WindowsLedger:
        """Return the ledger that is kept with plain ``cmd.exe``."""
        return WindowsLedger(self._shell)

    async def scripts(self, node: Node) -> frozenset[str]:
        """List the scripts, whose names end in ``.com`` there."""
        return parse_scripts(await self._read(node, self.preview_scripts(node)))

    async def running(self, node: Node, pid_files: Iterable[str]) -> frozenset[str]:
        """Ask PowerShell for the processes of those PID files that are there.

        Nobody says whether they hold numbers of Windows or of Cygwin. A file that is not there has
        no process; one whose number is no process of Windows that is as old leaves it unknown.
        """
        folder = node.below(node.filedrivehome, "var", "run")
        line = f'(dir /b /s /a-d "{folder}\\*.pid" 2>nul)& dir /b "{node.filedrivehome}\\bin" >nul'
        files = parse_pid_files(await self._read(node, line), folder, pid_files)
        if not files:
            return frozenset()
        answer = await self._run(node, processes(folder, files))
        alive = {line.removeprefix("alive ") for line in answer.out.splitlines()}
        for file in files:
            if file not in alive:
                raise OutcomeUnknown(f"{node.name}: {_STALE.format(file, node.name)}")
        return frozenset(files)

    async def sockets(self, machine: Machine) -> tuple[Socket, ...]:
        """Run ``netstat``."""
        text = await self._read(machine, SOCKETS, MAX_LIST)
        return await asyncio.to_thread(parse_sockets, text)

    async def digest(self, machine: Machine, path: str) -> str:
        """Run ``certutil``."""
        return parse_digest(await self._read(machine, f'certutil -hashfile "{path}" SHA256'))

    async def now(self, machine: Machine) -> datetime:
        """Ask ``wmic`` or PowerShell."""
        answer = await self._run(machine, CLOCK)
        return datetime.fromtimestamp(parse_clock(answer.out.replace("\0", "")).now, UTC)

    async def orphaned_files(self, machine: Machine, storage: str) -> frozenset[tuple[str, str]]:
        """Ask PowerShell."""
        text = await self._read(machine, self.preview_orphaned_files(storage), MAX_LIST)
        return await asyncio.to_thread(parse_orphans, text)

    async def ledger_facts(self, machine: Machine) -> LedgerFacts:
        """Read who may write to the ledger, and let a process there outlive its session."""
        return await WindowsFacts(self._shell).ledger(machine)

    async def facts(self, node: Node) -> MachineFacts:
        """Read everything, side by side."""
        return await WindowsFacts(self._shell).read(node, securetransport.needed(node))

    def preview_scripts(self, node: Node) -> str:
        """Return the listing as it is sent."""
        return f'dir /b /a-d "{node.below(node.filedrivehome, "bin")}"'

    def preview_sockets(self) -> str:
        """Return the command that reads sockets."""
        return SOCKETS

    def preview_orphaned_files(self, storage: str) -> str:
        """Return the search as it is sent."""
        # .NET's own epoch and hundreds of nanoseconds; as UTF-8, for names of any language.
        asked = (
            "$ErrorActionPreference='Stop'; [Console]::OutputEncoding=[Text.Encoding]::UTF8; "
            f"Get-ChildItem -LiteralPath {literal(storage)} -Recurse -Force -Filter *.m_inproc | "
            "ForEach-Object { if(-not $_.PSIsContainer){ 'orphan {0}.{1} {2}' -f $_.Length,"
            "[int64](($_.LastWriteTimeUtc.Ticks-621355968000000000)/10000000),$_.FullName } }; "
            "'whole'"
        )
        return f'{POWERSHELL} "{asked}" <nul'

    async def _read(self, machine: Machine, line: str, limit: int = MAX_ANSWER) -> str:
        answer = await self._run(machine, line, limit)
        if answer.status != 0:
            raise OutcomeUnknown(f"{machine.name}: cannot be read: {answer.text}")
        return answer.out

    async def _run(self, machine: Machine, line: str, limit: int = MAX_ANSWER) -> CommandResult:
        return await self._shell.run(machine, command_line(line), limit=limit)


def literal(text: str) -> str:
    """Quote a text for PowerShell."""
    return "'" + text.replace("'", "''") + "'"


def parse_scripts(text: str) -> frozenset[str]:
    """Read which scripts there are, by the names that other systems give them."""
    names = (line.strip() for line in text.splitlines())
    return frozenset(name.replace(".com", "", 1) for name in names if ".com" in name)


def parse_pid_files(text: str, folder: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """Read which of these PID files are there; each is a path with slashes below the folder."""
    there = {PureWindowsPath(line.strip()) for line in text.splitlines() if line.strip()}
    return tuple(file for file in wanted if PureWindowsPath(folder, file) in there)


def processes(folder: str, files: Iterable[str]) -> str:
    """Return the line that prints which PID files have a process that is not younger than they."""
    listed = ",".join(literal(file) for file in files)
    return (
        f'{POWERSHELL} "foreach($f in {listed}){{ $p={literal(folder)}+[char]92+$f; '
        "$n=(Get-Content -LiteralPath $p -TotalCount 1).Trim(); "
        "$q=Get-Process -Id $n -ErrorAction SilentlyContinue; "
        "if($q -and $q.StartTime -le (Get-Item -LiteralPath $p).LastWriteTime.AddSeconds(2))"
        "{ 'alive '+$f } }\" <nul"
    )


def parse_sockets(text: str) -> tuple[Socket, ...]:
    """Read what ``netstat`` prints; OutcomeUnknown without any socket: SSH itself has one."""
    # wine prints the table of IPv4 for IPv6, too; two connections never have the same ends.
    rows = dict.fromkeys(
        found.groups() for line in text.splitlines() if (found := _ROW.match(line))
    )
    try:
        sockets = tuple(
            Socket(_address(local), int(port), _address(peer), listening=int(peer_port) == 0)
            for local, port, peer, peer_port, state in rows
            if state.strip() not in OVER
        )
    except ValueError as strange:
        raise OutcomeUnknown("a line of netstat cannot be read") from strange
    if not rows:
        raise OutcomeUnknown("netstat shows no TCP socket at all")
    return sockets


def _address(text: str) -> Address:
    """Parse an address; a socket of both families shows its IPv4 peers as mapped addresses."""
    address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def parse_orphans(text: str) -> frozenset[tuple[str, str]]:
    """Read what PowerShell prints: each path, with its size and time to tell whether it changes."""
    lines = text.splitlines()
    if "whole" not in lines:
        raise OutcomeUnknown("the search of the storage is incomplete, or PowerShell is missing")
    found = (_ORPHAN.fullmatch(line) for line in lines if line.startswith("orphan "))
    files = [(match[2], match[1]) if match else None for match in found]
    if not all(files):
        raise OutcomeUnknown("the list of files on the storage cannot be read")
    return frozenset(file for file in files if file)
