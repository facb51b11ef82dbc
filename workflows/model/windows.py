"""What an estate may hold of a node of Windows, so that ``cmd.exe`` is sent nothing it rewrites.

Between quotes ``cmd.exe`` takes all characters as they are, but these: a quote ends them, and
``%``, ``!`` and, after ``call``, ``^`` are replaced. No spelling escapes them everywhere.
"""

import re
from collections.abc import Iterator

DRIVE = r"^[A-Za-z]:\\"
"""The beginning of an absolute path on a drive."""
WINDOWS_PATH = rf"{DRIVE}|^\\\\[^\\]+\\[^\\]"
"""The beginning of an absolute path, also on a share: sessions of SSH have no mapped drives."""
UNSAFE = re.compile(r"[^ -~]|[\"%!^]")
LEDGER = re.compile(r"[A-Za-z]:(\\[A-Za-z0-9_][A-Za-z0-9._-]*)+")
MAX_LEDGER = 80
"""Characters: what is kept below it has 180, and a path of Windows 260."""
EXAMPLES = {"filedrivehome": r"C:\Axway\SecureTransport", "ledger": r"C:\ProgramData\switchover"}


def unfit_path(key: str, path: str) -> Iterator[str]:
    """Yield why a node of Windows cannot have this path."""
    if not re.match(DRIVE, path):
        yield f"{key} {path} is no path on a drive of Windows; write one such as {EXAMPLES[key]}"
    yield from unfit_word(key, path)


def unfit_ledger(path: str) -> Iterator[str]:
    """Yield why a node of Windows cannot have this ledger."""
    yield from unfit_path("ledger", path)
    if not LEDGER.fullmatch(path) or len(path) > MAX_LEDGER or ".." in path:
        yield (
            f"ledger {path}: on Windows write letters, digits, dots, dashes and underscores, "
            f"without blanks, and at most {MAX_LEDGER} characters, such as {EXAMPLES['ledger']}"
        )


def unfit_word(key: str, word: str) -> Iterator[str]:
    """Yield why ``cmd.exe`` would not take this word as it is."""
    if UNSAFE.search(word) or word.endswith("\\"):
        yield (
            f'{key}: on Windows write ASCII characters without " % ! ^, and no backslash at the end'
        )
