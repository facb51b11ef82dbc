"""The Windows of one machine: its drives, its prefix of wine and the server that belongs to it.

Two machines share only files that nobody changes: neither drives nor processes nor the registry.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lab.forking import die_with_parent
from lab.layout import CALL_PORT, STORAGE, Layout, NodeLayout
from lab.node import scripts
from lab.node.windows.answers import ANSWERED
from lab.node.windows.toolchain import environment, forget_server

REGISTRY = ("system.reg", "user.reg", "userdef.reg", ".update-timestamp")
ADDRESS = b"ADDRESS-OF-THE-MACHINE----------"
"""What stands in the program that calls the machine, where the address of the machine belongs."""
PROGRAMS = "Lab"
"""The directory of the programs that the machine brings, on its drive ``C:``."""


@dataclass(frozen=True)
class Invocation:
    """How a program is started."""

    argv: Sequence[str]
    cwd: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Windows:
    """What one machine has of Windows."""

    layout: Layout
    node: NodeLayout

    @property
    def prefix(self) -> Path:
        """Wine's own files."""
        return self.node.root / "wine"

    @property
    def environment(self) -> dict[str, str]:
        """What a session's programs are started with."""
        return {**environment(self.prefix), "WINEPATH": f"C:\\{PROGRAMS}"}

    @property
    def profile(self) -> Path:
        """Where sessions begin: wine names it after the user that the lab runs as."""
        return self.node.drive / "users" / pwd.getpwuid(os.getuid()).pw_name

    def prepare(self) -> None:
        """Make the drives and the programs; what was there has been removed."""
        template, node = self.layout.windows / "prefix", self.node
        drives, programs = self.prefix / "dosdevices", node.drive / PROGRAMS
        shared = node.root / "drive_s"
        for folder in (drives, programs, shared, self.profile / "Temp", node.ledger):
            folder.mkdir(parents=True)
        for name in REGISTRY:
            shutil.copy2(template / name, self.prefix / name)
        (node.drive / "windows").symlink_to(template / "drive_c/windows")
        (drives / "c:").symlink_to(node.drive)
        (drives / "s:").symlink_to(shared)
        (shared / STORAGE).symlink_to(self.layout.cluster(node.cluster).storage)
        shutil.copy2(self.layout.windows / "session.exe", programs)
        for name in ANSWERED:
            self._write_call(programs / f"{name}.exe")
        for name in scripts.names(node):
            self._write_call(node.script(name))

    def _write_call(self, file: Path) -> None:
        """Write a program that calls the machine under the name of its file."""
        program = (self.layout.windows / "call.exe").read_bytes()
        address = f"{self.node.address}:{CALL_PORT}".encode()
        file.write_bytes(program.replace(ADDRESS, address.ljust(len(ADDRESS), b"\0")))
        file.chmod(0o755)

    def session(self, command: str) -> Invocation:
        """Return how the command line of a session is run."""
        argv = ["wine", f"C:\\{PROGRAMS}\\session.exe"]
        return Invocation(argv, self.profile, {**self.environment, "SSH_COMMAND_LINE": command})

    def boot(self) -> None:
        """Start wine's server, and return when its services run."""
        log = os.open(self.node.root / "var/log/wine.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        run = partial(subprocess.Popen, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        run(
            ["wineserver", "--foreground", "--persistent"],
            env=self.environment,
            preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),
        )
        first = self.session("exit")
        # What wine's services hold open since then is not a session's, which would never end.
        run(first.argv, env=first.environment, cwd=first.cwd).wait()
        os.close(log)

    def halt(self) -> None:
        """Remove what the server leaves behind; all processes of the machine have ended."""
        forget_server(self.prefix)
