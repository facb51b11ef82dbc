"""A simulated operator: repair what is wrong, then answer the question of a run."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from temporalio.exceptions import TemporalError

from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run
from lab.fault_injection.fault import Fault
from lab.polling import holds_within
from lab.product_driver import ENDED, FINDINGS, DecisionRefused, Handle, state_of

Answer = Literal["retry", "roll-back"]
Decide = Callable[[Answer], Awaitable[None]]

WAITS = "waiting_for_decision"
NOTICED = ("rolling_back", WAITS, ENDED)
"""States of a run that has noticed a fault."""
POLL_SECONDS = 0.3
PROGRESS_TIMEOUT = 5.0
"""Seconds until a run that was answered shows another state."""


@dataclass
class Operator:
    """Answers once; terminates a run that asks again, or that should not ask."""

    handle: Handle
    answer: Answer | None
    decide: Decide
    repair: Callable[[], None] = lambda: None
    """Called before the answer: a `retry` of what is still wrong would lead to another question."""
    questions: list[str] = field(default_factory=list)
    """The message of each question."""
    gave_up: str = ""

    async def run(self) -> None:
        """Watch the run until it has ended."""
        try:
            while (state := await state_of(self.handle)) != ENDED and not self.gave_up:
                if state == WAITS:
                    await self._answer()
                await asyncio.sleep(POLL_SECONDS)
        except Exception as fault:
            # Without an operator the run would wait without end.
            await self._give_up(f"the operator failed: {fault!r}")
            raise

    async def noticed(self) -> bool:
        """Whether the run's state shows the fault."""
        return await state_of(self.handle) in NOTICED

    async def _answer(self) -> None:
        self.questions.append(await self._question())
        if self.answer is None or len(self.questions) > 1:
            await self._give_up(f"the run asked for an unexpected decision: {self.questions[-1]}")
            return
        self.repair()
        try:
            await self.decide(self.answer)
        except DecisionRefused as refusal:
            await self._give_up(str(refusal))
            return
        await holds_within(PROGRESS_TIMEOUT, self._resumed, POLL_SECONDS)

    async def _resumed(self) -> bool:
        return await state_of(self.handle) != WAITS

    async def _give_up(self, why: str) -> None:
        self.gave_up = why
        await self.handle.terminate(why[:200])

    async def _question(self) -> str:
        try:
            status = await self.handle.query("status")
        except TemporalError as error:
            return f"the question is unknown ({error!r})"
        waiting = (status or {}).get("waiting") or {}
        return str(waiting.get("message", "no message"))


def expected_outcome(fault: Fault, answer: Answer) -> str:
    """Return the outcome that a run with this fault must have."""
    if not fault.stage.number:
        return FINDINGS
    if fault.before_no_return or answer == "roll-back":
        return "rolled_back"
    return "completed"


def rollback_point(outcome: str, stage: int, *, begun: bool) -> RollbackPoint | None:
    """Return where a run with this outcome began its rollback, if it did."""
    if outcome == FINDINGS:
        return RollbackPoint(0)
    return RollbackPoint(stage, begun) if outcome == "rolled_back" else None


def checked_outcome(run: Run, operator: Operator, *, began: bool) -> str:
    """Return the run's outcome, or why it proves nothing."""
    if operator.gave_up:
        return operator.gave_up
    return run.outcome if began else f"{run.outcome}, and the fault never began"
