"""Wait for operators at gates, questions and pauses, and exit where they request it."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NoReturn

from temporalio import workflow

from workflows.execution.context import Run
from workflows.model.decisions import Decision, Verb
from workflows.model.progress import PendingQuestion
from workflows.model.results import Remaining
from workflows.model.stages import DECIDED_TOGETHER, WITHOUT_SCHEDULING, StageName
from workflows.planning.change_window import closed_for
from workflows.planning.plan import Stage

TIMER = timedelta(days=30)
"""The Web UI's timeline shows a wait only if it has a timer: this one starts again."""


class Aborted(Exception):
    """The run ends here; what was not rolled back stays as it is."""


class RollBack(Exception):
    """The run stops here, and what it has done is rolled back."""


def question(
    stage: StageName,
    message: str,
    *answers: Verb,
    remaining: tuple[Remaining, ...] = (),
    silent: tuple[str, ...] = (),
) -> PendingQuestion:
    """Return a question about a stage that one of these decisions answers."""
    return PendingQuestion(
        kind="approval" if "approve" in answers else "decision",
        stage=stage,
        since=workflow.now(),
        message=message,
        answers=answers,
        remaining=remaining,
        silent=silent,
    )


class Gates:
    """Waits for approvals and decisions, and adds up how long."""

    def __init__(self, run: Run) -> None:
        self._plan, self._state, self._tracker = run.plan, run.state, run.tracker
        self._on_fault = run.request.on_fault

    async def wait_for_approval(self, stage: Stage) -> None:
        """Wait until the stage may begin; RollBack or Aborted where it never may."""
        if stage.undo:
            return
        for gate in DECIDED_TOGETHER.get(stage.name, (stage.name,)):
            # A part without effects may begin before the stage's gate.
            if stage.gated if gate is stage.name else self._plan.stage(gate).gated:
                await self._pass_gate(stage, gate)
        while (closed := closed_for(self._plan, stage.name, workflow.now())) is not None:
            if self._state.is_approved(stage.name):
                return
            window = self._plan.estate.change_window
            message = f"{stage.name} waits for the change window ({window}), or for an approval"
            await self._await_answer(stage, stage.name, message, closed)

    async def ask(
        self,
        stage: Stage,
        asked: PendingQuestion,
        places: Iterable[str] = (),
        settled: Callable[[], bool] = lambda: False,
    ) -> list[tuple[Verb, Decision]]:
        """Wait for decisions on a question and return them; none if it is settled without."""
        before, concerned = len(self._state.decisions), tuple(places)

        def answers() -> list[tuple[Verb, Decision]]:
            return self._state.answers(asked, concerned, before)

        self._tracker.pause_clock(stage)
        self._tracker.add_wait(stage, asked)
        await self.wait_counted(
            lambda: bool(answers()) or self._may_give_up(stage) or settled(),
            None,
            f"decision about {stage.key}",
        )
        given = answers()
        self._tracker.remove_wait(asked)
        self._tracker.resume_clock(stage)
        self.exit_if_requested(stage)
        if not given and not settled():
            raise Aborted(f"the run was cancelled while it waited for a decision: {asked.message}")
        return given

    async def wait_counted(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for operators and add up how long; whether the condition came in time."""
        since = workflow.now()
        in_time = await self.wait(condition, at_most, summary)
        self._state.waited_for_people += workflow.now() - since
        return in_time

    async def wait(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for a condition; during a pause it does not come true, and no time passes."""
        remaining = at_most
        while True:
            await self.wait_while_paused()
            if condition():
                return True
            if remaining is not None and remaining <= timedelta():
                return False
            since = workflow.now()
            await _wait(lambda: self._state.paused or condition(), remaining or TIMER, summary)
            if remaining is not None:
                remaining -= workflow.now() - since

    async def wait_while_paused(self) -> None:
        """Return when the run is not paused."""
        while self._state.paused:
            since = workflow.now()
            await _wait(lambda: not self._state.paused, TIMER, "paused, until `resume`")
            self._state.waited_for_people += workflow.now() - since

    def may_exit(self, stage: Stage) -> bool:
        """Whether a request ends the run here: never without scheduling on either cluster."""
        requested = self._state.exit_request
        if stage.undo:
            aborted = requested is not None and requested.kind == "abort"
            return aborted and self._state.scheduled_somewhere
        if self._state.rollback_reason is not None:
            return True
        if requested is None:
            return False
        if self._wants_rollback():
            return True  # the rollback starts scheduling again
        return not any(
            stage.name in stages and self._state.is_under_way(*stages)
            for stages in WITHOUT_SCHEDULING
        )

    def exit_if_requested(self, stage: Stage) -> None:
        """End the run here if that was requested and is possible."""
        if not self.may_exit(stage):
            return
        if not stage.undo and self._state.rollback_reason is not None:
            raise RollBack(self._state.rollback_reason)
        requested = self._state.exit_request
        assert requested is not None  # noqa: S101 - or it may not exit
        if self._wants_rollback() and not stage.undo:
            self.start_rollback(requested.message)
        undone = "the rollback stops here" if stage.undo else "nothing was rolled back"
        raise Aborted(f"{requested.message}; {stage.key} was not done, and {undone}")

    def roll_back_by_rule(self, stage: Stage, message: str) -> None:
        """Roll back after a failure before the point of no return, if the request says so."""
        if self._on_fault == "roll_back" and not (self._state.past_return or stage.undo):
            self.start_rollback(f"{stage.name} failed: {message}")

    def start_rollback(self, message: str) -> NoReturn:
        """Roll the run back: no other chain goes on either."""
        self._state.rollback_reason = message
        self._state.version += 1
        raise RollBack(message)

    def _may_give_up(self, stage: Stage) -> bool:
        """Whether a question needs no answer: a cancelled run asks no operator."""
        cancelled = stage.undo and self._state.cancelled and self._state.scheduled_somewhere
        return cancelled or self.may_exit(stage)

    def _wants_rollback(self) -> bool:
        """Whether a request rolls back; a cancellation does so before the point of no return."""
        requested = self._state.exit_request
        if requested is None or requested.kind == "abort":
            return False
        return requested.kind == "roll_back" or not self._state.past_return

    async def _pass_gate(self, stage: Stage, gate: StageName) -> None:
        approvals = self._plan.approvals
        number = "1 approval" if approvals.needed == 1 else f"{approvals.needed} approvals"
        message = f"{gate} needs {number} by {', '.join(approvals.approvers) or 'anyone'}"
        while not self._state.is_approved(gate):
            in_time = await self._await_answer(stage, gate, message, approvals.expires_after)
            if not in_time and approvals.on_expiry == "reject":
                late = f"{gate} was not approved within {approvals.expires_after}"
                await self._refused(stage, gate, late)

    async def _await_answer(
        self, stage: Stage, gate: StageName, message: str, at_most: timedelta | None
    ) -> bool:
        """Wait for an approval or a rejection; whether one came in time."""
        approval = question(gate, message, "approve", "reject")
        # Several chains may wait at one gate: one of them asks, and counts the wait.
        asked = any(q.kind == "approval" and q.stage is gate for q in self._state.questions)
        if not asked:
            self._tracker.add_wait(stage, approval)
        wait = self.wait if asked else self.wait_counted
        in_time = await wait(
            lambda: (
                self._state.is_approved(gate)
                or gate in self._state.rejections
                or self.may_exit(stage)
            ),
            at_most,
            f"approval of {gate}",
        )
        self._tracker.remove_wait(approval)
        self.exit_if_requested(stage)
        rejection = self._state.rejections.get(gate)
        if rejection is not None:
            message = f"{rejection.author} rejected {gate}: {rejection.reason}"
            await self._refused(stage, gate, message)
        return in_time

    async def _refused(self, stage: Stage, gate: StageName, message: str) -> None:
        """Roll back before the point of no return; ask an operator after it."""
        if not self._state.past_return:
            self.start_rollback(message)
        self._tracker.resume_clock(stage)
        again = f"{message}; retry asks for the approval again"
        await self.ask(stage, question(gate, again, "retry", "roll_back", "abort"))
        self._tracker.pause_clock(stage)
        self._state.rejections.pop(gate, None)


async def _wait(condition: Callable[[], bool], at_most: timedelta, summary: str) -> None:
    try:
        await workflow.wait_condition(condition, timeout=at_most, timeout_summary=summary)
    except TimeoutError:
        return
