"""Read the facts about a node of Windows, side by side, and parse what is printed."""

import asyncio
import ipaddress
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence

from activities.ledger.windows import WindowsLedger
from activities.ledger.windows_clock import POWERSHELL
from activities.ledger.windows_lines import launch
from activities.ledger.windows_rights import exposed, rights
from activities.nodes.operating_system import LedgerFacts
from activities.transport.answer import MAX_LIST
from activities.transport.commands import command_line
from activities.transport.ssh import Shell
from activities.transport.windows_framing import echoed
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine, Node
from workflows.model.observations import MachineFacts
from workflows.model.windows import UNSAFE

MAX_CONF_FILES = 500
DIGEST_DIGITS = 16
MAX_ADDRESSES = 200
PORTION = 5000
"""Characters of one line that digests files."""
LIVES_WITHIN = 10.0
"""Seconds for a process to be made, and to be found by another session."""
LIVES = 60
"""Turns of about a second after which a process that was made for a check ends at the latest."""
LOOK_INTERVAL = 0.5
PROBE = "probe."
"""Begins the name of a directory that a process of a check has."""
MAX_REMOVED = 50

_ADDRESS = re.compile(r'"([0-9A-Fa-f.:]+)(%[0-9]+)?"')
_STOPPING = re.compile(r"[\\/]stop_([a-z0-9]+)\.com\b.* -g\b", re.IGNORECASE)
_LEFT = re.compile(r"probe\.[0-9a-f]{16}")
_NUMBERS = re.compile(r"[0-9]+")


class WindowsFacts:
    """Reads what a switchover depends on."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def read(self, node: Node, needed: Collection[str]) -> MachineFacts:
        """Return everything."""
        ledger, files, scripts, addresses, pending = await asyncio.gather(
            self.ledger(node),
            self._conf(node),
            self._scripts(node, needed),
            self._addresses(node),
            self._pending(node),
        )
        return MachineFacts(
            user=ledger.user,
            # What a script writes has the rights of its directory, whoever runs it.
            owner=None if scripts is None else ledger.user,
            system="Windows",
            unusable=scripts or (),
            ledger_writable=ledger.writable,
            ledger_exposed=ledger.exposed,
            ledger_free=ledger.free,
            kills_processes=ledger.kills_processes,
            conf=files,
            addresses=addresses,
            pending=pending,
        )

    async def ledger(self, machine: Machine) -> LedgerFacts:
        """Return what the machine's ledger depends on."""
        text, why = await asyncio.gather(
            self._run(
                machine,
                f"whoami& echo free& (if exist {machine.ledger} (dir /-c {machine.ledger}))& "
                rf"echo left& (dir /b /ad {machine.ledger}\{PROBE}* 2>nul)",
            ),
            self._exposed(machine),
        )
        text, _, left = text.partition("\nleft\n")
        head, _, listing = text.partition("\nfree\n")
        user = head.strip().splitlines()[-1:]
        if not user:
            raise OutcomeUnknown(f"{machine.name}: whoami does not answer")
        writable = bool(listing.strip())
        await self._remove_empty(machine, left.split())
        kills = await self._kills(machine) if writable else None
        return LedgerFacts(
            user=user[0],
            writable=writable and kills is not None,
            free=parse_free(listing) if writable else 0,
            kills_processes=kills,
            exposed=why,
        )

    async def _remove_empty(self, machine: Machine, names: Iterable[str]) -> None:
        """Remove what the processes of earlier checks left: a directory with nothing in it."""
        places = (machine.below(machine.ledger, n) for n in names if _LEFT.fullmatch(n))
        if lines := [f"(rmdir {place} 2>nul)" for place in places][:MAX_REMOVED]:
            await self._run(machine, "& ".join(lines))

    async def _exposed(self, machine: Machine) -> str | None:
        text = await self._run(machine, rights(machine.ledger))
        try:
            return exposed(text, machine.ledger)
        except OutcomeUnknown as unknown:
            return str(unknown)

    async def _kills(self, machine: Machine) -> bool | None:
        """Return whether a process ends with its session; None where none could be prepared.

        One is made as the ledger makes them. Another session, later, sees whether it lives.
        """
        place = machine.below(machine.ledger, f"{PROBE}{secrets.token_hex(8)}")
        prepared = await self._run(machine, outliving(machine.ledger, place))
        if "prepared" not in prepared.split():
            return None
        clock = asyncio.get_running_loop().time
        deadline = clock() + LIVES_WITHIN
        while clock() < deadline:
            await asyncio.sleep(LOOK_INTERVAL)
            if "living" in (await self._run(machine, found_living(place))).split():
                return False
        await self._run(machine, f"rmdir /s /q {place} 2>nul")
        return True

    async def _scripts(self, node: Node, needed: Iterable[str]) -> tuple[str, ...] | None:
        """Return which scripts are missing; None without an installation."""
        folder = node.below(node.filedrivehome, "bin")
        text = await self._run(
            node, f'(if exist "{folder}" (echo bin))& (dir /b /a-d "{folder}" 2>nul)'
        )
        names = {line.strip().lower() for line in text.splitlines()}
        if "bin" not in names:
            return None
        # The scripts of a disabled server are renamed.
        endings = (".com", ".com.disable")
        return tuple(
            name
            for name in needed
            if not node.is_path(name)
            and not names & {f"{name.lower()}{ending}" for ending in endings}
        )

    async def _conf(self, node: Node) -> dict[str, str]:
        folder = node.below(node.filedrivehome, "conf")
        line = f'(if exist "{folder}" (echo conf))& (dir /b /s /a-d "{folder}" 2>nul)'
        there, *found = (
            await self._run(node, f"echo.& {line}", MAX_LIST)
        ).strip().splitlines() or [""]
        paths = [path.strip() for path in found if path.strip()] if there.strip() == "conf" else []
        if len(paths) > MAX_CONF_FILES:
            raise OutcomeUnknown(
                f"there are {len(paths)} files under conf, more than {MAX_CONF_FILES}"
            )
        for path in paths:
            if UNSAFE.search(path) or not path.lower().startswith(f"{folder.lower()}\\"):
                raise OutcomeUnknown(f"a file under conf cannot be read: {path[:200]!r}")
        digests: list[str] = []
        for portion in portions(paths):
            lines = (f'echo file& certutil -hashfile "{path}" SHA256' for path in portion)
            text = await self._run(node, "& ".join(lines), MAX_LIST)
            digests += [parse_digest(part) for part in f"\n{text}".split("\nfile\n")[1:]]
        if len(digests) != len(paths):
            raise OutcomeUnknown(f"only {len(digests)} of {len(paths)} files under conf were read")
        names = (path[len(folder) + 1 :].replace("\\", "/") for path in paths)
        return dict(zip(names, (digest[:DIGEST_DIGITS] for digest in digests), strict=True))

    async def _addresses(self, node: Node) -> tuple[str, ...]:
        asked = (
            "Get-CimInstance Win32_NetworkAdapterConfiguration | ForEach-Object { $_.IPAddress } |"
            " ForEach-Object { [char]34+$_+[char]34 }"
        )
        line = _either("wmic nicconfig get IPAddress", asked)
        return parse_addresses(await self._run(node, line))

    async def _pending(self, node: Node) -> tuple[str, ...]:
        line = _either(
            "wmic process get CommandLine",
            "Get-CimInstance Win32_Process | ForEach-Object { $_.CommandLine }",
        )
        claimed, text = await asyncio.gather(
            WindowsLedger(self._shell).pending_stops(node), self._run(node, line, MAX_LIST)
        )
        home = node.filedrivehome.lower()
        lines = text.replace("\0", "").splitlines()
        stopping = {
            found[1] for line in lines if home in line.lower() and (found := _STOPPING.search(line))
        }
        return tuple(sorted({*claimed, *stopping}))

    async def _run(self, machine: Machine, line: str, limit: int = MAX_LIST) -> str:
        return (await self._shell.run(machine, command_line(line), limit=limit)).out


