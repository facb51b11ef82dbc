"""The runbook at work: stage by stage or node by node, forward, and back where someone says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from temporalio import workflow

from workflows import activity_options
from workflows.errors import NotReady
from workflows.execution.context import Run
from workflows.execution.gates import Aborted, Gates, RollBack
from workflows.execution.observe import observe
from workflows.execution.waves import Waves
from workflows.model.decisions import Verb
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.progress import Failure, PendingQuestion
from workflows.model.results import seen
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import find_interrupted_run
from workflows.planning.plan import Chain, Parallel, Stage, Wave
from workflows.planning.rollback import Baseline, plan_undo
from workflows.preflight.evaluate import blocking, evaluate
from workflows.preflight.interrupted_run import findings_of
from workflows.run.inbox import Question

LOOK_AGAIN: tuple[Verb, ...] = ("retry", "roll_back", "abort")


@dataclass(frozen=True)
class Conclusion:
    """How a run ended."""

    outcome: Literal["completed", "completed_with_exceptions", "rolled_back", "aborted"]
    message: str


class Execution:
    """Executes one plan, as it stands."""

    def __init__(self, run: Run, tell: Callable[[PendingQuestion], None]) -> None:
        self._run = run
        self._plan, self._tracker, self._inbox = run.plan, run.tracker, run.inbox
        self._state, self._dispatcher = run.state, run.dispatcher
        self._gates = Gates(run, tell)
        self._waves = Waves(run, self._gates, self._look_again)

    async def run(self) -> Conclusion:
        """Do everything, or take it back; NotReady where a prerequisite fails."""
        try:
            for step in self._plan.sequence:
                await (
                    self._side_by_side(step)
                    if isinstance(step, Parallel)
                    else self._see_through(step)
                )
        except Aborted as end:
            return Conclusion("aborted", str(end))
        except RollBack as turn:
            return await self._roll_back(str(turn))
        source, target = self._plan.source, self._plan.target
        message = f"traffic is on {target}; {source} has drained and is down"
        if exceptions := self._tracker.progress.exceptions:
            message = f"{message}; but: {'; '.join(exceptions)}"
            return Conclusion("completed_with_exceptions", message)
        return Conclusion("completed", message)

    async def _side_by_side(self, parallel: Parallel) -> None:
        """Run all chains; let every chain end before the first error is raised."""
        for chain in parallel.chains:
            # The operator answers a gate that several chains begin with once.
            await self._gates.wait_for_approval(chain.stages[0])
        tasks: dict[Chain, asyncio.Task[None]] = {}
        for chain in parallel.chains:
            tasks[chain] = asyncio.create_task(self._run_chain(chain, tasks))
        for result in await asyncio.gather(*tasks.values(), return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _run_chain(self, chain: Chain, tasks: Mapping[Chain, asyncio.Task[None]]) -> None:
        if chain.after is not None:
            after = chain.after.value
            others = [task for other, task in tasks.items() if other is not chain]
            await workflow.wait_condition(
                lambda: after in self._state.over or all(task.done() for task in others)
            )
            if after not in self._state.over:
                return  # another chain ended before its part of that stage did
        for stage in chain.stages:
            await self._see_through(stage)

    async def _roll_back(self, message: str) -> Conclusion:
        """Take back what was begun, to the baseline and no further."""
        self._inbox.turned_back()
        stages = plan_undo(self._plan, self._state.begun, self._state.baseline)
        self._tracker.turn_back(stages)
        try:
            for stage in stages:
                await self._see_through(stage)
        except Aborted as end:
            return Conclusion("aborted", f"{message}; {end}")
        return Conclusion("rolled_back", f"{message}; {self._plan.source} serves as before")

    async def _see_through(self, stage: Stage) -> None:
        self._tracker.enter(stage)
        await self._gates.wait_for_approval(stage)
        self._gates.exit_if_requested(stage)
        await self._work_off(stage)
        self._tracker.leave(stage)

    async def _work_off(self, stage: Stage) -> None:
        self._tracker.work(stage)
        if stage.name is StageName.CHECK_PREREQUISITES:
            await self._check(stage)
        else:
            for wave in stage.waves:
                await self._waves.see_through(stage, wave)
        self._tracker.finish(stage)
        if self._tracker.is_over(stage):
            self._state.over.add(stage.key)

    async def _check(self, stage: Stage) -> None:
        """Read everything at once; all that speaks against the run fails it together."""
        for action in stage.actions:
            self._tracker.begin(stage, action, 1)
        readings, found = await observe(self._dispatcher, stage.waves)
        half = find_interrupted_run(self._plan, readings)
        self._state.baseline = Baseline.of(readings, whole=bool(half.begun))
        self._state.remember(self._plan, half.begun)
        self._state.gone = half.stopped_nodes
        now = workflow.now()
        for action in stage.actions:
            self._tracker.done(stage, action, seen(action, f"looked at {action.place}", now))
        standing = self._judge(
            [reading for reading in readings if reading.place not in half.stopped_nodes],
            found + findings_of(half, self._plan),
        )
        if standing:
            raise NotReady("; ".join(map(str, standing)))

    async def _look_again(self, stage: Stage) -> None:
        """After a long wait for people, see that what has to be true still is."""
        while self._state.waited > activity_options.LONG_WAIT and not stage.undo:
            self._state.waited = timedelta()
            readings, found = await observe(self._dispatcher, self._still_observable())
            standing = self._judge(readings, found)
            if not standing:
                return
            message = f"while someone was waited for: {'; '.join(map(str, standing))}"
            if self._run.request.on_fault == "roll_back" and not self._state.past_return:
                self._gates.turn_back(message)
            await self._ask_about(stage, message)
            self._state.waited = max(self._state.waited, 2 * activity_options.LONG_WAIT)

    async def _ask_about(self, stage: Stage, message: str) -> None:
        failure = Failure(
            action="look_again",
            place=stage.name,
            kind=NotReady.__name__,
            message=message,
            outcome_known=True,
        )
        await self._gates.ask(
            stage,
            Question(stage.name, LOOK_AGAIN, (failure,)),
            PendingQuestion(
                kind="decision",
                stage=stage.name,
                since=workflow.now(),
                message=message,
                answers=LOOK_AGAIN,
            ),
        )

    def _still_observable(self) -> tuple[Wave, ...]:
        """Stage 0's observations, less those of nodes that are down, by this run or by proof."""
        down = {*self._state.dead, *self._state.gone}
        if self._state.begun.get(StageName.STOP_REMAINING_SERVICES):
            down |= {node.name for node in self._plan.estate.cluster(self._plan.source).nodes}
        return tuple(
            tuple(action for action in wave if action.place not in down)
            for wave in self._plan.stage(StageName.CHECK_PREREQUISITES).waves
        )

    def _judge(
        self, readings: Sequence[Reading], found: tuple[Finding, ...]
    ) -> tuple[Finding, ...]:
        """Post every finding; return the ones that stop the run."""
        begun = frozenset(name for name, actions in self._state.begun.items() if actions)
        findings = evaluate(self._plan, readings, workflow.now(), begun, found)
        self._tracker.add_findings(findings)
        accept = self._run.request.accept
        standing = blocking(findings, accept)
        for finding in blocking(findings):
            if finding not in standing:
                self._tracker.add_exception(
                    f"{finding.name} on {finding.place} was accepted: {accept[finding.name]}"
                )
        return standing
