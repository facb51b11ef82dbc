"""What programs of Windows that wine lacks, or only pretends to have, answer on a machine.

They see what a real Windows would show: the lab's own processes among the machine's, and files of
its drives with the rights that they have. What is not asked for here is refused as a bad option.
"""

import hashlib
import re
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from types import MappingProxyType

import psutil

from lab.layout import NodeLayout
from lab.node.calls import ScriptAnswer, ScriptCall

CIM_TIME = "%Y%m%d%H%M%S.%f+000"
ACCOUNT = "S-1-5-21-1004336348-1177238915-682003330-1001"
OTHERS_MAY_WRITE = 0o022
OTHERS_WRITE = "(A;OICI;FA;;;BU)"
YOUNGER = 2
"""Seconds: the clocks of files and processes are not one."""
STATES = (
    *("", "ESTABLISHED", "SYN_SENT", "SYN_RECEIVED", "FIN_WAIT_1", "FIN_WAIT_2", "TIME_WAIT"),
    *("CLOSED", "CLOSE_WAIT", "LAST_ACK", "LISTENING", "CLOSING", "SYN_RECEIVED"),
)
"""Of a TCP socket, by the kernel's numbers."""
INVALID = ScriptAnswer(1, "Invalid parameter")

Running = Iterable[ScriptCall]
"""The calls of scripts that wait for their answers."""


def answer(call: ScriptCall, node: NodeLayout, running: Running) -> ScriptAnswer:
    """Return what a program prints and how it exits."""
    return ANSWERED[call.script](call.arguments, node, running)


def _certutil(arguments: tuple[str, ...], node: NodeLayout, _: Running) -> ScriptAnswer:
    match [word.lower() for word in arguments]:
        case ["-hashfile", _, "sha256"]:
            shown = arguments[1]
        case _:
            return INVALID
    try:
        digest = hashlib.sha256(file_of(node, PureWindowsPath(shown)).read_bytes()).hexdigest()
    except OSError:
        return ScriptAnswer(2, "CertUtil: -hashfile command FAILED: 0x80070002")
    return ScriptAnswer(
        0, f"SHA256 hash of {shown}:\n{digest}\nCertUtil: -hashfile command completed successfully."
    )


def _wmic(arguments: tuple[str, ...], node: NodeLayout, running: Running) -> ScriptAnswer:
    asked = " ".join(arguments).lower()
    if asked == "os get lastbootuptime,localdatetime /value":
        booted = datetime.fromtimestamp(node.boot_id.stat().st_mtime, UTC)
        return _values({"LastBootUpTime": f"{booted:{CIM_TIME}}", "LocalDateTime": _now()})
    if asked.startswith("process ") and asked.endswith("get commandline"):
        lines = (_command_line(call, node) for call in running)
        return ScriptAnswer(0, "\n".join(["CommandLine", *lines]))
    if asked == "nicconfig get ipaddress":
        return ScriptAnswer(0, f'IPAddress\n{{"{node.address}"}}')
    return ScriptAnswer(44124, "Invalid verb.")


def _netstat(arguments: tuple[str, ...], node: NodeLayout, _: Running) -> ScriptAnswer:
    """Print the machine's own sockets: wine's shows none that listens."""
    if arguments[:2] != ("-an", "-p"):
        return INVALID
    rows = _sockets(node) if arguments[2:] == ("TCP",) else ()
    title = f"  Proto  {'Local Address':<23}{'Foreign Address':<23}State"
    return ScriptAnswer(0, "\n".join(["", "Active Connections", "", title, *rows]))


def _sockets(node: NodeLayout) -> Iterator[str]:
    with Path("/proc/net/tcp").open(encoding="ascii") as lines:
        next(lines)
        for line in lines:
            _, local, peer, state, *_ = line.split(maxsplit=4)
            if (own := _end(local)).startswith(f"{node.address}:"):
                yield f"  TCP    {own:<23}{_end(peer):<23}{STATES[int(state, 16)]}"


def _end(text: str) -> str:
    address, _, port = text.partition(":")
    return f"{socket.inet_ntoa(struct.pack('=I', int(address, 16)))}:{int(port, 16)}"


def _powershell(arguments: tuple[str, ...], node: NodeLayout, _: Running) -> ScriptAnswer:
    """Answer what the product asks; it is no PowerShell, so anything else has no answer."""
    command = " ".join(arguments)
    for asked, found in (("Get-Acl", _rights), ("m_inproc", _orphans), ("Get-Process", _alive)):
        if asked in command:
            return ScriptAnswer(0, "\n".join(found(node, re.findall(r"'([^']*)'", command))))
    return ScriptAnswer(1, "")


def _rights(node: NodeLayout, texts: list[str]) -> Iterator[str]:
    """Print the account, and the rights of a directory and of all above it, as SDDL."""
    yield f"user {ACCOUNT}"
    asked = PureWindowsPath(next(text for text in texts if re.match(r"[A-Za-z]:\\", text)))
    if "\\claims" in texts:
        asked /= "claims"
    for path in (asked, *asked.parents):
        if (file := file_of(node, path)).exists():
            others = OTHERS_WRITE if file.stat().st_mode & OTHERS_MAY_WRITE else ""
            yield f"acl {path}\tO:BAG:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){others}"
    yield "whole"


def _orphans(node: NodeLayout, texts: list[str]) -> Iterator[str]:
    """Print the unfinished files below a directory, with size and time."""
    top = PureWindowsPath(next(text for text in texts if re.match(r"[A-Za-z]:\\", text)))
    root = file_of(node, top)
    for file in root.rglob("*.m_inproc"):
        with suppress(FileNotFoundError):  # it has just been removed
            seen = file.stat()
            yield f"orphan {seen.st_size}.{int(seen.st_mtime)} {top / file.relative_to(root)}"
    yield "whole"


def _alive(node: NodeLayout, texts: list[str]) -> Iterator[str]:
    """Print which PID files have a process that is not younger than they are."""
    folder = PureWindowsPath(next(text for text in texts if re.match(r"[A-Za-z]:\\", text)))
    for name in (text for text in texts if text.endswith(".pid")):
        file = file_of(node, folder / name)
        with suppress(OSError, ValueError, psutil.NoSuchProcess):
            began = psutil.Process(int(file.read_text(encoding="ascii"))).create_time()
            if began <= file.stat().st_mtime + YOUNGER:
                yield f"alive {name}"


ANSWERED: Mapping[str, Callable[[tuple[str, ...], NodeLayout, Running], ScriptAnswer]] = (
    MappingProxyType(
        {"certutil": _certutil, "netstat": _netstat, "powershell": _powershell, "wmic": _wmic}
    )
)
"""By the name of the program."""


def file_of(node: NodeLayout, shown: PureWindowsPath) -> Path:
    """Return the file that the machine's own programs call so; it may not exist."""
    return node.root.joinpath(f"drive_{shown.drive[:1].lower()}", *shown.parts[1:])


def _values(found: Mapping[str, str]) -> ScriptAnswer:
    return ScriptAnswer(0, "\n".join(["", *(f"{name}={text}" for name, text in found.items()), ""]))


def _now() -> str:
    return f"{datetime.now(UTC):{CIM_TIME}}"


def _command_line(call: ScriptCall, node: NodeLayout) -> str:
    return " ".join([f'"{node.seen(node.script(call.script))}"', *call.arguments])
