"""Let in an account that can do nothing itself, and give it the owner's rights by sudo.

Where the lab runs as root and sudo is installed, that is sudo itself: the account has a user number
of its own, to which the machine's files are closed, and each command runs in a mount namespace with
accounts and rules of the machine's own. Elsewhere a program of that name stands in, which obeys the
same rule, and the account finds no other program.

Every command is recorded (see ``lab.records``).
"""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab import records
from lab.layout import LOGIN_USER, SHELL_USER, Layout
from lab.node.request_hook import readable

LOGIN_ID = 64_242
"""The user number of the account."""
RULES = f"{LOGIN_USER} ALL=({SHELL_USER}) NOPASSWD: /bin/sh\n"
THROUGH = f"exec sudo -n -H -u {SHELL_USER} -- /bin/sh -c ".split()
"""How a command begins that the rule allows."""
QUESTIONS = ("sudo -n -l", 'sudo -n -H -u "$1" -- /bin/sh -c :')
"""What the account may ask: what sudo allows, and why it does not."""

_ENTER = """\
for file in passwd group shadow sudoers; do mount --bind "$1/$file" "/etc/$file" || exit 125; done
number=$2; shift 2
exec setpriv --reuid "$number" --regid "$number" --clear-groups -- "$@"
"""
_STAND_IN = """\
#!/bin/sh
case "$*" in
"-n -l")
    echo "User {login} may run the following commands on lab:"
    echo "    ({owner}) NOPASSWD: /bin/sh" ;;
"-n -H -u {owner} -- /bin/sh -c "*)
    shift 5
    export HOME={home} PATH={path} USER={owner} LOGNAME={owner} SUDO_USER={login}
    exec "$@" ;;
*)
    echo "sudo: a password is required" >&2
    exit 1 ;;
esac
"""


@dataclass(frozen=True)
class SudoLogin:
    """The account of one machine; *home* and *path* are its owner's."""

    layout: Layout
    place: str
    home: Path
    path: str

    @property
    def _files(self) -> Path:
        return self.layout.root / "logins" / self.place

    def prepare(self) -> None:
        """Make the account, its rule, and what stands in for sudo."""
        files = self._files
        files.mkdir(parents=True, exist_ok=True)
        stand_in = _STAND_IN.format(
            login=LOGIN_USER,
            owner=SHELL_USER,
            home=shlex.quote(str(self.home)),
            path=shlex.quote(self.path),
        )
        (files / "bin").mkdir(exist_ok=True)
        (files / "bin/sudo").write_text(stand_in, encoding="utf-8")
        (files / "bin/sudo").chmod(0o755)
        if not (files / "bin/sh").exists():
            (files / "bin/sh").symlink_to("/bin/sh")
        if os.geteuid() == 0:
            self._write_accounts(files)

    def _write_accounts(self, files: Path) -> None:
        lines = {
            "passwd": (
                f"{LOGIN_USER}:x:{LOGIN_ID}:{LOGIN_ID}::/nonexistent:/bin/sh",
                f"{SHELL_USER}:x:0:0::{self.home}:/bin/sh",
            ),
            "group": (f"{LOGIN_USER}:x:{LOGIN_ID}:",),
            "shadow": tuple(f"{name}:*:19000:0:99999:7:::" for name in (LOGIN_USER, SHELL_USER)),
        }
        for name, added in lines.items():
            known = Path("/etc", name).read_text(encoding="utf-8").splitlines()
            others = (one for one in known if one.split(":")[0] not in {LOGIN_USER, SHELL_USER})
            (files / name).write_text("\n".join((*others, *added, "")), encoding="utf-8")
        (files / "shadow").chmod(0o600)
        (files / "sudoers").write_text(RULES, encoding="ascii")
        (files / "sudoers").chmod(0o440)
        # What the account could otherwise read of this and of every other machine.
        (self.layout.root / "machines").chmod(0o700)

    @cached_property
    def is_real(self) -> bool:
        """Whether sudo itself works here."""
        if os.geteuid() != 0 or not all(map(shutil.which, ("sudo", "unshare", "setpriv"))):
            return False
        tried = self._entering([*THROUGH[1:], ":"])
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0

    def command(self, argv: list[str], sent: str) -> list[str]:
        """Return what runs a login shell as the account, after it was recorded what it was sent."""
        through, text = _words(sent)[: len(THROUGH)] == THROUGH, readable(sent)
        asks = any(question in text for question in QUESTIONS)
        kind = "command" if through else "question" if asks else "other"
        records.append(
            self.layout.logins, place=self.place, kind=kind, real=self.is_real, sent=text[-200:]
        )
        return self._entering(argv) if self.is_real else argv

    def environment(self, owner: dict[str, str]) -> dict[str, str]:
        """Return the account's environment, by the one that the owner has."""
        path = owner["PATH"] if self.is_real else str(self._files / "bin")
        return {**owner, "HOME": "/", "LOGNAME": LOGIN_USER, "USER": LOGIN_USER, "PATH": path}

    def _entering(self, argv: list[str]) -> list[str]:
        given = (str(self._files), str(LOGIN_ID))
        return ["unshare", "--mount", "sh", "-c", _ENTER, "sh", *given, *argv]


def _words(sent: str) -> list[str]:
    try:
        return shlex.split(sent)
    except ValueError:
        return []
