"""What does the last campaign of planted faults look like in ``docs/readiness.md``?

Run it as ``python -m lab.campaigns.preflight_faults.table RESULT DOCUMENT COMMAND``. The table goes
between the document's two markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.campaigns.markdown import Result, circumstances, main

NAME = "planted faults"
FOLDER = re.compile(r"/\S*?/(?=(?:machines|storage)/)")
PROCESS = re.compile(r"\d+@[\w.-]+")


def lines(result: Result, command: str) -> Iterator[str]:
    """Yield a row for each fault, then the totals, and how they came about."""
    yield "| fault | planted at | what was wrong | found | severity |"
    yield "|---|---|---|---|---|"
    for row in result["rows"]:
        found = _cell(row["seen"]) if row["found"] else "**not found**"
        yield (
            f"| `{row['fault']}` | `{row['place']}` | {_cell(row['words'])} | {found} "
            f"| {row['severity']} |"
        )
    clean = result["clean"]
    yield ""
    yield f"{result['found']} of {result['faults']} faults were found at their place;"
    yield f"{clean['ready']} of {clean['looks']} looks at the estate without a fault, all but the"
    yield "last of them under traffic, found nothing, each in"
    yield f"{clean['median_seconds']} s (median) from the start of the console to its end."
    yield ""
    yield f"`{command}`,"
    yield from circumstances(result["seconds"])


def _cell(text: str) -> str:
    """Leave out what only says on which machine it was, and what Markdown would obey."""
    anywhere = PROCESS.sub("PID@HOST", FOLDER.sub("LAB/", text))
    return " ".join(anywhere.split()).replace("|", "\\|").replace("<", "&lt;")[:160]


if __name__ == "__main__":
    main(NAME, lines)
