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
from lab.campaigns.crash.run import REQUEST, RUN_ON, WARM_UP, living
from lab.campaigns.crash.testbed import Den, Habits
from lab.campaigns.rollback_matrix.cases import Case
from lab.checker.evidence import gather
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge
from lab.environment.quiesce import settle
from lab.fault_injection.operator import Answer, Operator, objection, turn
from lab.fault_injection.scenario import laid
from lab.layout import Layout
from lab.product_driver import WORKFLOW, Handle, NotTaken
from lab.simulation_options import Switches

HABITS = Habits(
    # Stops are pending for a while, so that a start can be too early.
    switches=Switches(
        graceful_stop_ends="at_timeout", transaction_manager_clock=10.0, storage_delay=0.2
    ),
    timing={
        "grace": 4,
        "storage_delay": 0.5,
        "replication_timeout": 3,
        "unreachable_timeout": 4,
    },
)
ENDS_WITHIN = 240.0
LOOKS_EVERY = 0.2
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
    wished: str
    seconds: float
    back_seconds: float | None
    """From the moment when the run turned back to its end."""
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
            wished=verdict.wished,
            seconds=verdict.seconds.total,
            back_seconds=turned,
            asked=asked,
            numbers={name: _number(verdict, name) for name in (*SUMS, *ZERO)},
            problems=problems,
            words=verdict.words if problems else {},
        )


@dataclass
class _Course:
    """How one run is going."""

    handle: Handle
    operator: Operator
    turned_at: float | None = None
    struck: bool = True


async def go_through(den: Den, case: Case) -> Row:
    """Switch the estate over from its baseline, let it fail there, and judge what came of it."""
    await den.reset()
    layout = den.lab.layout
    worker = den.workers.start()
    async with living(den) as traffic:
        await worker.ready()
        await asyncio.sleep(WARM_UP)
        run, course = await _driven(den, case)
        await asyncio.sleep(RUN_ON)
        await traffic.finish()
        await settle(layout)
    # In a thread: other estates' lines pass through this process, and must not stand still.
    verdict = await asyncio.to_thread(_judged, layout, run)
    took = None if course.turned_at is None else round(run.ended - course.turned_at, 1)
    return Row.of(case, verdict, took if run.turn else None, course.operator.asked)


def _judged(layout: Layout, run: Run) -> Verdict:
    return judge(roles(layout), run, asyncio.run(gather(layout)))


async def _driven(den: Den, case: Case) -> tuple[Run, _Course]:
    began = time.time()
    # By its own run id: the id of the workflow still stands for the run before, which has ended.
    handle = await _start(den, case)

    async def decide(answer: Answer) -> None:
        course.turned_at = time.time()
        verb = answer.replace("-", "_")
        await _say(handle, verb, stage=case.stage.value if answer == "retry" else None)

    course = _Course(handle, Operator(handle, case.answer, decide))
    async with _standing_by(den, case, course):
        outcome = await _outcome(handle)
    given = Run(outcome, began, time.time(), wished=case.wished)
    outcome = objection(given, course.operator, struck=course.struck)
    turned = turn(outcome, case.turn.step, begun=case.turn.begun)
    return replace(given, outcome=outcome, turn=turned), course


@asynccontextmanager
async def _standing_by(den: Den, case: Case, course: _Course) -> AsyncIterator[None]:
    """Plant the fault, or stand at the gate; and answer where the run asks."""
    if case.fault is None:
        rejecting = asyncio.create_task(_reject(case, course))
        attending = asyncio.create_task(course.operator.attend())
        try:
            yield
        finally:
            for task in (rejecting, attending):
                task.cancel()
            await asyncio.gather(rejecting, attending, return_exceptions=True)
        return
    course.struck = False
    async with laid(case.fault, den.lines, course.operator) as trap:
        yield
    course.struck = trap.struck_at is not None
    course.turned_at = course.turned_at or trap.healed_at


async def _reject(case: Case, course: _Course) -> None:
    """Wait until the run asks for the approval, and refuse it."""
    while True:
        await asyncio.sleep(LOOKS_EVERY)
        with suppress(TemporalError):
            status = await course.handle.query("status")
            waiting = (status or {}).get("waiting") or {}
            if (waiting.get("kind"), waiting.get("stage")) == ("approval", case.stage.value):
                break
    course.turned_at = time.time()
    await _say(course.handle, "reject", stage=case.stage.value)


async def _start(den: Den, case: Case) -> Handle:
    rule = "roll_back" if case.answer is None else "ask"
    gates = [] if case.fault else [case.stage.value]
    request = {**REQUEST, "reason": str(case), "on_fault": rule, "approve_before": gates}
    started = await den.client.start_workflow(
        "Switchover", request, id=WORKFLOW, task_queue="switchover"
    )
    return den.client.get_workflow_handle(WORKFLOW, run_id=started.first_execution_run_id)


async def _outcome(handle: Handle) -> str:
    try:
        result: dict[str, Any] = await asyncio.wait_for(handle.result(), ENDS_WITHIN)
    except TimeoutError:
        await handle.terminate("the case is over")
        return f"none after {ENDS_WITHIN:.0f} s"
    except WorkflowFailureError as failure:
        return f"failed: {failure.cause}"
    return str(result["outcome"])


async def _say(handle: Handle, verb: str, stage: str | None) -> None:
    """Decide by an update: it is answered, or refused in words."""
    decision = {"by": BY, "reason": "the matrix wants it"} | ({"stage": stage} if stage else {})
    try:
        await handle.execute_update(verb, decision)
    except TemporalError as refusal:
        raise NotTaken(f"{verb} was not taken: {refusal.__cause__ or refusal!r}") from refusal


def _number(verdict: Verdict, name: str) -> int:
    section, _, number = name.partition(".")
    return int(getattr(getattr(verdict, section), number))
