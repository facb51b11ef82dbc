"""The Linux driver of the operating-system port: commands, and pure parsers of their output."""

import asyncio
import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from activities.ledger.posix import PosixLedger
from activities.nodes import linux_programs
from activities.nodes.linux_facts import (
    facts_command,
    ledger_facts_command,
    parse_digest,
    parse_facts,
    parse_ledger_facts,
)
from activities.nodes.linux_orphans import UNFINISHED, orphans, parse_orphans
from activities.nodes.operating_system import (
    Address,
    LedgerFacts,
    MissingProgram,
    OperatingSystem,
    Socket,
    Use,
)
from activities.transport.answer import MAX_ANSWER, MAX_LIST
from activities.transport.shell_functions import DIGEST, TIMES
from activities.transport.ssh import Command, Shell, script
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts

TABLES = "/proc/net/tcp /proc/net/tcp6"
ESTABLISHED = "01"
CLOSE_WAIT = "08"
"""The client has sent all it has, and may still be sent something."""
LISTENING = "0A"
MAX_DIGITS = 32
"""Of an address."""
CONNECTED = (ESTABLISHED, CLOSE_WAIT)

_SOCKETS = f"""
for table in {TABLES}; do
  if [ "$table" = /proc/net/tcp ] || [ -e "$table" ]; then
    # Most rows of a busy machine are connections that are over.
    awk 'FNR == 1 || $4 ~ /^({"|".join((*CONNECTED, LISTENING))})$/' "$table" || exit 1
  fi
done
echo end
"""

_PROCESSES = (
    TIMES
    + r"""
home=$1; shift
[ -d "$home/bin" ] || { echo "no $home/bin" >&2; exit 1; }
# Linux shows times in hundredths of a second, on every architecture that SecureTransport has.
echo "clock $(getconf CLK_TCK 2>/dev/null || echo 100) $(sed -n 's/^btime //p' /proc/stat)"
for file in "$@"; do
  path=$home/var/run/$file
  [ -e "$path" ] || continue
  pid=$(tr -dc 0-9 <"$path") || exit 1
  stat=
  [ -n "$pid" ] && [ -r "/proc/$pid/stat" ] && read -r stat <"/proc/$pid/stat"
  written=$(file_times "$path")
  written=${written#* }
  echo "pid $file ${written% *}" ${stat##*") "}
done
echo end
"""
)

MAX_START_DELAY = 2.0
"""Seconds: a process that began this much later than its PID file was written is another one."""


class Linux(OperatingSystem):
    """Reads ``/proc`` and runs POSIX commands over the shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @property
    def ledger(self) -> PosixLedger:
        """Return the ledger that is kept with shell scripts."""
        return PosixLedger(self._shell)

    async def scripts(self, node: Node) -> frozenset[str]:
        """List FILEDRIVEHOME/bin."""
        return frozenset((await self._read(node, scripts(node))).split())

    async def running(self, node: Node, pid_files: Iterable[str]) -> frozenset[str]:
        """Compare each PID file with the start time of its process."""
        return parse_processes(await self._read(node, processes(node.filedrivehome, pid_files)))

    async def sockets(self, machine: Machine) -> tuple[Socket, ...]:
        """Read the kernel's TCP tables."""
        text = await self._read(machine, sockets(), MAX_LIST)
        return await asyncio.to_thread(parse_sockets, text)

    async def digest(self, machine: Machine, path: str) -> str:
        """Run ``sha256sum``, or what does the same."""
        return parse_digest(await self._read(machine, script(f'{DIGEST}$digest "$1"', path)))

    async def now(self, machine: Machine) -> datetime:
        """Run ``date``."""
        return parse_clock(await self._read(machine, Command(("date", "+%s"))))

    async def orphaned_files(self, machine: Machine, storage: str) -> frozenset[tuple[str, str]]:
        """Run ``find``."""
        text = await self._read(machine, orphans(storage), MAX_LIST)
        return await asyncio.to_thread(parse_orphans, text)

    async def ledger_facts(self, machine: Machine) -> LedgerFacts:
        """Run the part of that script which concerns the ledger."""
        return parse_ledger_facts(await self._read(machine, ledger_facts_command(machine)))

    async def missing_programs(self, machine: Machine, use: Use) -> tuple[MissingProgram, ...]:
        """Try each of them there."""
        text = await self._read(machine, linux_programs.command(machine, use))
        return linux_programs.parse(text, use)

    async def facts(self, node: Node) -> MachineFacts:
        """Run one script that prints everything."""
        return parse_facts(await self._read(node, facts_command(node)))

    def preview_scripts(self, node: Node) -> str:
        """Return the listing as it is sent."""
        return str(scripts(node))

    def preview_sockets(self) -> str:
        """Return the tables that are read."""
        return f"cat {TABLES}"

    def preview_orphaned_files(self, storage: str) -> str:
        """Return the search; what reads each file's size and time is left out."""
        return f"{Command(('cd', storage))} && find . {UNFINISHED}"

    async def _read(self, machine: Machine, command: Command, limit: int = MAX_ANSWER) -> str:
        answer = await self._shell.run(machine, command, limit=limit)
        if answer.status != 0:
            raise OutcomeUnknown(f"{machine.name}: cannot be read: {answer.text}")
        return answer.out


