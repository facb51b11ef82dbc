"""What is one case: a switchover with live traffic that fails, or is stopped, and turns back?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import TemporalError

from lab.campaigns.crash.results import SUMS, ZERO
from lab.campaigns.crash.run import AFTER_SECONDS, REQUEST, WARM_UP_SECONDS, live_estate
from lab.campaigns.crash.testbed import Settings, TestBed
from lab.campaigns.rollback_matrix.cases import Case
from lab.checker.evidence import gather
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge
from lab.environment.quiesce import settle
from lab.fault_injection.operator import Answer, Operator, checked_outcome, rollback_point
from lab.fault_injection.scenario import injected
from lab.layout import Layout
from lab.product_driver import WORKFLOW, DecisionRefused, Handle
from lab.simulation_options import SimulationOptions

SETTINGS = Settings(
    # Stops are pending for a while, so that a start can be too early.
    simulation=SimulationOptions(
        graceful_stop_ends="at_timeout", transaction_manager_clock=10.0, storage_delay=0.2
    ),
    timing={
        "grace": 4,
        "storage_delay": 0.5,
        "replication_timeout": 3,
        "unreachable_timeout": 4,
    },
)
END_TIMEOUT = 240.0
POLL_SECONDS = 0.2
BY = "the operator of the matrix"


@dataclass(frozen=True)
class Row:
    """What became of one case."""

    case: str
    stage: str
    place: str
    how: str
    answer: str
    outcome: str
    expected_outcome: str
    seconds: float
    back_seconds: float | None
    """From the event when the run turned back to its end."""
    asked: list[str]
    numbers: dict[str, int]
    problems: list[str]
    words: dict[str, list[str]] = field(default_factory=dict)
    """What bad numbers are made of."""

    @classmethod
    def of(cls, case: Case, verdict: Verdict, turned: float | None, asked: list[str]) -> Row:
        """Write down what a verdict says."""
        problems = verdict.problems()
        return cls(
            case=str(case),
            stage=case.stage.value,
            place=case.place,
            how=case.how,
            answer=case.answer or "",
            outcome=verdict.outcome,
            expected_outcome=verdict.expected_outcome,
            seconds=verdict.seconds.total,
            back_seconds=turned,
            asked=asked,
            numbers={name: _number(verdict, name) for name in (*SUMS, *ZERO)},
            problems=problems,
            words=verdict.details if problems else {},
        )


@dataclass
class _Course:
    """How one run is going."""

    handle: Handle
    operator: Operator
    turned_at: float | None = None
    struck: bool = True


async def go_through(testbed: TestBed, case: Case) -> Row:
    """Switch the estate over from its baseline, let it fail there, and judge what came of it."""
    await testbed.reset()
    layout = testbed.lab.layout
    worker = testbed.workers.start()
    async with live_estate(testbed) as traffic:
        await worker.ready()
        await asyncio.sleep(WARM_UP_SECONDS)
        run, course = await _driven(testbed, case)
        await asyncio.sleep(AFTER_SECONDS)
        await traffic.finish()
        await settle(layout)
    # In a thread: other estates' proxies pass through this process, and must not stand still.
    verdict = await asyncio.to_thread(_judged, layout, run)
    took = None if course.turned_at is None else round(run.ended - course.turned_at, 1)
    return Row.of(case, verdict, took if run.rollback_point else None, course.operator.asked)


def _judged(layout: Layout, run: Run) -> Verdict:
    return judge(roles(layout), run, asyncio.run(gather(layout)))


async def _driven(testbed: TestBed, case: Case) -> tuple[Run, _Course]:
    began = time.time()
    # By its own run id: the id of the workflow still stands for the run before, which has ended.
    handle = await _start(testbed, case)

    async def decide(answer: Answer) -> None:
        course.turned_at = time.time()
        verb = answer.replace("-", "_")
        await _say(handle, verb, stage=case.stage.value if answer == "retry" else None)

    course = _Course(handle, Operator(handle, case.answer, decide))
    async with _standing_by(testbed, case, course):
        outcome = await _outcome(handle)
    given = Run(outcome, began, time.time(), expected_outcome=case.expected_outcome)
    outcome = checked_outcome(given, course.operator, struck=course.struck)
    turned = rollback_point(outcome, case.rollback_point.step, begun=case.rollback_point.begun)
    return replace(given, outcome=outcome, rollback_point=turned), course


@asynccontextmanager
async def _standing_by(testbed: TestBed, case: Case, course: _Course) -> AsyncIterator[None]:
    """Plant the fault, or stand at the gate; and answer where the run asks."""
    if case.fault is None:
        rejecting = asyncio.create_task(_reject(case, course))
        attending = asyncio.create_task(course.operator.run())
        try:
            yield
        finally:
            for task in (rejecting, attending):
                task.cancel()
            await asyncio.gather(rejecting, attending, return_exceptions=True)
        return
    course.struck = False
    async with injected(case.fault, testbed.proxies, course.operator) as trigger:
        yield
    course.struck = trigger.struck_at is not None
    course.turned_at = course.turned_at or trigger.healed_at


async def _reject(case: Case, course: _Course) -> None:
    """Wait until the run asks for the approval, and refuse it."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        with suppress(TemporalError):
            status = await course.handle.query("status")
            waiting = (status or {}).get("waiting") or {}
            if (waiting.get("kind"), waiting.get("stage")) == ("approval", case.stage.value):
                break
    course.turned_at = time.time()
    await _say(course.handle, "reject", stage=case.stage.value)


async def _start(testbed: TestBed, case: Case) -> Handle:
    rule = "roll_back" if case.answer is None else "ask"
    gates = [] if case.fault else [case.stage.value]
    request = {**REQUEST, "reason": str(case), "on_fault": rule, "approve_before": gates}
    started = await testbed.client.start_workflow(
        "Switchover", request, id=WORKFLOW, task_queue="switchover"
    )
    return testbed.client.get_workflow_handle(WORKFLOW, run_id=started.first_execution_run_id)


async def _outcome(handle: Handle) -> str:
    try:
        result: dict[str, Any] = await asyncio.wait_for(handle.result(), END_TIMEOUT)
    except TimeoutError:
        await handle.terminate("the case is over")
        return f"none after {END_TIMEOUT:.0f} s"
    except WorkflowFailureError as failure:
        return f"failed: {failure.cause}"
    return str(result["outcome"])


async def _say(handle: Handle, verb: str, stage: str | None) -> None:
    """Decide by an update: it is answered, or refused in words."""
    decision = {"by": BY, "reason": "the matrix wants it"} | ({"stage": stage} if stage else {})
    try:
        await handle.execute_update(verb, decision)
    except TemporalError as refusal:
        raise DecisionRefused(
            f"{verb} was not taken: {refusal.__cause__ or refusal!r}"
        ) from refusal


def _number(verdict: Verdict, name: str) -> int:
    section, _, number = name.partition(".")
    return int(getattr(getattr(verdict, section), number))
