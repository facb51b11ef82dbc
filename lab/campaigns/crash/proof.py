"""What does the last campaign's result look like in ``docs/proof.md``?

``python -m lab.campaigns.crash.proof RESULT DOCUMENT COMMAND``: between the document's two markers.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.campaigns.markdown import Result, circumstances, main, table

NAME = "crash campaign"


def lines(result: Result, command: str) -> Iterator[str]:
    """Yield the table, and under which circumstances it came about."""
    effects, traffic, resume = result["effects"], result["traffic"], result["resume_seconds"]
    requests, invariants = result["requests"], result["invariants"]
    points = ", ".join(f"{count} {kind}" for kind, count in result["points"].items())
    yield from table(
        {
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
    )
    yield ""
    yield f"`{command}`, seed {result['seed']},"
    yield from circumstances(result["seconds"])


if __name__ == "__main__":
    main(NAME, lines)
