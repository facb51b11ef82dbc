"""Make one round trip under traffic, judge each of its runs, and compare the estate in the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from temporalio.client import Client

from lab.campaigns.outcome import outcome_of
from lab.campaigns.results import numbers_of
from lab.campaigns.round_trips import writes
from lab.campaigns.round_trips.comparison import Comparison, compare
from lab.campaigns.round_trips.footprint import Footprint, Growth, measure
from lab.campaigns.testbed import TestBed
from lab.checker.evidence import Evidence, gather
from lab.checker.legs import ROUND_TRIP, Leg
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge
from lab.environment.baseline import differences
from lab.polling import holds_within
from workflows.model.stages import Procedure

COMPLETED = "completed"
CLOSED_WITHIN = 10.0


@dataclass(frozen=True)
class LegResult:
    """The result of one run."""

    leg: str
    procedure: Procedure
    outcome: str
    seconds: float
    numbers: dict[str, int]
    problems: list[str]
    details: dict[str, list[str]] = field(default_factory=dict)
    """What the bad numbers consist of."""

    @classmethod
    def of(cls, leg: Leg, verdict: Verdict, evidence: Evidence) -> LegResult:
        """Take what a verdict says; a switchover, too, has to leave the estate as it should be."""
        problems = verdict.problems()
        if verdict.baseline is None and evidence.differences:
            problems.append(f"baseline: {len(evidence.differences)} differences")
        details = {**verdict.details, "differences": evidence.differences}
        return cls(
            leg=str(leg),
            procedure=leg.procedure,
            outcome=verdict.outcome,
            seconds=verdict.seconds.total,
            numbers=dict(numbers_of(verdict)),
            problems=problems,
            details={kind: found for kind, found in details.items() if found} if problems else {},
        )


@dataclass
class TripResult:
    """The result of one round trip."""

    trip: int
    legs: list[LegResult] = field(default_factory=list)
    written: int = 0
    """Rows that the active side wrote while replication was off."""
    brought_over: int = 0
    """How many of them the other side had when it was back."""
    differences: list[str] = field(default_factory=list)
    """In what the estate differs from its baseline."""
    open_runs: list[str] = field(default_factory=list)
    """Workflows that go on although nothing is left to do."""
    comparison: Comparison | None = None
    growth: Growth | None = None

    def problems(self) -> list[str]:
        """Everything that must not be."""
        found = [f"{leg.leg}: {one}" for leg in self.legs for one in leg.problems]
        if missing := len(ROUND_TRIP) - len(self.legs):
            found.append(f"{missing} runs were not made")
        if self.brought_over != self.written:
            found.append(f"{self.brought_over} of {self.written} rows were brought over")
        if not self.written:
            found.append("no row was written while replication was off, so nothing was proved")
        found += self.differences
        found += [f"{run} is still open" for run in self.open_runs]
        for part in (self.comparison, self.growth):
            found += ["the estate was not compared"] if part is None else part.problems()
        return found


async def make_trip(
    bed: TestBed, start: Footprint, number: int, report: Callable[[LegResult], None]
) -> TripResult:
    """Switch over, rejoin, switch back and rejoin; *start*: the lab before any run."""
    result = TripResult(number)
    await bed.workers.start().ready()
    for place, leg in enumerate(ROUND_TRIP, start=1):
        series = f"{number:02d}{place}-"
        rows: writes.Written = ()
        if leg.procedure == "rejoin":
            rows = await writes.write(bed.lab.layout.cluster(leg.source), series)
            result.written += len(rows)
        made = await _make(bed, leg, series)
        result.legs.append(made)
        report(made)
        if made.outcome != COMPLETED:
            break  # what follows could only fail, too
        if leg.procedure == "rejoin":
            other = bed.lab.layout.cluster(leg.target)
            result.brought_over += await writes.brought_over(other, rows)
    result.open_runs = await _open_runs(bed.client)
    await bed.workers.kill()
    result.comparison = await compare(bed.lab.layout)
    result.differences = await differences(bed.lab.layout)
    result.growth = Growth.between(start, await measure(bed.lab, start.processes))
    return result


async def _open_runs(client: Client) -> list[str]:
    """Return the workflows that stay open; the server's list is late by moments."""
    seen: list[str] = []

    async def none() -> bool:
        query = "ExecutionStatus = 'Running'"
        seen[:] = [f"{run.workflow_type} {run.id}" async for run in client.list_workflows(query)]
        return not seen

    await holds_within(CLOSED_WITHIN, none, 0.5)
    return seen


async def _make(bed: TestBed, leg: Leg, series: str) -> LegResult:
    bed.lab.forget_records()
    async with bed.traffic(series):
        began = time.time()
        handle = await bed.start(leg, reason=f"round trip {series}")
        run = Run(await outcome_of(handle), began, time.time())
    # In a thread: the proxies of other estates are in this process and must not be blocked.
    return await asyncio.to_thread(_judged, bed, leg, run)


def _judged(bed: TestBed, leg: Leg, run: Run) -> LegResult:
    layout = bed.lab.layout
    evidence = asyncio.run(gather(layout, leg.after))
    return LegResult.of(leg, judge(roles(layout, leg=leg), run, evidence), evidence)
