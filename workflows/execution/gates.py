"""How a run waits for people: gates, decisions, pauses, and where it leaves when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow

from workflows.execution.context import Run
from workflows.model.progress import Waiting
from workflows.model.stages import DECIDED_TOGETHER, Slug
from workflows.planning.change_window import closed_for
from workflows.planning.plan import Stage
from workflows.run.inbox import Question

VISIBLE = timedelta(days=30)
"""A wait shows in the Web UI's timeline only if it has a timer: this one just starts again."""

WITHOUT_SCHEDULING = (Slug.STOP_SCHEDULING, Slug.START_SCHEDULING)
"""Between the first effect of the one and the end of the other nobody may leave."""


class Ended(Exception):
    """The run ends here; what was not undone stays as it is."""


class TurnBack(Exception):
    """The run goes no further, and what it has done is to be taken back."""


class People:
    """Waits for approvals and decisions, and never forgets how long."""

    def __init__(self, run: Run, tell: Callable[[Waiting], None]) -> None:
        self._plan, self._board = run.plan, run.board
        self._desk, self._memory = run.desk, run.memory
        self._tell = tell
        self._asked: set[Slug] = set()

    async def pass_gates(self, stage: Stage) -> None:
        """Wait until the stage may begin; TurnBack or Ended where it never may."""
        if stage.undo:
            return
        for gate in DECIDED_TOGETHER.get(stage.slug, (stage.slug,)):
            if self._plan.stage(gate).gated:
                await self._pass_gate(stage, gate)
        while (closed := closed_for(self._plan, stage.slug, workflow.now())) is not None:
            if self._desk.is_open(stage.slug):
                return
            window = self._plan.estate.change_window
            words = f"{stage.slug} waits for the change window ({window}), or for an approval"
            await self._await_answer(stage, stage.slug, words, closed)

    async def ask(
        self,
        stage: Stage,
        question: Question,
        waiting: Waiting,
        settled: Callable[[], bool] = lambda: False,
    ) -> Question:
        """Wait for a decision, or until there is nothing left to decide."""
        self._desk.ask(question)
        self._board.rest(stage)
        self._wait(stage, waiting)
        await self.until(
            lambda: bool(question.answers) or self._may_give_up(stage) or settled(),
            None,
            f"decision about {stage.name}",
        )
        self._desk.close(question)
        self._board.answered(waiting)
        self._board.work(stage)
        self.leave_if_told(stage)
        if not question.answers and not settled():
            raise Ended(f"the run was cancelled while it waited for a decision: {waiting.words}")
        return question

    async def until(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for people, and remember how long; whether the condition came in time."""
        since = workflow.now()
        in_time = await self.wait(condition, at_most, summary)
        self._memory.waited += workflow.now() - since
        return in_time

    async def wait(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for a condition; while the run is paused, nothing comes true and no time passes."""
        left = at_most
        while True:
            await self.unpaused()
            if condition():
                return True
            if left is not None and left <= timedelta():
                return False
            since = workflow.now()
            await _wait(lambda: self._desk.paused or condition(), left or VISIBLE, summary)
            if left is not None:
                left -= workflow.now() - since

    async def unpaused(self) -> None:
        """Return when the run is not paused, or no more."""
        while self._desk.paused:
            since = workflow.now()
            await _wait(lambda: not self._desk.paused, VISIBLE, "paused, until someone resumes it")
            self._memory.waited += workflow.now() - since

    def may_leave(self, stage: Stage) -> bool:
        """Whether what someone said ends the run here: never without scheduling anywhere."""
        if stage.undo:
            leaving = self._desk.leaving
            aborted = leaving is not None and leaving.kind == "abort"
            return aborted and self._memory.scheduled_somewhere
        if self._memory.turned_back:
            return True
        if self._desk.leaving is None:
            return False
        if self._turns_back():
            return True  # the undo brings scheduling back
        return not (
            stage.slug in WITHOUT_SCHEDULING and self._memory.begun_any(*WITHOUT_SCHEDULING)
        )

    def leave_if_told(self, stage: Stage) -> None:
        """Leave where someone said so, and where that is possible."""
        leaving = self._desk.leaving
        if not self.may_leave(stage):
            return
        if not stage.undo and self._memory.turned_back:
            raise TurnBack(self._memory.turned_back)
        if leaving is None:
            raise AssertionError(stage)  # or nobody may leave
        if self._turns_back() and not stage.undo:
            self.turn_back(leaving.words)
        undone = "nothing more was undone" if stage.undo else "nothing was undone"
        raise Ended(f"{leaving.words}; {stage.name} was not done, and {undone}")

    def turn_back(self, words: str) -> NoReturn:
        """Go no further, nor may any other chain of orders."""
        self._memory.turned_back = words
        raise TurnBack(words)

    def _may_give_up(self, stage: Stage) -> bool:
        """Whether a question need not be answered: nobody asks people of a cancelled run."""
        cancelled = stage.undo and self._desk.cancelled and self._memory.scheduled_somewhere
        return cancelled or self.may_leave(stage)

    def _turns_back(self) -> bool:
        """A cancellation takes back what may be taken back without an operator's word."""
        leaving = self._desk.leaving
        if leaving is None or leaving.kind == "abort":
            return False
        return leaving.kind == "roll_back" or not self._memory.past_return

    async def _pass_gate(self, stage: Stage, gate: Slug) -> None:
        approvals = self._plan.approvals
        people = ", ".join(approvals.approvers) or "anyone"
        words = f"{gate} needs {approvals.needed} approval(s), by {people}"
        while not self._desk.is_open(gate):
            in_time = await self._await_answer(stage, gate, words, approvals.expires_after)
            if not in_time and approvals.on_expiry == "reject":
                await self._refused(
                    stage, gate, f"nobody approved {gate} within {approvals.expires_after}"
                )

    async def _await_answer(
        self, stage: Stage, gate: Slug, words: str, at_most: timedelta | None
    ) -> bool:
        """Wait for an approval or a rejection; whether one came in time."""
        waiting = Waiting(
            kind="approval",
            stage=gate,
            since=workflow.now(),
            words=words,
            answers=("approve", "reject"),
            approved_by=self._desk.approved_by(gate),
        )
        first = gate not in self._asked  # of several chains one asks, and all wait
        if first:
            self._asked.add(gate)
            self._wait(stage, waiting)

        def answered() -> bool:
            nonlocal waiting
            waiting = self._board.update_waiting(waiting, approved_by=self._desk.approved_by(gate))
            rejected = self._desk.rejection(gate) is not None
            return self._desk.is_open(gate) or rejected or self.may_leave(stage)

        in_time = await self.until(answered, at_most, f"approval of {gate}")
        if first:
            self._asked.discard(gate)
            self._board.answered(waiting)
        self.leave_if_told(stage)
        rejection = self._desk.rejection(gate)
        if rejection is not None:
            who = rejection.by or "someone"
            await self._refused(stage, gate, f"{who} rejected {gate}: {rejection.reason}")
        return in_time

    async def _refused(self, stage: Stage, gate: Slug, words: str) -> None:
        """Before the point of no return the run turns back; after it someone has to say so."""
        if not self._memory.past_return:
            self.turn_back(words)
        self._board.work(stage)
        await self.ask(
            stage,
            Question(gate, ("retry", "roll_back", "abort")),
            Waiting(
                kind="decision",
                stage=gate,
                since=workflow.now(),
                words=f"{words}; retry asks for the approval again",
                answers=("retry", "roll_back", "abort"),
            ),
        )
        self._board.rest(stage)
        self._desk.forget_rejection(gate)

    def _wait(self, stage: Stage, waiting: Waiting) -> None:
        self._board.wait(stage, waiting)
        self._tell(waiting)


async def _wait(condition: Callable[[], bool], at_most: timedelta, summary: str) -> None:
    try:
        await workflow.wait_condition(condition, timeout=at_most, timeout_summary=summary)
    except TimeoutError:
        return