def _either(wmic: str, powershell: str) -> str:
    return f'({wmic} <nul 2>nul)& (if errorlevel 1 ({POWERSHELL} "{powershell}" <nul 2>nul))'


def outliving(ledger: str, place: str) -> str:
    """Return the line that lets a process loose that waits in a directory of its own."""
    batch = (
        "@echo off",
        rf"mkdir {place}\alive",
        rf"cd /d {place}\alive",
        "if errorlevel 1 exit",
        rf">{place}\begun echo 0",
        rf"for /l %%i in (1,1,{LIVES}) do if not exist {place}\stop ping -n 2 127.0.0.1 >nul",
        f"cd /d {ledger}",
        f"rmdir /s /q {place}",
    )
    launched = launch(rf"{place}\run.cmd")
    written = "& ".join(rf"(>>{place}\run.cmd echo {echoed(line)})" for line in batch)
    return (
        rf"mkdir {place} 2>nul& {written}& "
        rf"(if exist {place}\run.cmd (echo prepared& {launched}))"
    )


def found_living(place: str) -> str:
    """Return the line that prints whether a process is in its directory, and lets it end."""
    alive = rf"{place}\alive"
    return (
        rf"(if exist {place}\begun (rmdir {alive} 2>nul))& "
        rf"(if exist {place}\begun (if exist {alive} (echo living& (>{place}\stop echo 0))))"
    )


def portions(paths: Sequence[str]) -> Iterator[list[str]]:
    """Yield paths in portions that one line can name."""
    portion: list[str] = []
    for path in paths:
        if portion and sum(len(one) + 60 for one in (*portion, path)) > PORTION:
            yield portion
            portion = []
        portion.append(path)
    if portion:
        yield portion


def parse_digest(text: str) -> str:
    """Read what ``certutil`` prints; older ones put blanks between the bytes."""
    lines = (line.replace(" ", "").strip().lower() for line in text.splitlines())
    found = [line for line in lines if re.fullmatch("[0-9a-f]{64}", line)]
    if len(found) != 1:
        raise OutcomeUnknown(f"not a SHA-256: {text.strip()[:80]!r}")
    return found[0]


def parse_free(text: str) -> int:
    """Read the free bytes: the second number of the last line of a listing."""
    lines = [line for line in text.splitlines() if line.strip()]
    numbers = _NUMBERS.findall(lines[-1]) if lines else []
    if len(numbers) != 2:  # noqa: PLR2004 - directories and bytes
        raise OutcomeUnknown(f"the free bytes cannot be read: {''.join(lines[-1:])[:80]!r}")
    return int(numbers[1])


def parse_addresses(text: str) -> tuple[str, ...]:
    """Read the addresses between quotes; none if there are too many."""
    found = (_ip(match[1]) for match in _ADDRESS.finditer(text.replace("\0", "")))
    own = sorted({address for address in found if address})
    return tuple(own) if len(own) <= MAX_ADDRESSES else ()


def _ip(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if address.is_loopback else str(address)
