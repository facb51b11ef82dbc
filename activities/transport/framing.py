"""Frame a command, so that its answer is told from whatever else a login shell prints; pure.

A login shell may be any (csh takes no line break between quotes, and expands ``!``), and may print
anything before and after what it runs. So a command travels as one line of harmless characters to a
POSIX shell, and what it prints stands between marks with a random word. The machine puts the marks
together, so that a shell that echoes its commands prints none.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from workflows.model.text import printable

CRITICAL = re.compile(rb"[^A-Za-z0-9_./,:=+@-]")
"""These bytes travel as octal numbers."""
PROGRAM = """\
printf '<{word}\\n'; printf '<{word}\\n' >&2
( {command} )
status=$?
printf '{word} %s>' $status; printf '{word}>' >&2
exit $status
"""
SUDO = "sudo -n -H"
"""Never asks for a password: nobody is there to give one."""
MAX_WORD = 1000
"""Characters of one word: BSD's csh takes few thousand, older ones little more than this."""
MAX_SHOWN = 400
"""Characters of what a machine printed that an operator is shown."""
_SHOWN = 2 * MAX_SHOWN
"""Characters from which they are taken, with spaces around them."""
_STATUS = re.compile(rb"([0-9]{1,3})>")


@dataclass(frozen=True)
class CommandResult:
    """Exit status and output of a command that ended on its own."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """The end of what it printed, for an operator to read."""
        ends = (self.out[-_SHOWN:].strip(), self.err[-_SHOWN:].strip())
        shown = "\n".join(filter(None, ends))[-MAX_SHOWN:]
        return "\n".join(map(printable, shown.splitlines()))


def _words(text: str) -> Iterator[str]:
    """Divide a text into words that are not too long, and none inside an octal number."""
    while len(text) > MAX_WORD:
        begun = text.rfind("\\", MAX_WORD - 4, MAX_WORD)
        end = MAX_WORD if begun < 0 else begun
        yield text[:end]
        text = text[end:]
    yield text


class Frame:
    """The marks of one command."""

    def __init__(self) -> None:
        self._word = f"answer-{secrets.token_hex(8)}"

    def line(self, command: str, run_as: str | None = None) -> str:
        """Return what is sent for a command that is quoted for a POSIX shell.

        With *run_as*, sudo runs it as that account, without its login shell, whose profile may
        print or wait. The home directory is that account's; the working directory is none that the
        account could be kept out of, as that of the account that logs in.
        """
        text = PROGRAM.format(word=self._word, command=command)
        program = (text if run_as is None else f"cd /\n{text}").encode()
        harmless = CRITICAL.sub(lambda found: b"\\0%03o" % found[0][0], program).decode()
        words = " ".join(f"'{word}'" for word in _words(harmless))
        shell = f"""sh -c 'eval "$(printf %b "$0" "$@")"' {words}"""
        return f"exec {shell}" if run_as is None else f"exec {SUDO} -u {run_as} -- /bin/{shell}"

    def began(self, out: bytes, err: bytes) -> bool:
        """Whether the machine printed a mark: otherwise its shell ran nothing of the command."""
        begin = b"<%b\n" % self._word.encode()
        return begin in out or begin in err

    def result(self, out: bytes, err: bytes, undecodable: str = "replace") -> CommandResult | None:
        """Return what the command printed; None where a mark is missing."""
        word = self._word.encode()
        begin = b"<%b\n" % word
        _, begun, rest = out.partition(begin)
        printed, ended, status = rest.rpartition(b"%b " % word)
        number = _STATUS.match(status)
        if not begun or not ended or number is None:
            return None
        errors = err.rpartition(begin)[2].partition(b"%b>" % word)[0]
        return CommandResult(
            int(number[1]), *(text.decode("utf-8", undecodable) for text in (printed, errors))
        )
