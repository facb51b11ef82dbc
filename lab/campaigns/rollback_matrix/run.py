"""Run one case: a run under traffic that fails, or is rejected, and is judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from temporalio.exceptions import TemporalError

from lab.campaigns.outcome import outcome_of
from lab.campaigns.results import numbers_of
from lab.campaigns.rollback_matrix.cases import Case
from lab.campaigns.testbed import Settings, TestBed
from lab.checker.evidence import gather
from lab.checker.legs import Leg
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge
from lab.fault_injection.operator import Answer, Operator, checked_outcome, rollback_point
from lab.fault_injection.scenario import injected
from lab.layout import Layout
from lab.product_driver import DecisionRefused, Handle
from lab.simulation_options import SimulationOptions

SETTINGS = Settings(
    # Stops are pending for a while, so that a start can be too early.
    simulation=SimulationOptions(
        graceful_stop_ends="at_timeout", transaction_manager_clock=10.0, storage_delay=0.2
    ),
    timing={"grace": 4, "storage_delay": 0.5, "replication_timeout": 3, "unreachable_timeout": 4},
)
POLL_SECONDS = 0.2
OPERATOR = "operator of the rollback matrix"


@dataclass(frozen=True)
class CaseResult:
    """The result of one case."""

    case: str
    stage: str
    place: str
    way: str
    answer: str
    outcome: str
    expected_outcome: str
    seconds: float
    rollback_seconds: float | None
    """From the beginning of the rollback to the end of the run."""
    questions: list[str]
    numbers: dict[str, int]
    problems: list[str]
    details: dict[str, list[str]] = field(default_factory=dict)
    """What the bad numbers consist of."""

    @classmethod
    def of(
        cls, case: Case, verdict: Verdict, rollback_seconds: float | None, questions: list[str]
    ) -> CaseResult:
        """Take what a verdict says."""
        problems = verdict.problems()
        return cls(
            case=str(case),
            stage=case.stage.value,
            place=case.place,
            way=case.way,
            answer=case.answer or "",
            outcome=verdict.outcome,
            expected_outcome=verdict.expected_outcome,
            seconds=verdict.seconds.total,
            rollback_seconds=rollback_seconds,
            questions=questions,
            numbers=dict(numbers_of(verdict)),
            problems=problems,
            details=verdict.details if problems else {},
        )


@dataclass
class _Progress:
    """The progress of one run."""

    handle: Handle
    operator: Operator
    rollback_at: float | None = None
    fault_began: bool = True


async def run_case(testbed: TestBed, case: Case) -> CaseResult:
    """Start the run in the situation before it, with this fault, and judge it."""
    async with testbed.under_traffic(case.leg.before):
        run, progress = await _driven(testbed, case)
    # In a thread: the proxies of other estates are in this process and must not be blocked.
    verdict = await asyncio.to_thread(_judged, testbed.lab.layout, case.leg, run)
    started = progress.rollback_at if run.rollback_point else None
    took = None if started is None else round(run.ended - started, 1)
    return CaseResult.of(case, verdict, took, progress.operator.questions)


def _judged(layout: Layout, leg: Leg, run: Run) -> Verdict:
    end = leg.before if run.rollback_point else leg.after
    return judge(roles(layout, leg=leg), run, asyncio.run(gather(layout, end)))


async def _driven(testbed: TestBed, case: Case) -> tuple[Run, _Progress]:
    began = time.time()
    handle = await testbed.start(
        case.leg,
        reason=str(case),
        on_fault="roll_back" if case.answer is None else "ask",
        approve_before=[] if case.fault else [case.stage.value],
    )

    async def decide(answer: Answer) -> None:
        progress.rollback_at = time.time()
        stage = case.stage.value if answer == "retry" else None
        await _send(handle, answer.replace("-", "_"), stage)

    progress = _Progress(handle, Operator(handle, case.answer, decide))
    async with _fault_or_rejection(testbed, case, progress):
        outcome = await outcome_of(handle)
    run = Run(outcome, began, time.time(), expected_outcome=case.expected_outcome)
    outcome = checked_outcome(run, progress.operator, began=progress.fault_began)
    expected = case.rollback_point
    point = rollback_point(outcome, expected.step, begun=expected.begun)
    return replace(run, outcome=outcome, rollback_point=point), progress


@asynccontextmanager
async def _fault_or_rejection(
    testbed: TestBed, case: Case, progress: _Progress
) -> AsyncIterator[None]:
    """Inject the fault, or reject the approval; and answer what the run asks."""
    if case.fault is None:
        tasks = [
            asyncio.create_task(_reject(case, progress)),
            asyncio.create_task(progress.operator.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return
    progress.fault_began = False
    async with injected(case.fault, testbed.proxies, progress.operator) as trigger:
        yield
    progress.fault_began = trigger.began_at is not None
    progress.rollback_at = progress.rollback_at or trigger.healed_at


async def _reject(case: Case, progress: _Progress) -> None:
    """Wait until the run asks for the approval, and reject it."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        with suppress(TemporalError):
            status = await progress.handle.query("status")
            waiting = (status or {}).get("waiting") or {}
            if (waiting.get("kind"), waiting.get("stage")) == ("approval", case.stage.value):
                break
    progress.rollback_at = time.time()
    await _send(progress.handle, "reject", case.stage.value)


async def _send(handle: Handle, verb: str, stage: str | None) -> None:
    """Decide by an update, which is answered or refused."""
    decision = {"by": OPERATOR, "reason": "a case of the matrix"}
    if stage:
        decision["stage"] = stage
    try:
        await handle.execute_update(verb, decision)
    except TemporalError as refusal:
        raise DecisionRefused(f"{verb} was refused: {refusal.__cause__ or refusal!r}") from refusal
