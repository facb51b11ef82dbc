"""The programs that scripts need on a Linux machine, and how a machine is asked for them.

Each is tried with what the scripts use of it. Only the shell itself does that, so that a machine
without any program says so, too. Whatever else a script uses it does without, where it is missing.
"""

from dataclasses import dataclass
from enum import StrEnum

from activities.nodes.operating_system import MissingProgram, Use
from activities.transport.shell_functions import DIGEST, TIMES
from activities.transport.ssh import Command, script
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine

INSTALL = "install what is missing, or set the PATH that commands of this user have over SSH"
LINUX = (
    "mount /proc, and show this user all of it; `system: linux` is for Linux, and for no other Unix"
)

BOOT_ID = "name a file as boot_id that changes with every boot"


class Purpose(StrEnum):
    """What scripts do with a program."""

    PROCESSES = "to know which process is running"
    RECORD = "to record each command before it runs"
    DETACH = "to let a command outlive its session"
    FACTS = "to read what the machine is like"
    SERVICES = "to read services and sessions"
    FILES = "to compare configuration files"
    STORAGE = "to compare the storages"
    EDIT = "to edit the load balancer's files"
    LIMIT = "to run a site's command, and to end one that hangs"


@dataclass(frozen=True)
class Program:
    """A program, or several of which one is enough."""

    name: str
    purpose: Purpose
    works: str
    """A shell command that fails where it is missing, or cannot do what is needed."""
    advice: str = INSTALL


def _there(purpose: Purpose, *names: str) -> tuple[Program, ...]:
    """Return programs of which nothing is used that POSIX does not have."""
    return tuple(Program(name, purpose, f"command -v {name}") for name in names)


_LEDGER = (
    Program(
        "/proc of Linux",
        Purpose.PROCESSES,
        "read -r first </proc/$$/stat && read -r first </proc/stat",
        LINUX,
    ),
    Program("readable boot_id", Purpose.PROCESSES, 'read -r first <"$boot_id"', BOOT_ID),
    Program("date with +%s", Purpose.RECORD, "case $(date +%s) in '' | *[!0-9]*) false ;; esac"),
    Program("dd with conv=fsync", Purpose.RECORD, '[ "$(echo yes | dd conv=fsync)" = yes ]'),
    Program("ls with -ldn", Purpose.RECORD, "ls -ldn /"),
    Program("id with -un", Purpose.RECORD, "id -un && id -u"),
    Program("tail with -c", Purpose.RECORD, '[ "$(echo yes | tail -c 3)" = es ]'),
    *_there(Purpose.RECORD, "cat", "ln", "mkdir", "mv", "rm"),
    Program("setsid or nohup", Purpose.DETACH, "setsid sh -c : || nohup sh -c :"),
    Program("df with -Pk", Purpose.FACTS, "df -Pk /"),
    Program(
        "awk",
        Purpose.FACTS,
        """[ "$(awk 'BEGIN { printf "%010.0f", 7 }' </dev/null)" = 0000000007 ]""",
    ),
    Program("grep with -Fqx", Purpose.FACTS, "echo -g | grep -Fqx -e -g"),
    *_there(Purpose.FACTS, "sed"),
)

_EDGE = (
    *_LEDGER,
    *_there(Purpose.FACTS, "uname", "head", "tr"),
    Program("/proc/net/tcp", Purpose.SERVICES, "read -r first </proc/net/tcp", LINUX),
    Program("stat or perl", Purpose.SERVICES, "file_times /"),
    Program(
        "sha256sum, shasum or openssl",
        Purpose.FILES,
        "case $(echo yes | $digest) in 5040*) ;; *) false ;; esac",
    ),
    Program("find with -exec {} +", Purpose.FILES, "find / -prune -exec sh -c : {} +"),
)

_SERVER = (
    *_EDGE,
    Program("find with -print0", Purpose.STORAGE, "find / -prune -print0"),
    Program(
        "xargs with -0 and -r",
        Purpose.STORAGE,
        """[ "$(printf 'a  b\\0' | xargs -0 -r sh -c 'echo "$1"' sh)" = 'a  b' ]""",
    ),
    Program("base64 with -d", Purpose.STORAGE, '[ "$(echo eWVz | base64 -d)" = yes ]'),
    Program("timeout", Purpose.STORAGE, "timeout 5 sh -c :"),
    *_there(Purpose.STORAGE, "env", "sort"),
)

_EDITED_FILE = (
    *_LEDGER,
    Program("head with -c", Purpose.EDIT, '[ "$(echo yes | head -c 2)" = ye ]'),
    *_there(Purpose.EDIT, "cksum", "cp", "cut", "mktemp", "sleep", "wc"),
)

_SITE_COMMAND = (
    *_LEDGER,
    Program("timeout with -k", Purpose.LIMIT, "timeout -k 1 5 sh -c :"),
    *_there(Purpose.LIMIT, "sleep"),
)

PROGRAMS = {
    Use.EDGE: _EDGE,
    Use.SERVER: _SERVER,
    Use.EDITED_FILE: _EDITED_FILE,
    Use.SITE_COMMAND: _SITE_COMMAND,
    Use.LEDGER: _LEDGER,
}
"""What is needed on each kind of machine."""


def command(machine: Machine, use: Use) -> Command:
    """Return the command that prints which of them do not work there."""
    tried = (
        f"( {program.works} ) </dev/null >/dev/null 2>&1 || echo {number}\n"
        for number, program in enumerate(PROGRAMS[use])
    )
    return script(f"boot_id=$1\n{TIMES}{DIGEST}{''.join(tried)}echo end", machine.boot_id)


def parse(text: str, use: Use) -> tuple[MissingProgram, ...]:
    """Read the answer; OutcomeUnknown if it is not whole."""
    *numbers, end = text.split() or [""]
    programs = PROGRAMS[use]
    if end != "end" or not set(numbers) <= set(map(str, range(len(programs)))):
        raise OutcomeUnknown(f"the list of missing programs is incomplete: {text[:80]!r}")
    return tuple(_missing(programs[int(number)]) for number in numbers)


def _missing(program: Program) -> MissingProgram:
    return MissingProgram(program.name, program.purpose, program.advice)


def table() -> str:
    """Return the table of docs/machines.md: what for, the programs, and on which machines."""
    machines: dict[tuple[Purpose, str], list[Use]] = {}
    for use, programs in PROGRAMS.items():
        for program in programs:
            machines.setdefault((program.purpose, program.name), []).append(use)
    rows: dict[tuple[Purpose, str], list[str]] = {}
    for (purpose, name), uses in machines.items():
        where = "all" if len(uses) == len(PROGRAMS) else ", ".join(uses)
        rows.setdefault((purpose, where), []).append(name)
    lines = (
        f"| {purpose} | {'; '.join(names)} | {where} |" for (purpose, where), names in rows.items()
    )
    return "\n".join(("| what for | needed | on which machines |", "|---|---|---|", *lines))
