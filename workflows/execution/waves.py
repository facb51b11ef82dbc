"""Execute a wave side by side, judge it together, and apply the operator's decisions."""

import asyncio
from collections.abc import Iterable, Sequence

from temporalio import workflow

from workflows.execution.action_executor import ActionExecutor
from workflows.execution.context import Run
from workflows.execution.declare_down import declare_down
from workflows.execution.drain_timeout import DrainTimeout
from workflows.execution.gates import Aborted, Gates, RollBack, question
from workflows.execution.prerequisites import Prerequisites
from workflows.model.actions import WAITS, Action
from workflows.model.actions.base import ReadOnly
from workflows.model.decisions import SKIPPABLE, Decision, Verb
from workflows.model.progress import Failure
from workflows.planning.plan import Stage
from workflows.planning.waves import Wave
from workflows.run.validation import UNREACHABLE_KINDS

Failures = dict[Action, Failure]


class Waves:
    """Executes waves, and has their failures decided."""

    def __init__(self, run: Run, gates: Gates, prerequisites: Prerequisites) -> None:
        self._run, self._state, self._tracker = run, run.state, run.tracker
        self._gates = gates
        self._prerequisites = prerequisites
        self._executor = ActionExecutor(run, gates)
        self._drain_timeout = DrainTimeout(run, gates, self._executor.execute)

    async def execute(self, stage: Stage, wave: Wave) -> None:
        """Execute every action; a retry concerns those that failed, and what they verify."""
        await self._prerequisites.recheck(stage)
        self._gates.exit_if_requested(stage)
        since = workflow.now()
        try:
            await self._until_decided(stage, wave)
        except (RollBack, Aborted):
            self._tracker.add_drain_time(wave, since)
            raise
        self._tracker.add_drain_time(wave, since)

    async def _until_decided(self, stage: Stage, wave: Wave) -> None:
        failures, notes = await self._together(stage, wave), list[str]()
        while failures:
            answers = await self._ask(stage, failures, notes)
            retries, settled, notes = await self._apply_decisions(stage, failures, answers)
            await self._prerequisites.recheck(stage)
            rest = {a: f for a, f in failures.items() if a not in (*retries, *settled)}
            failures = rest | await self._again(stage, retries, failures)

    async def _again(self, stage: Stage, retries: Wave, failures: Failures) -> Failures:
        """Retry actions, after the effects that they found missing; return what fails now."""
        missing = {
            action.verifies
            for action in retries
            if isinstance(action, ReadOnly) and failures[action].outcome_known
        }
        effects = tuple(a for wave in stage.waves for a in wave if type(a) in missing)
        for action in dict.fromkeys((*effects, *retries)):
            self._executor.next_round(stage, action, failures.get(action))
        if failed := await self._together(stage, effects):
            return failed | {action: failures[action] for action in retries}
        return await self._together(stage, tuple(a for a in retries if a not in effects))

    async def _together(self, stage: Stage, actions: Wave) -> Failures:
        """Let every action end before the failures are judged."""
        waits = bool(actions) and all(isinstance(action, WAITS) for action in actions)
        begin = self._drain_timeout.begin if waits else self._begin
        tasks = {action: begin(stage, action) for action in actions}
        ended = await self._drain_timeout.supervise(stage, tasks) if waits else set[Action]()
        others = [action for action in actions if action not in ended]
        results = await asyncio.gather(*(tasks[action] for action in others))
        return {a: f for a, f in zip(others, results, strict=True) if f is not None}

    def _begin(self, stage: Stage, action: Action) -> asyncio.Task[Failure | None]:
        return asyncio.create_task(self._executor.execute(stage, action))

    async def _ask(
        self, stage: Stage, failures: Failures, notes: Iterable[str]
    ) -> Sequence[tuple[Verb, Decision]]:
        """Ask for a decision, unless the request rolls back before the point of no return."""
        message = "; ".join([*dict.fromkeys(map(_placed, failures.values())), *notes])
        self._gates.roll_back_by_rule(stage, message)
        silent = self._silent(failures.values())
        asked = question(stage.name, message, *self._answers(stage, silent), silent=silent)
        return await self._gates.ask(stage, asked, [one.place for one in failures.values()])

    def _silent(self, failures: Iterable[Failure]) -> tuple[str, ...]:
        nodes = {node.name for node in self._run.plan.estate.nodes}
        places = (failure.place for failure in failures if failure.kind in UNREACHABLE_KINDS)
        return tuple(dict.fromkeys(place for place in places if place in nodes))

    def _answers(self, stage: Stage, silent: Sequence[str]) -> tuple[Verb, ...]:
        offered: dict[Verb, bool] = {
            "retry": True,
            "skip": stage.name in SKIPPABLE and not stage.undo,
            "force": bool(silent),
            "roll_back": not stage.undo,
            "abort": True,
        }
        return tuple(verb for verb, possible in offered.items() if possible)

    async def _apply_decisions(
        self, stage: Stage, failures: Failures, answers: Iterable[tuple[Verb, Decision]]
    ) -> tuple[Wave, Wave, list[str]]:
        """Return the actions to retry, those that are settled, and why others are not."""
        retries: list[Action] = []
        settled: list[Action] = []
        notes: list[str] = []
        for verb, decision in answers:
            concerned = [
                action
                for action in failures
                if decision.node in (None, action.place) and action not in (*retries, *settled)
            ]
            if verb == "retry":
                retries += concerned
                continue
            if verb == "force":
                assert decision.node is not None  # noqa: S101 - see `RunState.answers`
                reason = await declare_down(self._run, stage, decision.node, decision)
                if reason is not None:
                    notes.append(reason)
                    continue
            for action in concerned:
                if verb == "skip":
                    self._tracker.add_exception(
                        f"{decision.author} skipped {action}: {decision.reason}"
                    )
                self._tracker.skip(stage, action)
            settled += concerned
        return tuple(retries), tuple(settled), notes


def _placed(failure: Failure) -> str:
    """Return the message with its place, which many messages begin with already."""
    placed = failure.message.startswith(f"{failure.place}:")
    return failure.message if placed else f"{failure.place}: {failure.message}"
