"""Frame a command line for ``cmd.exe``, and quote arguments for it; pure.

OpenSSH for Windows hands what it is asked to ``cmd.exe /c``. Before and after what that prints
stand marks with a random word, as on a POSIX system (see ``framing``): a caret in the mark, which
``cmd.exe`` removes, keeps an echo of the line from looking like one.
"""

import re
import secrets
from collections.abc import Iterable

from activities.transport.framing import CommandResult
from workflows.errors import NotReady

MAX_LINE = 8000
"""Characters: ``cmd.exe`` takes 8191, with what the SSH server writes around them."""
_PLAIN = re.compile(r"[A-Za-z0-9_.:\\/@+-]+")
_SPECIAL = re.compile(r"[&|<>()^]")


def quoted(arguments: Iterable[str]) -> str:
    """Join arguments for ``cmd.exe``; the estate lets none in that it would rewrite."""
    return " ".join(word if _PLAIN.fullmatch(word) else f'"{word}"' for word in arguments)


def echoed(text: str) -> str:
    """Return how ``echo`` is made to print a line: without quotes, special characters need a ^."""
    parts = text.split('"')
    outside = (_SPECIAL.sub(r"^\g<0>", part) for part in parts[::2])
    between = [f'"{part}"' for part in parts[1::2]] + [""]
    return "".join(map("".join, zip(outside, between, strict=True)))


class WindowsFrame:
    """The marks of one command line."""

    def __init__(self) -> None:
        self._word = f"answer-{secrets.token_hex(8)}"

    def line(self, command: str, run_as: str | None = None) -> str:
        """Return what is sent for a command line; *run_as* is nothing that Windows has.

        Raises:
            NotReady: it is longer than ``cmd.exe`` takes.
        """
        if run_as is not None:
            raise AssertionError(run_as)  # no estate has it
        mark = f"{self._word[:3]}^{self._word[3:]}"
        # The caret keeps %errorlevel% from its place until the command has ended and `call` reads
        # the rest once more.
        line = (
            f"@echo off& echo {mark} begin& (>&2 echo {mark} begin)& ({command})& "
            f"call echo {mark} %^errorlevel% end& (>&2 echo {mark} end)"
        )
        if len(line) > MAX_LINE:
            raise NotReady(
                f"a command of {len(command)} characters is too long for cmd.exe; shorten the "
                "paths of the installation and of the ledger"
            )
        return line

    def began(self, out: bytes, err: bytes) -> bool:
        """Whether the machine printed a mark: otherwise its shell ran nothing of the command."""
        begin = f"{self._word} begin".encode()
        return begin in out or begin in err

    def result(self, out: bytes, err: bytes, undecodable: str = "replace") -> CommandResult | None:
        """Return what the command printed; None where a mark is missing."""
        word = re.escape(self._word.encode())
        answer = rb"%b begin *\r?\n(.*)%b (-?[0-9]{1,11}) end" % (word, word)
        found = re.search(answer, out, re.DOTALL)
        if found is None:
            return None
        errors = re.search(rb"%b begin *\r?\n(.*)%b end" % (word, word), err, re.DOTALL)
        printed = (found[1], errors[1] if errors else b"")
        return CommandResult(int(found[2]), *(_text(part, undecodable) for part in printed))


def _text(printed: bytes, undecodable: str) -> str:
    """Decode it; wmic ends lines with one carriage return too many."""
    return re.sub(rb"\r+\n", b"\n", printed).decode("utf-8", undecodable)
