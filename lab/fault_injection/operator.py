"""A simulated operator: repair what is wrong, then answer the question of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from temporalio.exceptions import TemporalError

from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run
from lab.fault_injection.fault import Fault
from lab.product_driver import ENDED, FINDINGS, DecisionRefused, Handle, state_of

Answer = Literal["retry", "roll-back"]
Decide = Callable[[Answer], Awaitable[None]]

WAITS = "waiting_for_decision"
NOTICED = ("rolling_back", WAITS, ENDED)
"""What a run shows that has met a fault."""
POLL_SECONDS = 0.3
PROGRESS_TIMEOUT = 5.0
"""Seconds until a run that was answered shows another state."""


@dataclass
class Operator:
    """Answers once; who is asked again, or without need, gives the run up."""

    handle: Handle
    answer: Answer | None
    decide: Decide
    set_right: Callable[[], None] = lambda: None
    """Done before an answer: who said `retry` to what is still wrong would be asked again."""
    asked: list[str] = field(default_factory=list)
    """Why, each time."""
    gave_up: str = ""

    async def run(self) -> None:
        """Look at the run until it is over."""
        try:
            while (state := await state_of(self.handle)) != ENDED and not self.gave_up:
                if state == WAITS:
                    await self._answer()
                await asyncio.sleep(POLL_SECONDS)
        except Exception as fault:
            # Nobody would answer any more, and the run would wait for ever.
            await self._give_up(f"the operator failed: {fault!r}")
            raise

    async def noticed(self) -> bool:
        """Whether the run shows that it has met a fault."""
        return await state_of(self.handle) in NOTICED

    async def _answer(self) -> None:
        self.asked.append(await self._question())
        if self.answer is None or len(self.asked) > 1:
            await self._give_up(f"it asked for a decision that was not due: {self.asked[-1]}")
            return
        self.set_right()
        try:
            await self.decide(self.answer)
        except DecisionRefused as refusal:
            await self._give_up(str(refusal))
            return
        deadline = asyncio.get_running_loop().time() + PROGRESS_TIMEOUT
        while await state_of(self.handle) == WAITS:
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _give_up(self, why: str) -> None:
        self.gave_up = why
        await self.handle.terminate(why[:200])

    async def _question(self) -> str:
        try:
            status = await self.handle.query("status")
        except TemporalError as silence:
            return f"nobody could say why ({silence!r})"
        waiting = (status or {}).get("waiting") or {}
        return str(waiting.get("message", "it did not say why"))


def expected_outcome(fault: Fault, answer: Answer) -> str:
    """Return the outcome that a run with this fault has to have."""
    if not fault.stage.number:
        return FINDINGS
    if fault.undone_by_itself or answer == "roll-back":
        return "rolled_back"
    return "completed"


def rollback_point(outcome: str, stage: int, *, begun: bool) -> RollbackPoint | None:
    """Say where a run with this outcome turned back, if it did."""
    if outcome == FINDINGS:
        return RollbackPoint(0)
    return RollbackPoint(stage, begun) if outcome == "rolled_back" else None


def checked_outcome(run: Run, operator: Operator, *, struck: bool) -> str:
    """Return the run's outcome, or what makes it worthless."""
    if operator.gave_up:
        return operator.gave_up
    return run.outcome if struck else f"{run.outcome}, and the fault never struck"
