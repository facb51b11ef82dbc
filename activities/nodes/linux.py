"""What does a Linux machine itself know: processes, ports, connections, digests, its clock?

Commands and pure parsers. A reading that is not whole is never taken for "nothing there".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from activities.transport.ssh import Command, script
from workflows.errors import OutcomeUnknown

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

TABLES = "/proc/net/tcp /proc/net/tcp6"
ESTABLISHED = "01"
LISTENING = "0A"

_SOCKETS = f"""
for table in {TABLES}; do
  if [ "$table" = /proc/net/tcp ] || [ -e "$table" ]; then
    # Most rows of a busy machine are connections that are over.
    awk 'FNR == 1 || $4 == "{ESTABLISHED}" || $4 == "{LISTENING}"' "$table" || exit 1
  fi
done
echo end
"""

_PROCESSES = """
home=$1; shift
[ -d "$home/bin" ] || { echo "no $home/bin" >&2; exit 1; }
echo "clock $(getconf CLK_TCK) $(sed -n 's/^btime //p' /proc/stat)"
for file in "$@"; do
  path=$home/var/run/$file
  [ -e "$path" ] || continue
  pid=$(tr -dc 0-9 <"$path") || exit 1
  stat=
  [ -n "$pid" ] && [ -r "/proc/$pid/stat" ] && read -r stat <"/proc/$pid/stat"
  echo "pid $file $(stat -c %Y "$path") ${stat##*) }"
done
echo end
"""

# A login shell may print what it likes before the first.
_ORPHAN = re.compile(r"(?:.*\n)?(?P<state>[0-9]+\.[0-9]+(\.[0-9]+)?) (?P<path>/.+)", re.DOTALL)

REUSED_AFTER = 2.0
"""Seconds: a process that began this much later than its PID file was written is another one."""


@dataclass(frozen=True)
class Socket:
    """One line of the kernel's TCP tables."""

    local: Address
    port: int
    peer: Address
    state: str


def sockets() -> Command:
    """Ask for every TCP socket of the machine."""
    return script(_SOCKETS)


def parse_sockets(text: str) -> tuple[Socket, ...]:
    """Read ``/proc/net/tcp`` and ``tcp6``; OutcomeUnknown where the reading is not whole."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end" or "local_address" not in lines[0]:
        raise OutcomeUnknown("the kernel's TCP tables could not be read whole")
    rows = [line.split() for line in lines[:-1] if "local_address" not in line]
    try:
        return tuple(_socket(row) for row in rows)
    except (IndexError, ValueError) as strange:
        raise OutcomeUnknown("a line of the kernel's TCP tables cannot be read") from strange


def _socket(row: list[str]) -> Socket:
    local, _, port = row[1].partition(":")
    peer = row[2].partition(":")[0]
    return Socket(_address(local), int(port, 16), _address(peer), row[3])


@lru_cache(maxsize=4096)
def _address(digits: str) -> Address:
    """Turn the kernel's words of 32 bits, each little endian, into an address."""
    words = [bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    # A socket of both families shows its IPv4 peers in IPv6's clothes.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@dataclass(frozen=True)
class SocketFilter:
    """Which sockets concern one node: its own addresses (empty: any), less ignored peers."""

    listen_on: tuple[str, ...]
    ignored_peers: tuple[str, ...] = ()

    def sessions(self, sockets: Iterable[Socket], ports: Iterable[int]) -> int:
        """Count the established connections to these ports."""
        wanted = set(ports)
        return sum(
            1
            for socket in sockets
            if socket.state == ESTABLISHED
            and socket.port in wanted
            and self._ours(socket.local)
            and not self._ignores(socket.peer)
        )

    def listening(self, sockets: Iterable[Socket]) -> frozenset[int]:
        """Every port that the node accepts connections on."""
        return frozenset(
            socket.port
            for socket in sockets
            if socket.state == LISTENING
            and (socket.local.is_unspecified or self._ours(socket.local))
        )

    def ignores(self, peer: str) -> bool:
        """Whether connections from there do not count as sessions."""
        try:
            return self._ignores(ipaddress.ip_address(peer))
        except ValueError:
            return peer in self.ignored_peers

    def _ours(self, local: Address) -> bool:
        return not self.listen_on or str(local) in self.listen_on

    def _ignores(self, peer: Address) -> bool:
        return any(peer in network for network in _networks(self.ignored_peers))


def _networks(peers: tuple[str, ...]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for peer in peers:
        try:
            yield ipaddress.ip_network(peer, strict=False)
        except ValueError:
            continue  # a name: it is compared as text


def processes(home: str, pid_files: Iterable[str]) -> Command:
    """Ask which PID files under ``var/run`` exist, and what their processes are."""
    return script(_PROCESSES, home, *pid_files)


def parse_processes(text: str) -> frozenset[str]:
    """Read which PID files have a living process of their own; a stale one may remain.

    A process that is younger than its PID file is somebody else's: the number was used again.
    """
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise OutcomeUnknown("the PID files could not be read whole")
    try:
        _, ticks, boot = lines[0].split()
        return frozenset(
            name
            for name, written, stat in (_pid_line(line) for line in lines[1:-1])
            if stat and int(boot) + int(stat[19]) / int(ticks) <= written + REUSED_AFTER
            if stat[0] != "Z"
        )
    except (ArithmeticError, IndexError, ValueError) as strange:
        raise OutcomeUnknown("a PID file, or its process, cannot be read") from strange


def _pid_line(line: str) -> tuple[str, float, list[str]]:
    _, name, written, *stat = line.split()
    return name, float(written), stat


def digest(path: str) -> Command:
    """Ask for the SHA-256 of a file."""
    return Command(("sha256sum", path))


def parse_digest(text: str) -> str:
    """Read what ``sha256sum`` prints."""
    word = text.strip().lstrip("\\").split(" ")[0]
    if len(word) != 64 or not set(word) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits
        raise OutcomeUnknown(f"not a SHA-256: {text.strip()[:80]!r}")
    return word


def clock() -> Command:
    """Ask what time it is there."""
    return Command(("date", "+%s"))


def parse_clock(text: str) -> datetime:
    """Read seconds since the epoch."""
    word = text.strip()
    # Ten digits until the year 2286: one that was cut would be a time long ago.
    if not re.fullmatch(r"[0-9]{10}", word):
        raise OutcomeUnknown(f"not a time: {word[:80]!r}")
    return datetime.fromtimestamp(int(word), UTC)


def orphans(storage: str) -> Command:
    """Ask for the files that a Transaction Manager stopped in mid-work leaves (section 5)."""
    # A file that goes away meanwhile is no error; a storage that cannot be read is one. It is
    # itself what is seen last: that says that the answer is whole.
    words = ("find", "-H", storage, "-depth", "-ignore_readdir_race")
    files = ("-type", "f", "-name", "*.m_inproc", "-printf", "%s.%T@ %p\\0")
    return Command((*words, *files, "-o", "-samefile", storage, "-printf", "end\\n"))


def parse_orphans(text: str) -> frozenset[tuple[str, str]]:
    """Read what ``find`` prints: each path, with its size and time to tell whether it changes."""
    *files, end = text.split("\0")
    if end.splitlines()[-1:] != ["end"] or not end.endswith("\n"):
        raise OutcomeUnknown("the storage could not be looked through whole")
    found = [_ORPHAN.fullmatch(file) for file in files]
    if not all(found):
        raise OutcomeUnknown("what lies on the storage cannot be read")
    return frozenset((file["path"], file["state"]) for file in found if file)
