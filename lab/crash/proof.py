"""How does the last campaign's result get into ``docs/proof.md``?

``python -m lab.crash.proof RESULT DOCUMENT COMMAND``: between the document's two markers.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- crash campaign: begin -->", "<!-- crash campaign: end -->"


def write(result: dict[str, Any], document: str, command: str) -> str:
    """Return the document with the table of this result."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not after:
        raise ValueError(f"the document has no {BEGIN} ... {END}")
    lines = [BEGIN, "", *_table(result), "", *_circumstances(result, command), "", END]
    return before + "\n".join(lines) + after


def _table(result: dict[str, Any]) -> Iterator[str]:
    effects, traffic, resume = result["effects"], result["traffic"], result["resume_seconds"]
    requests, invariants = result["requests"], result["invariants"]
    points = ", ".join(f"{count} {kind}" for kind, count in result["points"].items())
    rows = {
        "points": f"{sum(result['points'].values())}: {points}",
        "switchovers": f"{result['runs']}, of which {result['completed']} completed",
        "decisions by an operator": f"{result['operator_acts']}, and "
        f"{len(result['operator_acts_after_reboots'])} after a node was rebooted in its drain",
        "effects": f"{effects['recorded']} of {effects['expected']} expected; "
        f"{effects['repeated']} repeated, {effects['skipped']} skipped, "
        f"{effects['misordered']} misordered, {effects['unexpected']} unexpected",
        "client operations": f"{traffic['attempted']}, {traffic['failed']} failed; "
        f"{traffic['straddling']} transfers straddled a redirect",
        "invariants": f"{invariants['violations']} violations "
        f"in {invariants['samples']} judgements",
        "requests of a switchover": f"{requests['requests']}; a worker died before "
        f"{requests['before']} and after {requests['after']} of them",
        "resumed after a restart": f"p50 {resume['p50']} s, p99 {resume['p99']} s",
    }
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {name} | {row} |" for name, row in rows.items())


def _circumstances(result: dict[str, Any], command: str) -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    minutes = result["seconds"] / 60
    yield f"`{command}`, seed {result['seed']}, in {minutes:.0f} minutes on {os.cpu_count()} cores"
    yield f"({platform.machine()}, {memory:.0f} GiB, {platform.system()}, Python"
    yield f"{platform.python_version()}), on {datetime.now(UTC):%d %B %Y}."


def main() -> None:
    """Write it."""
    result, document, command = sys.argv[1:]
    read = json.loads(Path(result).read_text(encoding="utf-8"))
    file = Path(document)
    file.write_text(write(read, file.read_text(encoding="utf-8"), command), encoding="utf-8")


if __name__ == "__main__":
    main()