def scripts(node: Node) -> Command:
    """Return the command that lists the scripts of the installation."""
    return Command(("ls", f"{node.filedrivehome}/bin"))


def sockets() -> Command:
    """Return the command that prints every TCP socket of the machine."""
    return script(_SOCKETS)


def parse_sockets(text: str) -> tuple[Socket, ...]:
    """Read ``/proc/net/tcp`` and ``tcp6``; OutcomeUnknown if they are incomplete."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end" or "local_address" not in lines[0]:
        raise OutcomeUnknown("the kernel's TCP tables are incomplete")
    rows = (line.split(maxsplit=4) for line in lines[:-1] if "local_address" not in line)
    try:
        return tuple(_socket(row) for row in rows if row[3] in (*CONNECTED, LISTENING))
    except (IndexError, ValueError) as strange:
        raise OutcomeUnknown("a line of the kernel's TCP tables cannot be read") from strange


def _socket(row: list[str]) -> Socket:
    local, _, port = row[1].partition(":")
    peer = row[2].partition(":")[0]
    if max(len(local), len(peer)) > MAX_DIGITS:
        raise ValueError(local)
    return Socket(_address(local), int(port[:MAX_DIGITS], 16), _address(peer), row[3] == LISTENING)


@lru_cache(maxsize=4096)
def _address(digits: str) -> Address:
    """Parse the kernel's address: groups of 32 bits, each little endian."""
    groups = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(groups))
    # A socket of both families shows its IPv4 peers as mapped IPv6 addresses.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def processes(home: str, pid_files: Iterable[str]) -> Command:
    """Return the command that prints PID files under ``var/run`` with their processes."""
    return script(_PROCESSES, home, *pid_files)


def parse_processes(text: str) -> frozenset[str]:
    """Read which PID files have a living process of their own; a stale file may remain."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise OutcomeUnknown("the list of PID files is incomplete")
    try:
        _, ticks, boot = lines[0].split()
        return frozenset(
            name
            for name, written, stat in (_pid_line(line) for line in lines[1:-1])
            if stat and int(boot) + int(stat[19]) / int(ticks) <= written + MAX_START_DELAY
            if stat[0] != "Z"
        )
    except (ArithmeticError, IndexError, ValueError) as strange:
        raise OutcomeUnknown("a PID file, or its process, cannot be read") from strange


def _pid_line(line: str) -> tuple[str, float, list[str]]:
    _, name, written, *stat = line.split()
    return name, float(written), stat


def parse_clock(text: str) -> datetime:
    """Read seconds since the epoch."""
    seconds = text.strip()
    # Ten digits until the year 2286: a number that was cut would be a time long ago.
    if not re.fullmatch(r"[0-9]{10}", seconds):
        raise OutcomeUnknown(f"not a time: {seconds[:80]!r}")
    return datetime.fromtimestamp(int(seconds), UTC)
