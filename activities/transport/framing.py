"""Frame a command, so that its answer is told from whatever else a login shell prints; pure.

A login shell may be any (csh takes no line break between quotes, and expands ``!``), and may print
anything before and after what it runs. So a command travels as one line of harmless characters to a
POSIX shell, and what it prints stands between marks with a random word. The machine puts the marks
together, so that a shell that echoes its commands prints none.
"""

import re
import secrets
from dataclasses import dataclass

CRITICAL = re.compile(rb"[^A-Za-z0-9_./,:=+@-]")
"""These bytes travel as octal numbers."""
PROGRAM = """\
printf '<{word}\\n'; printf '<{word}\\n' >&2
( {command} )
status=$?
printf '{word} %s>' $status; printf '{word}>' >&2
exit $status
"""


@dataclass(frozen=True)
class CommandResult:
    """Exit status and output of a command that ended on its own."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The end of what it printed, for an operator to read."""
        return "\n".join(filter(None, (self.out.strip(), self.err.strip())))[-400:]


class Frame:
    """The marks of one command."""

    def __init__(self) -> None:
        self._word = f"answer-{secrets.token_hex(8)}"

    def line(self, command: str) -> str:
        """Return what is sent for a command that is quoted for a POSIX shell."""
        program = PROGRAM.format(word=self._word, command=command).encode()
        harmless = CRITICAL.sub(lambda found: b"\\0%03o" % found[0][0], program).decode()
        return f"""exec sh -c 'eval "$(printf %b "$0")"' '{harmless}'"""

    def result(self, out: str, err: str) -> CommandResult | None:
        """Return what the command printed; None where a mark is missing."""
        _, begun, rest = out.partition(f"<{self._word}\n")
        printed, ended, status = rest.rpartition(f"{self._word} ")
        number = re.match(r"(\d+)>", status)
        if not begun or not ended or number is None:
            return None
        errors = err.rpartition(f"<{self._word}\n")[2].partition(f"{self._word}>")[0]
        return CommandResult(int(number[1]), printed, errors)
