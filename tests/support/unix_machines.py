"""Unix machines with few programs: what ``sh`` is, and what else commands over SSH find."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.nodes.linux_programs import PROGRAMS
from activities.nodes.operating_system import Use

INTERPRETERS = ("dash", "busybox", "ksh93", "mksh", "bash")
"""Shells that a machine may have as ``sh``."""
LOGIN_SHELLS = ("csh", "tcsh", "fish", "zsh", "ksh93", "mksh", "busybox", "bash")
NOT_IN_BUSYBOX = ("cksum",)
"""POSIX has it, and Debian's busybox is built without."""
ALTERNATIVES = ("setsid", "stat", "sha256sum", "shasum")
"""Programs for which others are used where they are missing."""
LOGIN = """\
#!/bin/sh
PATH={path}
export PATH
exec {shell} "$@"
"""


def installed(name: str) -> str:
    """Return the path of a program, or skip the test."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed; scripts/debian brings it")
    return program


def commands(name: str) -> tuple[str, ...]:
    """Return the programs that an entry of the list names, any of which is enough."""
    if "/" in name or "boot_id" in name:
        return ()
    return tuple(word for word in re.split(r",? or |, ", name.partition(" with ")[0]))


def listed(uses: Collection[Use] = tuple(Use)) -> set[str]:
    """Return every program that is listed as needed."""
    return {one for use in uses for entry in PROGRAMS[use] for one in commands(entry.name)}


def applets() -> Iterator[str]:
    """Yield the names of busybox's programs."""
    listing = subprocess.run(
        [installed("busybox"), "--list"], capture_output=True, text=True, check=True
    )
    yield from listing.stdout.split()


@dataclass(frozen=True)
class UnixMachine:
    """A directory that is all that PATH leads to."""

    path: Path

    @classmethod
    def of(cls, root: Path, kind: str) -> "UnixMachine":
        """Make a machine.

        *kind* is the interpreter that ``sh`` is, then what its other programs are: ``busybox``;
        ``needed``, which are those that are listed; or ``others``, of which those that are used
        first are missing.
        """
        interpreter, _, programs = kind.partition("-")
        machine = cls(root / kind)
        machine.path.mkdir()
        if programs == "busybox":
            machine.link(dict.fromkeys(applets(), "busybox"))
            machine.link({name: name for name in NOT_IN_BUSYBOX})
        else:
            names = listed() - set(ALTERNATIVES if programs == "others" else ())
            machine.link({name: name for name in names if shutil.which(name)})
        machine.link({"sh": interpreter})
        if interpreter == "mksh":  # which has it not built in
            machine.link({"printf": "printf"})
        return machine

    def link(self, programs: dict[str, str]) -> None:
        """Put programs there, by the names that they are called by."""
        for name, program in programs.items():
            place = self.path / name
            place.unlink(missing_ok=True)
            place.symlink_to(Path(installed(program)).resolve())

    def without(self, names: Collection[str]) -> None:
        """Take programs away."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def login_shell(self, shell: str = "sh") -> str:
        """Return a program that is the login shell: it knows no other programs."""
        program = self.path / "sh" if shell == "sh" else installed(shell)
        words = f"{program} sh" if shell == "busybox" else str(program)
        login = self.path.parent / f"login-{self.path.name}-{shell}"
        login.write_text(LOGIN.format(path=self.path, shell=words), encoding="utf-8")
        login.chmod(0o755)
        return str(login)

    def run(self, argv: tuple[str, ...]) -> str:
        """Run a command there, and return what it prints."""
        ended = subprocess.run(
            [str(self.path / argv[0]), *argv[1:]],
            env={"PATH": str(self.path)},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            check=False,
        )
        return ended.stdout


MACHINES = (
    *(f"{interpreter}-busybox" for interpreter in INTERPRETERS),
    "dash-needed",
    "dash-others",
    "ksh93-others",
    "mksh-others",
)
