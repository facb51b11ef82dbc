"""Write the results of campaigns into the documentation.

``python -m lab.campaigns.tables CAMPAIGN DOCUMENT COMMAND COMMIT RESULT...``: the tables of a
campaign (``TABLES``), made from the result files of this command on this commit.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.campaigns.markdown import table, update
from lab.campaigns.preflight_faults.unit_tests import UNIT_TESTS
from lab.campaigns.rollback_matrix.cases import WAYS
from lab.checker.legs import ROUND_TRIP
from workflows.model.stages import StageName

Result = dict[str, Any]

DIRECTORY = re.compile(r"/\S*?/(?=(?:machines|storage)/)")
PROCESS = re.compile(r"\d+@[\w.-]+")
MAX_CELL_LENGTH = 160
MAX_BROUGHT_LENGTH = 1000


def crash(result: Result) -> Iterator[str]:
    """The totals of a crash campaign."""
    resume, requests = result["resume_seconds"], result["requests"]
    points = ", ".join(f"{count} {kind}" for kind, count in result["points"].items())
    rows = {
        "points": f"{sum(result['points'].values())}: {points}",
        f"{result['procedure']}s": f"{result['runs']}, of which {result['completed']} completed",
        "decisions by an operator": f"{result['operator_acts']}, and "
        f"{len(result['operator_acts_after_reboots'])} after a node was rebooted"
        f"{' in its drain' if result['procedure'] == 'switchover' else ''}",
        **_totals(result),
        f"requests of a {result['procedure']}": f"{requests['requests']}; a worker died before "
        f"{requests['before']} and after {requests['after']} of them",
        "resumed after a restart": f"p50 {resume['p50']} s, p99 {resume['p99']} s",
    }
    yield from table(("", ""), rows.items())


def rollback(result: Result) -> Iterator[str]:
    """Stages by ways to fail, then the totals."""
    rows = [(f"`{at}`", *(_count(result, at, way) for way in WAYS)) for at in _stages(result)]
    yield from table(("stage", *WAYS), rows)
    yield ""
    sections = _sections(result["totals"])
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(result["outcomes"].items()))
    times = result["rollback_seconds"]
    totals = {
        "cases": f"{result['cases']}, of which {result['as_expected']} as expected: {outcomes}",
        **_totals(sections),
        "duration of a rollback": f"median {times['median']} s, longest {times['longest']} s",
    }
    yield from table(("", ""), totals.items())


def readiness(result: Result) -> Iterator[str]:
    """Every injected fault, then the unit tests of all other checks, then the totals."""
    faults = [
        (
            f"`{row['fault']}`",
            f"`{row['place']}`",
            _cell(row["description"]),
            _cell(row["seen"]) if row["found"] else "**not found**",
            row["severity"],
        )
        for row in result["rows"]
    ]
    yield from table(("check", "fault injected at", "what was wrong", "found", "severity"), faults)
    clean = result["clean"]
    yield ""
    yield f"{result['found']} of {result['faults']} injected faults were found at their place."
    yield f"{clean['ready']} of {clean['checks']} checks of the estate without a fault, all but the"
    yield "last of them under traffic, found nothing, each in"
    yield f"{clean['median_seconds']} s (median) from the start of the console to its end."
    yield ""
    yield "Every other check is proven by a unit test, with a reading that it must refuse:"
    yield ""
    rows = [(f"`{name}`", f"`{file}`: `{test}`") for name, (file, test) in UNIT_TESTS.items()]
    yield from table(("check", "unit test"), rows)


def unkind(result: Result) -> Iterator[str]:
    """What each seed brought and how it ended, then the totals."""
    rows = [
        (str(row["seed"]), _cell(row["brought"], MAX_BROUGHT_LENGTH), row["outcome"])
        for row in result["rows"]
    ]
    yield from table(("seed", "what the machines brought", "outcome"), rows)
    yield ""
    sections = _sections(result["totals"])
    totals = {
        "seeds": f"{result['seeds']}, of which {result['completed']} without a problem",
        **_totals(sections),
    }
    yield from table(("", ""), totals.items())


def round_trips(result: Result) -> Iterator[str]:
    """Each round trip, then the totals."""
    rows = [
        (str(trip["trip"]), *(f"{leg['outcome']}, {leg['seconds']} s" for leg in trip["legs"]))
        for trip in result["trips"]
    ]
    yield from table(("round trip", *map(str, ROUND_TRIP)), rows)
    yield ""
    last = result["trips"][-1]
    compared, growth = last["comparison"], last["growth"]
    totals = {
        "runs": f"{result['runs']}: {result['switchovers']} switchovers and "
        f"{result['rejoins']} rejoins completed",
        "scheduling returns with its Transaction Manager": f"{result['scheduling_returns']}; the "
        f"active cluster's {'pauses' if result['pauses'] else 'does not pause'} meanwhile",
        **_totals(result),
        "rows written while replication was off": f"{result['rows_written']}, "
        f"{result['rows_brought_over']} brought over",
        "compared after the last round trip": f"{compared['rows']} rows in {compared['tables']} "
        f"tables, {len(compared['different_rows'])} differ; {compared['files']} files, "
        f"{len(compared['different_files'])} differ",
        "left behind": f"{len(growth['slots'])} replication slots, "
        f"{max(0, growth['processes'])} processes, {len(growth['files'])} files",
        "grown": f"ledgers by {growth['ledger_files']} files of "
        f"{growth['ledger_bytes'] // 1024} KiB together; the whole lab, with its clients' files, "
        f"by {growth['disk_bytes'] // 2**20} MiB",
    }
    yield from table(("", ""), totals.items())


def driver(result: Result) -> Iterator[str]:
    """Attacks and rollbacks with one driver, or on one way to machines, side by side."""
    attacked, failed = result["parts"]
    points, requests = sum(attacked["points"].values()), attacked["requests"]
    died = f"a worker died before {requests['before']} and after {requests['after']}"
    crashes = {
        "runs": f"{attacked['runs']}, of which {attacked['completed']} completed",
        "where": f"{points} points; of {requests['requests']} requests {died}",
        **_totals(attacked),
    }
    rollbacks = {
        "runs": f"{failed['cases']}, of which {failed['as_expected']} as expected",
        "where": ", ".join(f"`{stage}`" for stage in _stages(failed)),
        **_totals(_sections(failed["totals"])),
    }
    rows = [(name, cell, rollbacks[name]) for name, cell in crashes.items()]
    yield from table(("", "crash campaign", "rollback matrix"), rows)


DRIVERS = ("commands", "dns", "haproxy", "replication-commands")
"""The drivers of the lab besides those of every other campaign."""

TABLES: dict[str, tuple[str, Callable[[Result], Iterator[str]]]] = {
    "crash": ("crash campaign", crash),
    "rollback": ("rollback matrix", rollback),
    "readiness": ("injected faults", readiness),
    "unkind": ("unkind estates", unkind),
    "round-trips": ("round trips", round_trips),
    "round-trips-always": ("round trips where scheduling always returns", round_trips),
    "rejoin-crash": ("crash campaign of rejoins", crash),
    "rejoin-rollback": ("rollback matrix of rejoins", rollback),
    "jump-host": ("jump host", driver),
    "run-as": ("run as", driver),
    "windows": ("windows", driver),
    "worker-per-cluster": ("worker per cluster", driver),
    **{f"driver-{name}": (f"driver {name}", driver) for name in DRIVERS},
}
"""By campaign: the name of the markers, and the lines between them."""


def lines(campaign: str, result: Result, command: str, commit: str) -> Iterator[str]:
    """The tables, and how the result came about."""
    yield from TABLES[campaign][1](result)
    yield ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"`{command}` on commit {commit},"
    yield f"in {result['seconds'] / 60:.0f} minutes on {os.cpu_count()} cores"
    yield f"({platform.machine()}, {memory:.0f} GiB, {platform.system()}, Python"
    yield f"{platform.python_version()}), on {datetime.now(UTC):%d %B %Y}."


def _stages(result: Result) -> list[StageName]:
    failed = {row["stage"] for row in result["rows"]}
    return [stage for stage in StageName if stage in failed]


def _joined(results: list[Result]) -> Result:
    return {"parts": results, "seconds": sum(result["seconds"] for result in results)}


def _sections(totals: dict[str, int]) -> dict[str, dict[str, int]]:
    sections: dict[str, dict[str, int]] = {}
    for number, count in totals.items():
        section, _, name = number.partition(".")
        sections.setdefault(section, {})[name] = count
    return sections


def _totals(sections: Result) -> dict[str, str]:
    effects, traffic = sections["effects"], sections["traffic"]
    invariants, straddling = sections["invariants"], traffic["straddling"]
    moved = f"; {straddling} transfers straddled a redirect" if straddling else ""
    return {
        "effects": f"{effects['recorded']} of {effects['expected']} expected; "
        f"{effects['repeated']} repeated, {effects['skipped']} skipped, "
        f"{effects['misordered']} misordered, {effects['unexpected']} unexpected",
        "client operations": f"{traffic['attempted']}, {traffic['failed']} failed{moved}",
        "invariants": f"{invariants['violations']} violations "
        f"in {invariants['samples']} judgements",
    }


def _count(result: Result, stage: str, way: str) -> str:
    rows = [row for row in result["rows"] if (row["stage"], row["way"]) == (stage, way)]
    return f"{sum(not row['problems'] for row in rows)} of {len(rows)}" if rows else ""


def _cell(text: str, most: int = MAX_CELL_LENGTH) -> str:
    """Leave out what depends on the machine, and escape what Markdown would interpret."""
    anywhere = PROCESS.sub("PID@HOST", DIRECTORY.sub("LAB/", text))
    return " ".join(anywhere.split()).replace("|", "\\|").replace("<", "&lt;")[:most]


def main() -> None:
    """Update the document that the arguments name."""
    campaign, document, command, commit, *files = sys.argv[1:]
    results = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    read = results[0] if len(results) == 1 else _joined(results)
    update(Path(document), TABLES[campaign][0], lines(campaign, read, command, commit))


if __name__ == "__main__":
    main()
