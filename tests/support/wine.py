"""A machine of Windows, as far as wine is one: its ``cmd.exe`` behind an SSH server."""

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import asyncssh
import pytest

from tests.support.ssh_machines import SshServer, make_node
from workflows.model.estate import Node

PROGRAMS = ("wine", "wineserver")
needs_wine = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="wine is not installed (scripts/debian installs it)",
)
OWN_SID = "S-1-5-21-1-2-3-1001"
FULL = f"(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{OWN_SID})"
PRIVATE = f"O:{OWN_SID}G:S-1-5-21-1-2-3-513D:PAI{FULL}"
ROOT = "O:SYG:SYD:PAI(A;;LC;;;AU)(A;OICIIO;SDGXGWGR;;;AU)(A;;FA;;;SY)(A;OICI;0x1200a9;;;BU)"

# wine has PowerShell and certutil only by name, and its netstat shows no listeners. These answer
# what is asked of them here, and nothing else: PowerShell makes no process, so `start` is left.
POWERSHELL = r"""@echo off
echo %* | find.exe "Get-Acl" >nul
if not errorlevel 1 type C:\stand-ins\rights.txt
echo %* | find.exe "Get-Process" >nul
if not errorlevel 1 type C:\stand-ins\alive.txt
echo %* | find.exe "m_inproc" >nul
if not errorlevel 1 type C:\stand-ins\orphans.txt
exit /b 0
"""
NETSTAT = r"""@echo off
type C:\stand-ins\sockets.txt
"""
CERTUTIL = r"""@echo off
cscript.exe //nologo C:\stand-ins\sha256.js %2
"""
SHA256 = r"""
var fso = new ActiveXObject("Scripting.FileSystemObject"), path = WScript.Arguments(0);
if (!fso.FileExists(path)) { WScript.Echo("CertUtil: file not found"); WScript.Quit(2); }
var file = fso.OpenTextFile(path, 1), text = file.AtEndOfStream ? "" : file.ReadAll();
function root(n, power) {
  var x = Math.pow(n, 1 / power);
  return ((x - Math.floor(x)) * 4294967296) | 0;
}
var k = [], h = [], n = 2;
while (k.length < 64) {
  var prime = true;
  for (var d = 2; d * d <= n; d++) if (n % d == 0) prime = false;
  if (prime) { if (h.length < 8) h.push(root(n, 2)); k.push(root(n, 3)); }
  n++;
}
var bytes = [];
for (var i = 0; i < text.length; i++) bytes.push(text.charCodeAt(i) & 255);
var bits = bytes.length * 8;
bytes.push(128);
while (bytes.length % 64 != 56) bytes.push(0);
bytes.push(0, 0, 0, 0, (bits >>> 24) & 255, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255);
function turn(x, by) { return (x >>> by) | (x << (32 - by)); }
for (var at = 0; at < bytes.length; at += 64) {
  var w = [];
  for (i = 0; i < 64; i++) {
    if (i < 16) {
      var b = at + 4 * i;
      w[i] = (bytes[b] << 24) | (bytes[b + 1] << 16) | (bytes[b + 2] << 8) | bytes[b + 3];
    } else {
      var p = w[i - 15], q = w[i - 2];
      w[i] = (w[i - 16] + w[i - 7] + (turn(p, 7) ^ turn(p, 18) ^ (p >>> 3)) +
        (turn(q, 17) ^ turn(q, 19) ^ (q >>> 10))) | 0;
    }
  }
  var v = h.slice(0);
  for (i = 0; i < 64; i++) {
    var e = v[4], a = v[0];
    var one = (v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & v[5]) ^ (~e & v[6])) +
      k[i] + w[i]) | 0;
    var two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]))) | 0;
    v = [(one + two) | 0, a, v[1], v[2], (v[3] + one) | 0, e, v[5], v[6]];
  }
  for (i = 0; i < 8; i++) h[i] = (h[i] + v[i]) | 0;
}
var digits = "";
for (i = 0; i < 8; i++) {
  var word = (h[i] >>> 0).toString(16);
  while (word.length < 8) word = "0" + word;
  digits += word;
}
WScript.Echo("SHA256 hash of " + path + ":");
WScript.Echo(digits);
WScript.Echo("CertUtil: -hashfile command completed successfully.");
"""
STAND_INS = {
    "powershell.cmd": POWERSHELL,
    "netstat.cmd": NETSTAT,
    "certutil.cmd": CERTUTIL,
    "sha256.js": SHA256,
}


