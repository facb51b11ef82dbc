"""Write the table of all checks into a document: ``python -m scripts.checks_table FILE``."""

import sys
from collections.abc import Iterator
from pathlib import Path

from lab.campaigns import markdown
from workflows.model.checks import Check
from workflows.preflight.catalogue import by_heading

HEADS = ("check", "what holds", "made at", "", "until stage", "only in a", "may be accepted")


def renewed(document: str) -> str:
    """Return the document with the table as it is now."""
    return markdown.between(document, "checks", list(_lines())[:-1])


def _lines() -> Iterator[str]:
    for heading, checks in by_heading():
        yield from (f"### {heading}", "", *markdown.table(HEADS, map(_row, checks)), "")


def _row(check: Check) -> tuple[str, ...]:
    until = f"{check.until.number} `{check.until}`" if check.until else ""
    where = check.scope.replace("_", " ")
    accept = "yes" if check.acceptable else "in a rejoin" if check.acceptable_in_rejoin else ""
    return f"`{check.name}`", check.title, where, check.severity, until, check.only or "", accept


if __name__ == "__main__":
    [name] = sys.argv[1:]
    file = Path(name)
    file.write_text(renewed(file.read_text(encoding="utf-8")), encoding="utf-8")
