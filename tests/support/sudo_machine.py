"""An OpenSSH server on which an account without any rights logs in, and a real sudo.

Both run in a mount namespace of their own, with accounts and sudoers of their own: nothing of this
machine's ``/etc`` is changed.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.mount_namespace import may_mount
from tests.support.openssh import OpenSsh, openssh
from tests.support.ssh_machines import CLIENT_KEY

LOGIN, OWNER = "switchover", "st"
IDS = {LOGIN: 64_242, OWNER: 64_243}
EXAMPLES = Path(__file__).parents[2] / "docs/examples"
RULES = (EXAMPLES / "sudoers").read_text(encoding="ascii")
"""As the page about machines shows them."""
ACCOUNT_FILES = {
    "passwd": "{name}:x:{id}:{id}::{home}:/bin/sh\n",
    "group": "{name}:x:{id}:\n",
    "shadow": "{name}:*:19000:0:99999:7:::\n",
}


def needs_sudo() -> None:
    """Skip the test where there is no sudo, or no namespace for it."""
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    if not may_mount():
        pytest.skip("only root mounts, where it may at all")


@dataclass
class SudoMachine:
    """A machine with both accounts; its files are below *root*, which every account may enter."""

    root: Path

    @property
    def home(self) -> Path:
        """The directory that belongs to the owner of the installation."""
        return self.root / OWNER

    @property
    def sudoers(self) -> str:
        """The rules; they may change while the machine runs."""
        return (self.root / "sudoers").read_text(encoding="ascii")

    @sudoers.setter
    def sudoers(self, rules: str) -> None:
        # Written in place: the file is mounted by itself.
        (self.root / "sudoers").write_text(rules, encoding="ascii")

    @property
    def namespace(self) -> tuple[str, ...]:
        """What runs a program where these accounts and rules hold."""
        files = (*ACCOUNT_FILES, "sudoers")
        mounts = (f"mount --bind {self.root}/{name} /etc/{name}" for name in files)
        words = " && ".join((*mounts, 'exec "$@"'))
        return ("unshare", "--mount", "sh", "-c", words, "sh")

    def use_shell(self, program: str) -> None:
        """Give the account that logs in another login shell; before the server runs."""
        file = self.root / "passwd"
        *others, login, owner = file.read_text(encoding="utf-8").splitlines()
        login = f"{login.rpartition(':')[0]}:{program}"
        file.write_text("\n".join((*others, login, owner, "")), encoding="utf-8")

    @asynccontextmanager
    async def serving(self, environment: str = "") -> AsyncIterator[OpenSsh]:
        """Run its SSH server, whose commands have this in their environment, too."""
        serving = openssh(self.root, within=self.namespace, environment=environment)
        async with serving as server:
            yield server

    def access(self, server: OpenSsh, run_as: str = OWNER) -> dict[str, object]:
        """The keys of a machine in an estate that reach it, and run everything as the owner."""
        login = {"user": LOGIN, "key": "env:KEY", "port": server.port, "run_as": run_as}
        return {**server.access(), "ssh": login}

    def restrict_key(self, options: str) -> None:
        """Let the worker's key do no more than this, as ``authorized_keys`` says it."""
        key = CLIENT_KEY.export_public_key("openssh").decode()
        (self.root / "authorized_keys").write_text(f"{options} {key}", encoding="ascii")


@contextmanager
def sudo_machine() -> Iterator[SudoMachine]:
    """Make the machine's files; they are removed in the end."""
    needs_sudo()
    root = Path(tempfile.mkdtemp(prefix="switchover-sudo-"))
    root.chmod(0o755)  # both accounts read below it
    try:
        for name, line in ACCOUNT_FILES.items():
            known = Path("/etc", name).read_text(encoding="utf-8")
            added = (line.format(name=n, id=i, home=root / n) for n, i in IDS.items())
            (root / name).write_text(known + "".join(added), encoding="utf-8")
            (root / name).chmod(0o600 if name == "shadow" else 0o644)
        for name, number in IDS.items():
            (root / name).mkdir(mode=0o700)
            os.chown(root / name, number, number)
        machine = SudoMachine(root)
        machine.sudoers = RULES
        (root / "sudoers").chmod(0o440)
        yield machine
    finally:
        shutil.rmtree(root)
