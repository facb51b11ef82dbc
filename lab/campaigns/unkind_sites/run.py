"""Switch one unkind estate over under traffic, and judge the run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace

from lab import unkind
from lab.campaigns.outcome import outcome_of
from lab.campaigns.results import numbers_of
from lab.campaigns.rollback_matrix.run import SETTINGS as QUICK
from lab.campaigns.testbed import TestBed
from lab.checker.evidence import gather
from lab.checker.legs import LEGS
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge

SETTINGS = replace(QUICK, timing={**QUICK.timing, "unreachable_timeout": 30})


@dataclass(frozen=True)
class SiteResult:
    """The result of one seed."""

    seed: int
    brought: str
    """What the machines brought, in words."""
    outcome: str
    seconds: float
    numbers: dict[str, int]
    problems: list[str]
    details: dict[str, list[str]] = field(default_factory=dict)
    """What the bad numbers consist of."""


async def run_site(bed: TestBed, seed: int) -> SiteResult:
    """Switch the estate over from its baseline, with what this seed chooses."""
    unkindness = unkind.choose(bed.lab.layout, seed)
    async with bed.under_traffic():
        unkind.apply(bed.lab, unkindness)
        began = time.time()
        handle = await bed.start(LEGS["switchover"], reason=f"unkind, seed {seed}")
        run = Run(await outcome_of(handle), began, time.time())
    # In a thread: the proxies of other estates are in this process and must not be blocked.
    verdict = await asyncio.to_thread(_judged, bed, run)
    problems = verdict.problems()
    return SiteResult(
        seed=seed,
        brought=str(unkindness),
        outcome=verdict.outcome,
        seconds=verdict.seconds.total,
        numbers=dict(numbers_of(verdict)),
        problems=problems,
        details=verdict.details if problems else {},
    )


def _judged(bed: TestBed, run: Run) -> Verdict:
    layout = bed.lab.layout
    return judge(roles(layout), run, asyncio.run(gather(layout)))
