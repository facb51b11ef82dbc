"""Say who has a file mounted by itself, and keeps an old one after a redirect; pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from workflows.model.checks import Check
from workflows.model.findings import Finding
from workflows.model.text import listed, printable

FOUND = re.compile(r"/proc/(\d+)/mountinfo:(\d+) \d+ \S+ (\S+) (\S+) [^\t]*\t(.*)")
"""The process, the mount, its root in the file system, where it is mounted, the process's name."""
DENIED = re.compile(r"grep: .*denied", re.IGNORECASE)
DELETED = "//deleted"
"""The kernel's mark of a file that was replaced or removed."""


@dataclass(frozen=True)
class Mount:
    """The file, mounted by itself in another place."""

    point: str
    """Where, as its processes see it."""
    process: int
    """One of them; the others have later numbers."""
    name: str
    old: bool
    """Whether the file was replaced since it was mounted."""

    def __str__(self) -> str:
        state = ", and the file was replaced since" if self.old else ""
        return f"{self.name} (process {self.process}) has it mounted at {self.point}{state}"


def mounts(printed: str) -> tuple[Mount, ...]:
    """Return each mount that the script ``MOUNTED`` found, with the first of its processes."""
    found = dict[str, Mount]()
    lines = (line for line in map(FOUND.fullmatch, printed.splitlines()) if line)
    for process, mount, root, point, name in sorted(
        (line.groups() for line in lines), key=lambda groups: int(groups[0])
    ):
        one = Mount(_unescaped(point), int(process), printable(name), root.endswith(DELETED))
        found.setdefault(mount, one)
    return tuple(found.values())


def denied(printed: str) -> str | None:
    """Return why there may be more mounts than were found; None where all were looked at."""
    number = len(DENIED.findall(printed))
    return f"what {number} processes have mounted may not be read" if number else None


def judged(
    found: tuple[Mount, ...], check: Check, place: str, file: str, write: str
) -> Iterator[Finding]:
    """Yield the finding that what a redirect writes is not seen by everyone."""
    if not found:
        return
    moves = {
        "restart what has the old file, so that it mounts the present one": any(
            one.old for one in found
        ),
        "write `write: in_place` for this host in the estate, so that a redirect keeps the file "
        "that is mounted": write == "replace",
    }
    yield check.finding(
        place,
        seen=f"{file}: {listed(map(str, found))}",
        expected=f"nothing that keeps an old {file} when a redirect has written a new one",
        advice="; ".join(move for move, needed in moves.items() if needed),
    )


def _unescaped(field: str) -> str:
    """Return a field of ``mountinfo``, in which the kernel writes blanks as octal numbers."""
    text = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
    return printable(text)
