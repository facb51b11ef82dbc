"""Measure what hostile peers can do to a worker.

``python -m bench.hostile_peers [--only TEXT] [--write FILE]`` starts each peer of ``bench.hostile``
and lets the real code of the activities talk to it in a process of its own. It prints a table, and
with ``--write`` puts it between the markers of a document:

* ``result``: the sentence that an operator sees
* ``seconds``: until then; ``limit``: within which it must have come
* ``peak MiB``: resident memory of that process, at most 300
* ``blocked ms``: the longest time for which its event loop ran nothing else
* ``beside ms``: the longest time that a command took meanwhile on a machine of another estate, at
  most 1000; it takes 2 on a quiet machine

It exits with 1 if a peer breaks a limit, or the result is not the expected one.
"""

import argparse
import asyncio
import json
import re
import sys
from pathlib import Path

from bench.hostile import MAX_RESIDENT_MIB, Case, cases, honest
from bench.hostile.child import Measured
from lab.campaigns import markdown
from workflows.model.text import printable

HEADS = (
    "peer",
    "what it does",
    "result",
    "seconds",
    "limit",
    "peak MiB",
    "blocked ms",
    "beside ms",
)
OVERTIME = 20.0
"""Seconds that a process may run on before it is ended."""
MAX_BESIDE = 1000.0
"""Milliseconds: what the product itself allows an answer is 10 s."""
MAX_RESULT = 300
"""Characters of a result in the table."""


async def measure(case: Case, other: str) -> Measured:
    """Run one case; its end is the result where it did not end by itself as it should."""
    async with case.peer() as peer:
        child = await asyncio.create_subprocess_exec(
            *case.before(peer),
            *(sys.executable, "-m", "bench.hostile.child", case.name, peer, other),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(child.communicate(), case.limit + OVERTIME)
        except TimeoutError:
            child.kill()
            await child.wait()
            return Measured("no end", case.limit + OVERTIME, 0, 0, 0)
    if child.returncode:
        last = err.decode(errors="replace").strip().splitlines()[-1:]
        return Measured(f"ended with {child.returncode}: {' '.join(last)}", 0, 0, 0, 0)
    return Measured(**json.loads(out))


def good(case: Case, measured: Measured) -> bool:
    """Return whether the peer broke no limit, and an operator is told what is the matter."""
    within = (
        measured.seconds <= case.limit
        and measured.resident <= MAX_RESIDENT_MIB
        and measured.beside <= MAX_BESIDE
    )
    return within and re.search(case.says, measured.result) is not None


def row(case: Case, measured: Measured) -> tuple[str, ...]:
    """Return one line of the table."""
    shown = printable(measured.result).replace("|", "\\|")
    result = shown if len(shown) <= MAX_RESULT else f"{shown[:MAX_RESULT]}..."
    measures = (measured.resident, measured.blocked, measured.beside)
    numbers = (measured.seconds, case.limit, *measures)
    return (*case.titles, result, *(f"{number:.4g}" for number in numbers))


async def run(chosen: list[Case]) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the rows of the table, and the names of the cases that are not as they should be."""
    rows, bad = [], []
    async with honest.machine() as other:
        for case in chosen:
            measured = await measure(case, other)
            rows.append(row(case, measured))
            if not good(case, measured):
                bad.append(case.name)
    return rows, bad


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile_peers")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--write", type=Path, help="also write the table into this document")
    options = parser.parse_args()
    chosen = [case for case in cases() if options.only in case.name]
    rows, bad = asyncio.run(run(chosen))
    lines = list(markdown.table(HEADS, rows))
    sys.stdout.write("\n".join([*lines, *(f"not as it should be: {name}" for name in bad), ""]))
    if options.write is not None:
        markdown.update(options.write, "hostile peers", lines)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
