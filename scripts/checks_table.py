"""Write the table of all checks into a document: ``python -m scripts.checks_table FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from workflows.model.checks import Check
from workflows.preflight.catalogue import by_heading

BEGIN, END = "<!-- checks: begin -->", "<!-- checks: end -->"


def lines() -> Iterator[str]:
    """Yield a table for each heading."""
    for heading, checks in by_heading():
        yield f"### {heading}"
        yield ""
        yield "| check | what holds | made at | | until stage | may be accepted |"
        yield "|---|---|---|---|---|---|"
        yield from map(_row, checks)
        yield ""


def renewed(document: str) -> str:
    """Return the document with the table as it is now."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    return "".join((before, begin, "\n\n", "\n".join(lines()), "\n", end, after))


def _row(check: Check) -> str:
    until = f"{check.until.number} `{check.until}`" if check.until else ""
    where = check.scope.replace("_", " ")
    accept = "yes" if check.acceptable else ""
    return f"| `{check.name}` | {check.title} | {where} | {check.severity} | {until} | {accept} |"


if __name__ == "__main__":
    [name] = sys.argv[1:]
    file = Path(name)
    file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
