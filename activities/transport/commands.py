"""Commands for machines of other systems than POSIX, which quote them in their own way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from activities.transport.ssh import Command
from activities.transport.windows_framing import quoted
from workflows.model.estate import Machine
from workflows.model.machines import System


class WindowsCommand(Command):
    """Arguments for ``cmd.exe``."""

    system: ClassVar[System] = "windows"

    def __str__(self) -> str:
        """Return how they are sent."""
        return quoted(self.argv)


@dataclass(frozen=True)
class CommandLine(WindowsCommand):
    """A line for ``cmd.exe`` as it stands; *argv* is what messages call it."""

    text: str = ""

    def __str__(self) -> str:
        """Return it."""
        return self.text


def command_line(text: str) -> CommandLine:
    """Return a line of ``cmd.exe``'s own language."""
    return CommandLine(("a command line",), text)


_QUOTING: Mapping[str, Callable[[tuple[str, ...]], Command]] = MappingProxyType(
    {"linux": Command, "windows": WindowsCommand}
)


def command_for(machine: Machine, argv: Sequence[str]) -> Command:
    """Return a command that is quoted as the machine's system needs it."""
    return _QUOTING[machine.system](tuple(argv))