@dataclass
class Wine:
    """A prefix of its own, with its server."""

    prefix: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What wine's programs need; it cuts the offset of any other time zone."""
        own = {
            "WINEPREFIX": str(self.prefix),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "winemenubuilder.exe=d;mscoree=d;mshtml=d",
            "WINEPATH": r"C:\stand-ins",
            "TZ": "UTC",
        }
        return {**{k: v for k, v in os.environ.items() if k != "DISPLAY"}, **own}

    def local(self, path: str) -> Path:
        """Return where a path of drive C is."""
        return self.prefix.joinpath("drive_c", *PureWindowsPath(path).parts[1:])

    def boot(self) -> None:
        """Let its server run, and with it the time since the last boot begin."""
        self._run("wineserver", "-p")
        # What wine starts with its first program keeps the streams that this has.
        self._run("wine", "cmd", "/c", "echo")

    def shut_down(self) -> None:
        """End its server and every process."""
        self._run("wineserver", "-k")
        self._run("wineserver", "-w")

    def rights(self, ledger: str, *, own: str = PRIVATE, above: str = ROOT) -> None:
        """Let PowerShell say who may write to a ledger."""
        folders = [str(folder) for folder in PureWindowsPath(ledger).parents]
        lines = [f"user {OWN_SID}", f"acl {ledger}\t{own}", *(f"acl {f}\t{above}" for f in folders)]
        self.write(r"C:\stand-ins\rights.txt", "\n".join((*lines, "whole", "")))

    def write(self, path: str, text: str) -> None:
        """Put a file there."""
        file = self.local(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.replace("\n", "\r\n").encode())

    def processes(self, word: str, *, without: str | None = None) -> list[int]:
        """Return the processes of this machine with this in their command line, and not that."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                own = f"WINEPREFIX={self.prefix}\0".encode() in (place / "environ").read_bytes()
                if own and word in line and (without is None or without not in line):
                    found.append(int(place.name))
        return found

    def _run(self, *argv: str) -> None:
        silent = subprocess.DEVNULL
        subprocess.run(
            argv, env=self.environment, stdin=silent, stdout=silent, stderr=silent, check=False
        )


def booted(prefix: Path) -> Iterator[Wine]:
    """Yield a machine that was just made, and shut it down afterwards."""
    wine = Wine(prefix)
    wine.boot()
    for name, text in STAND_INS.items():
        wine.write(rf"C:\stand-ins\{name}", text)
    yield wine
    wine.shut_down()


@dataclass
class WindowsServer(SshServer):
    """OpenSSH for Windows: it hands each line to ``cmd.exe /c``, and ends with it.

    Each line reaches wine's ``cmd.exe`` as it is by way of another one, whose only command is a
    variable: on its own command line, wine would quote it once more.
    """

    wine: Wine = field(kw_only=True)
    harsh: bool = False
    """Whether a session's own processes are killed when its connection is lost."""
    file_limit: int | None = None
    """Bytes after which no file grows: as on a disk that is full."""

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Run one line and pass on what it prints."""
        line = process.command or ""
        self.commands.append(line)
        # What a line starts has its streams: so these are files, and are read when it has ended.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = await asyncio.create_subprocess_exec(
                *("wine", r"C:\windows\system32\cmd.exe", "/c", "cmd", "/c", "%SSHLINE%"),
                env={**self.wine.environment, "SSHLINE": line},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=None if self.file_limit is None else self._limit_files,
            )
            connection = process.get_extra_info("connection")
            killing = asyncio.create_task(self._kill_with(connection, line)) if self.harsh else None
            status = await child.wait()
            if killing is not None:
                killing.cancel()
            with suppress(OSError):
                for file, stream in ((out, process.stdout), (err, process.stderr)):
                    file.seek(0)
                    stream.write(file.read())
                process.exit(status)

    def _limit_files(self) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.file_limit or 0,) * 2)

    async def _kill_with(self, connection: asyncssh.SSHServerConnection, line: str) -> None:
        await connection.wait_closed()
        mark = line.split(" begin", 1)[0].rpartition(" ")[2]
        for pid in await asyncio.to_thread(self.wine.processes, mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def make_windows_node(server: WindowsServer, root: Path, name: str, **given: object) -> Node:
    """Return a node whose installation and ledger are on the machine behind the server."""
    ledger = rf"C:\ledgers\{name}"
    facts: dict[str, object] = {
        "system": "windows",
        "filedrivehome": rf"C:\Axway & Co\{name}\SecureTransport",
        "ledger": ledger,
        **given,
    }
    node = make_node(server, root, name, **facts)
    for folder in (node.ledger, node.below(node.filedrivehome, "bin")):
        server.wine.local(folder).mkdir(parents=True, exist_ok=True)
    server.wine.rights(node.ledger)
    return node
