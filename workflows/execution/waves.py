"""How a wave is seen through: side by side, judged together, decided by rule or by people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.execution.action_executor import ActionExecutor, fault_of
from workflows.execution.context import Run
from workflows.execution.drain_timeout import DrainTimeout
from workflows.execution.gates import Aborted, Gates, RollBack
from workflows.model.actions import WAITS, Action, VerifyUnreachable
from workflows.model.decisions import SKIPPABLE, Decision, Verb
from workflows.model.progress import Failure, PendingQuestion
from workflows.planning.plan import Stage, Wave
from workflows.run.inbox import Question
from workflows.run.validation import SILENT

Failures = dict[Action, Failure]


class Waves:
    """Has waves carried out, and their faults decided."""

    def __init__(
        self, run: Run, gates: Gates, look_again: Callable[[Stage], Awaitable[None]]
    ) -> None:
        self._run = run
        self._gates = gates
        self._look_again = look_again
        self._executor = ActionExecutor(run, gates)
        self._patience = DrainTimeout(run, gates)
        self._burials = 0

    async def see_through(self, stage: Stage, wave: Wave) -> None:
        """Carry every order out; a retry concerns only those that failed."""
        await self._look_again(stage)
        self._gates.exit_if_requested(stage)
        since = workflow.now()
        try:
            await self._carry_out(stage, wave)
        except (RollBack, Aborted):
            self._run.tracker.waited_out(wave, since)
            raise
        self._run.tracker.waited_out(wave, since)

    async def _carry_out(self, stage: Stage, wave: Wave) -> None:
        failures, notes = await self._together(stage, wave), list[str]()
        while failures:
            question = await self._ask(stage, failures, notes)
            again, outcome_known, notes = await self._obey(stage, failures, question)
            await self._look_again(stage)
            for action in again:
                self._executor.settle(stage, action, failures[action])
            rest = {o: f for o, f in failures.items() if o not in (*again, *outcome_known)}
            failures = rest | await self._together(stage, again)

    async def _together(self, stage: Stage, actions: Wave) -> Failures:
        """Let every order end, and only then say which did not end well."""
        tasks = {o: asyncio.create_task(self._executor.execute(stage, o)) for o in actions}
        waits = bool(actions) and all(isinstance(action, WAITS) for action in actions)
        cut = await self._patience.over(stage, tasks) if waits else set[Action]()
        kept = [action for action in actions if action not in cut]
        ended = await asyncio.gather(*(tasks[action] for action in kept))
        return {o: f for o, f in zip(kept, ended, strict=True) if f is not None}

    async def _ask(self, stage: Stage, failures: Failures, notes: list[str]) -> Question:
        """Ask what is to be done; before the point of no return a rule may have said it."""
        message = "; ".join([*dict.fromkeys(map(_said, failures.values())), *notes])
        rule = self._run.request.on_fault == "roll_back" and not self._run.state.past_return
        if rule and not stage.undo:
            self._gates.turn_back(f"{stage.name} failed: {message}")
        silent = self._silent(failures.values())
        verbs = self._verbs(stage, may_force=bool(silent))
        question = Question(stage.name, verbs, tuple(failures.values()))
        waiting = PendingQuestion(
            kind="decision",
            stage=stage.name,
            since=workflow.now(),
            message=message,
            answers=verbs,
            silent=silent,
        )
        return await self._gates.ask(stage, question, waiting)

    def _silent(self, failures: Iterable[Failure]) -> tuple[str, ...]:
        nodes = {node.name for node in self._run.plan.estate.nodes}
        places = (failure.place for failure in failures if failure.kind in SILENT)
        return tuple(dict.fromkeys(place for place in places if place in nodes))

    def _verbs(self, stage: Stage, *, may_force: bool) -> tuple[Verb, ...]:
        offered: dict[Verb, bool] = {
            "retry": True,
            "skip": stage.name in SKIPPABLE and not stage.undo,
            "force": may_force,
            "roll_back": not stage.undo,
            "abort": True,
        }
        return tuple(verb for verb, holds in offered.items() if holds)

    async def _obey(
        self, stage: Stage, failures: Failures, question: Question
    ) -> tuple[Wave, Wave, list[str]]:
        """Return the orders to try again, those that are settled, and what speaks against more."""
        again: list[Action] = []
        outcome_known: list[Action] = []
        notes: list[str] = []
        for verb, decision in question.answers:
            concerned = [
                action
                for action in failures
                if decision.node in (None, action.place) and action not in (*again, *outcome_known)
            ]
            if verb == "retry":
                again += concerned
            elif verb == "skip":
                self._skip(stage, concerned, decision)
                outcome_known += concerned
            elif (objection := await self._bury(stage, decision)) is None:
                for action in concerned:
                    self._run.tracker.leave_out(stage, action)
                outcome_known += concerned
            else:
                notes.append(objection)
        return tuple(again), tuple(outcome_known), notes

    def _skip(self, stage: Stage, actions: Iterable[Action], decision: Decision) -> None:
        for action in actions:
            who = decision.by or "someone"
            self._run.tracker.add_exception(f"{who} skipped {action}: {decision.reason}")
            self._run.tracker.leave_out(stage, action)

    async def _bury(self, stage: Stage, decision: Decision) -> str | None:
        """Count a node as down, if it proves to be dead; else say what speaks against it."""
        assert decision.node is not None  # noqa: S101 - the desk refuses a force without one here
        action = VerifyUnreachable(node=decision.node)
        self._burials += 1
        try:
            report = await self._run.dispatcher.execute(action, stage.key, self._burials)
        except ActivityError as error:
            return fault_of(action, error).message
        who = f"{decision.by or 'someone'}: {decision.reason}"
        self._run.state.dead[decision.node] = who
        self._run.tracker.add_exception(f"{decision.node} counts as down ({report.message}), {who}")
        return None


def _said(failure: Failure) -> str:
    """Say where it failed and why; most words begin with the place already."""
    placed = failure.message.startswith(f"{failure.place}:")
    return failure.message if placed else f"{failure.place}: {failure.message}"
