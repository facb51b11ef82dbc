"""Read a file of a machine, say what keeps a redirect from changing it, and word the change."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from activities.load_balancer import file_mounts, file_scripts, hosts_file
from activities.load_balancer.file_mounts import Mount
from activities.load_balancer.hosts_file import Edit
from activities.transport.ssh import Command, Shell, script
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Machine
from workflows.model.text import printable

MAX_FILE = 2 << 20
"""Bytes of a hosts file, or of HAProxy's configuration."""


@dataclass(frozen=True)
class FileContent:
    """A file as it was read."""

    checksum: str
    content: bytes


@dataclass(frozen=True)
class Rights:
    """What a redirect can and may do."""

    editable: bool
    """Whether an edit gives a text of the expected length."""
    writable: bool
    runnable: bool
    """Whether what follows the edit may be run."""


@dataclass(frozen=True)
class EditedFile:
    """A file of a machine in which a redirect changes addresses."""

    machine: Machine
    path: str
    write: Literal["replace", "in_place"]

    async def read(self, shell: Shell) -> FileContent:
        """Return its content.

        Raises:
            OutcomeUnknown: it cannot be read.
        """
        return await read_file(shell, self.machine, self.path)

    async def rights(
        self, shell: Shell, content: bytes, changes: Collection[Edit], then: Command
    ) -> Rights:
        """Return what a redirect can do there: the edit is made, and its text thrown away."""
        answer = await shell.run(
            self.machine, self._editing(file_scripts.MAY_REDIRECT, content, changes, then)
        )
        match answer.out.split():
            case [
                "editable" | "garbled" as edited,
                "writable" | "fixed" as written,
                "runnable" | "refused" as follows,
            ]:
                return Rights(edited == "editable", written == "writable", follows == "runnable")
        raise OutcomeUnknown(
            f"{self.machine.name}: the rights that a redirect needs cannot be read: {answer.text}"
        )

    async def mounts(self, shell: Shell) -> tuple[tuple[Mount, ...], str | None]:
        """Return who would not see what is written, and why there may be more of them."""
        command = script(file_scripts.MOUNTED, self.path, self.write)
        answer = await shell.run(self.machine, command)
        failed = f"{printable(answer.text)} (status {answer.status})" if answer.status else None
        return file_mounts.mounts(answer.out), failed or file_mounts.denied(answer.out)

    def rewriting(self, file: FileContent, changes: Collection[Edit], then: Command) -> Command:
        """Return the command that makes the edits, unless the file was changed, and then another.

        It prints ``rewritten``, or ``already`` where there is no edit, before the other begins.
        """
        arguments = (file.checksum,)
        return self._editing(file_scripts.REWRITE, file.content, changes, then, *arguments)

    def _editing(
        self, text: str, content: bytes, changes: Collection[Edit], then: Command, *before: str
    ) -> Command:
        length = hosts_file.edited_length(content, changes)
        edits = chain.from_iterable((one.start, one.length, one.address) for one in changes)
        words = map(str, (*before, length, *edits, "--", *then.argv))
        return script(text, self.path, self.write, *words)


async def read_file(shell: Shell, machine: Machine, path: str) -> FileContent:
    """Return a file's content.

    Raises:
        OutcomeUnknown: it cannot be read.
    """
    command = script(file_scripts.READ, path)
    answer = await shell.run(machine, command, undecodable="surrogateescape", limit=MAX_FILE)
    if answer.status != 0:
        shown = printable(answer.text)
        raise OutcomeUnknown(f"{machine.name}: {path} cannot be read: {shown}")
    checksum, _, content = answer.out.partition("\n")
    return FileContent(checksum, content.encode("utf-8", "surrogateescape"))
