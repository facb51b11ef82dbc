"""How does a result get into a document, between two markers?"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Result = dict[str, Any]
Lines = Callable[[Result, str], Iterator[str]]
"""What is to stand there, of a result and of the command that brought it."""


def between(document: str, name: str, lines: Iterator[str]) -> str:
    """Return the document with these lines between the markers of that name."""
    begin, end = markers(name)
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    if not rest or not after:
        raise ValueError(f"the document has no {begin} ... {end}")
    return before + "\n".join([begin, "", *lines, "", end]) + after


def markers(name: str) -> tuple[str, str]:
    """Return what stands before and after."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def table(rows: Mapping[str, str]) -> Iterator[str]:
    """Two columns without heads."""
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {name} | {row} |" for name, row in rows.items())


def circumstances(seconds: float) -> Iterator[str]:
    """Say how long it took, and on what."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"in {seconds / 60:.0f} minutes on {os.cpu_count()} cores"
    yield f"({platform.machine()}, {memory:.0f} GiB, {platform.system()}, Python"
    yield f"{platform.python_version()}), on {datetime.now(UTC):%d %B %Y}."


def main(name: str, lines: Lines) -> None:
    """Write what the words RESULT DOCUMENT COMMAND ask for."""
    result, document, command = sys.argv[1:]
    read = json.loads(Path(result).read_text(encoding="utf-8"))
    file = Path(document)
    text = between(file.read_text(encoding="utf-8"), name, lines(read, command))
    file.write_text(text, encoding="utf-8")
