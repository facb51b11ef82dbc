"""How a run waits for people: gates, decisions, pauses, and where it leaves when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow

from workflows.execution.context import Run
from workflows.model.progress import PendingQuestion
from workflows.model.stages import DECIDED_TOGETHER, StageName
from workflows.planning.change_window import closed_for
from workflows.planning.plan import Stage
from workflows.run.inbox import Question

VISIBLE = timedelta(days=30)
"""A wait shows in the Web UI's timeline only if it has a timer: this one just starts again."""

WITHOUT_SCHEDULING = (StageName.STOP_SCHEDULING, StageName.START_SCHEDULING)
"""Between the first effect of the one and the end of the other nobody may leave."""


class Aborted(Exception):
    """The run ends here; what was not undone stays as it is."""


class RollBack(Exception):
    """The run goes no further, and what it has done is to be taken back."""


class Gates:
    """Waits for approvals and decisions, and never forgets how long."""

    def __init__(self, run: Run, tell: Callable[[PendingQuestion], None]) -> None:
        self._plan, self._tracker = run.plan, run.tracker
        self._inbox, self._state = run.inbox, run.state
        self._tell = tell
        self._asked: set[StageName] = set()

    async def wait_for_approval(self, stage: Stage) -> None:
        """Wait until the stage may begin; RollBack or Aborted where it never may."""
        if stage.undo:
            return
        for gate in DECIDED_TOGETHER.get(stage.name, (stage.name,)):
            # A part without effects may begin before the stage's gate.
            if stage.gated if gate is stage.name else self._plan.stage(gate).gated:
                await self._pass_gate(stage, gate)
        while (closed := closed_for(self._plan, stage.name, workflow.now())) is not None:
            if self._inbox.is_open(stage.name):
                return
            window = self._plan.estate.change_window
            message = f"{stage.name} waits for the change window ({window}), or for an approval"
            await self._await_answer(stage, stage.name, message, closed)

    async def ask(
        self,
        stage: Stage,
        question: Question,
        waiting: PendingQuestion,
        outcome_known: Callable[[], bool] = lambda: False,
    ) -> Question:
        """Wait for a decision, or until there is nothing left to decide."""
        self._inbox.ask(question)
        self._tracker.rest(stage)
        self._wait(stage, waiting)
        await self.until(
            lambda: bool(question.answers) or self._may_give_up(stage) or outcome_known(),
            None,
            f"decision about {stage.key}",
        )
        self._inbox.close(question)
        self._tracker.answered(waiting)
        self._tracker.work(stage)
        self.exit_if_requested(stage)
        if not question.answers and not outcome_known():
            raise Aborted(
                f"the run was cancelled while it waited for a decision: {waiting.message}"
            )
        return question

    async def until(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for people, and remember how long; whether the condition came in time."""
        since = workflow.now()
        in_time = await self.wait(condition, at_most, summary)
        self._state.waited += workflow.now() - since
        return in_time

    async def wait(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for a condition; while the run is paused, nothing comes true and no time passes."""
        remaining = at_most
        while True:
            await self.wait_while_paused()
            if condition():
                return True
            if remaining is not None and remaining <= timedelta():
                return False
            since = workflow.now()
            await _wait(lambda: self._inbox.paused or condition(), remaining or VISIBLE, summary)
            if remaining is not None:
                remaining -= workflow.now() - since

    async def wait_while_paused(self) -> None:
        """Return when the run is not paused, or no more."""
        while self._inbox.paused:
            since = workflow.now()
            await _wait(lambda: not self._inbox.paused, VISIBLE, "paused, until someone resumes it")
            self._state.waited += workflow.now() - since

    def may_exit(self, stage: Stage) -> bool:
        """Whether what someone said ends the run here: never without scheduling anywhere."""
        if stage.undo:
            leaving = self._inbox.leaving
            aborted = leaving is not None and leaving.kind == "abort"
            return aborted and self._state.scheduled_somewhere
        if self._state.turned_back:
            return True
        if self._inbox.leaving is None:
            return False
        if self._turns_back():
            return True  # the undo brings scheduling back
        return not (stage.name in WITHOUT_SCHEDULING and self._state.begun_any(*WITHOUT_SCHEDULING))

    def exit_if_requested(self, stage: Stage) -> None:
        """Leave where someone said so, and where that is possible."""
        leaving = self._inbox.leaving
        if not self.may_exit(stage):
            return
        if not stage.undo and self._state.turned_back:
            raise RollBack(self._state.turned_back)
        if leaving is None:
            raise AssertionError(stage)  # or nobody may leave
        if self._turns_back() and not stage.undo:
            self.turn_back(leaving.message)
        rolled_back_stages = "nothing more was undone" if stage.undo else "nothing was undone"
        raise Aborted(f"{leaving.message}; {stage.key} was not done, and {rolled_back_stages}")

    def turn_back(self, message: str) -> NoReturn:
        """Go no further, nor may any other chain of orders."""
        self._state.turned_back = message
        raise RollBack(message)

    def _may_give_up(self, stage: Stage) -> bool:
        """Whether a question need not be answered: nobody asks people of a cancelled run."""
        cancelled = stage.undo and self._inbox.cancelled and self._state.scheduled_somewhere
        return cancelled or self.may_exit(stage)

    def _turns_back(self) -> bool:
        """A cancellation takes back what may be taken back without an operator's word."""
        leaving = self._inbox.leaving
        if leaving is None or leaving.kind == "abort":
            return False
        return leaving.kind == "roll_back" or not self._state.past_return

    async def _pass_gate(self, stage: Stage, gate: StageName) -> None:
        approvals = self._plan.approvals
        gates = ", ".join(approvals.approvers) or "anyone"
        message = f"{gate} needs {approvals.needed} approval(s), by {gates}"
        while not self._inbox.is_open(gate):
            in_time = await self._await_answer(stage, gate, message, approvals.expires_after)
            if not in_time and approvals.on_expiry == "reject":
                await self._refused(
                    stage, gate, f"nobody approved {gate} within {approvals.expires_after}"
                )

    async def _await_answer(
        self, stage: Stage, gate: StageName, message: str, at_most: timedelta | None
    ) -> bool:
        """Wait for an approval or a rejection; whether one came in time."""
        waiting = PendingQuestion(
            kind="approval",
            stage=gate,
            since=workflow.now(),
            message=message,
            answers=("approve", "reject"),
            approved_by=self._inbox.approved_by(gate),
        )
        first = gate not in self._asked  # of several chains one asks, and all wait
        if first:
            self._asked.add(gate)
            self._wait(stage, waiting)

        def answered() -> bool:
            nonlocal waiting
            waiting = self._tracker.update_waiting(
                waiting, approved_by=self._inbox.approved_by(gate)
            )
            rejected = self._inbox.rejection(gate) is not None
            return self._inbox.is_open(gate) or rejected or self.may_exit(stage)

        in_time = await self.until(answered, at_most, f"approval of {gate}")
        if first:
            self._asked.discard(gate)
            self._tracker.answered(waiting)
        self.exit_if_requested(stage)
        rejection = self._inbox.rejection(gate)
        if rejection is not None:
            who = rejection.by or "someone"
            await self._refused(stage, gate, f"{who} rejected {gate}: {rejection.reason}")
        return in_time

    async def _refused(self, stage: Stage, gate: StageName, message: str) -> None:
        """Before the point of no return the run turns back; after it someone has to say so."""
        if not self._state.past_return:
            self.turn_back(message)
        self._tracker.work(stage)
        await self.ask(
            stage,
            Question(gate, ("retry", "roll_back", "abort")),
            PendingQuestion(
                kind="decision",
                stage=gate,
                since=workflow.now(),
                message=f"{message}; retry asks for the approval again",
                answers=("retry", "roll_back", "abort"),
            ),
        )
        self._tracker.rest(stage)
        self._inbox.forget_rejection(gate)

    def _wait(self, stage: Stage, waiting: PendingQuestion) -> None:
        self._tracker.wait(stage, waiting)
        self._tell(waiting)


async def _wait(condition: Callable[[], bool], at_most: timedelta, summary: str) -> None:
    try:
        await workflow.wait_condition(condition, timeout=at_most, timeout_summary=summary)
    except TimeoutError:
        return
