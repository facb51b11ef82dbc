"""What does the last undo matrix look like in ``docs/proof.md``?

Run it as ``python -m lab.campaigns.rollback_matrix.proof RESULT DOCUMENT COMMAND``. The table goes
between the document's two markers.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.campaigns.markdown import Result, circumstances, main, table
from lab.campaigns.rollback_matrix.cases import HOWS
from workflows.model.stages import StageName

NAME = "undo matrix"


def lines(result: Result, command: str) -> Iterator[str]:
    """Yield stages by kinds, then the totals, and under which circumstances they came about."""
    yield f"| stage | {' | '.join(HOWS)} |"
    yield "|---|" + "---|" * len(HOWS)
    for stage in StageName:
        if any(row["stage"] == stage for row in result["rows"]):
            cells = (_cell(result, stage, how) for how in HOWS)
            yield f"| `{stage}` | {' | '.join(cells)} |"
    yield ""
    yield from table(_totals(result))
    yield ""
    yield f"`{command}`,"
    yield from circumstances(result["seconds"])


def _cell(result: Result, stage: str, how: str) -> str:
    rows = [row for row in result["rows"] if (row["stage"], row["how"]) == (stage, how)]
    good = sum(not row["problems"] for row in rows)
    return f"{good} of {len(rows)}" if rows else ""


def _totals(result: Result) -> dict[str, str]:
    numbers, back = result["totals"], result["back_seconds"]
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(result["outcomes"].items()))
    return {
        "cases": f"{result['cases']}, of which {result['as_wished']} as they must be: {outcomes}",
        "effects, forward and back": f"{numbers['effects.recorded']} of "
        f"{numbers['effects.expected']} expected; {numbers['effects.repeated']} repeated, "
        f"{numbers['effects.skipped']} skipped, {numbers['effects.misordered']} misordered, "
        f"{numbers['effects.unexpected']} unexpected",
        "client operations": f"{numbers['traffic.attempted']}, {numbers['traffic.failed']} failed; "
        f"{numbers['traffic.straddling']} transfers straddled a redirect",
        "invariants": f"{numbers['invariants.violations']} violations "
        f"in {numbers['invariants.samples']} judgements",
        "from the turn to the end": f"median {back['median']} s, longest {back['longest']} s",
    }


if __name__ == "__main__":
    main(NAME, lines)
