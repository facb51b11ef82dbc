"""Execute a plan in its sequence, and roll back where an operator or a rule says so."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from workflows.execution.context import Run
from workflows.execution.gates import Aborted, Gates, RollBack
from workflows.execution.prerequisites import Prerequisites
from workflows.execution.waves import Waves
from workflows.model.outcome import Ending
from workflows.model.stages import StageName
from workflows.planning.plan import Chain, Parallel, Plan, Stage
from workflows.planning.procedures import rollback_of


@dataclass(frozen=True)
class Conclusion:
    """How a run ended."""

    outcome: Ending
    message: str


class Execution:
    """Executes one plan without changing it."""

    def __init__(self, run: Run) -> None:
        self._plan, self._state, self._tracker = run.plan, run.state, run.tracker
        self._gates = Gates(run)
        self._prerequisites = Prerequisites(run, self._gates)
        self._waves = Waves(run, self._gates, self._prerequisites)

    async def run(self) -> Conclusion:
        """Execute the whole plan, or roll back; NotReady where a prerequisite fails."""
        try:
            for step in self._plan.sequence:
                if isinstance(step, Parallel):
                    await self._side_by_side(step)
                else:
                    await self._execute(step)
        except Aborted as end:
            return Conclusion("aborted", str(end))
        except RollBack as end:
            return await self._roll_back(str(end))
        message = _done(self._plan)
        if self._state.exceptions:
            message = f"{message}; but: {'; '.join(self._state.exceptions)}"
            return Conclusion("completed_with_exceptions", message)
        return Conclusion("completed", message)

    async def _side_by_side(self, parallel: Parallel) -> None:
        """Run all chains; let every chain end before the first error is raised."""
        tasks: list[asyncio.Task[None]] = []
        for chain in parallel.chains:
            earlier = [tasks[position] for position in chain.after]
            tasks.append(asyncio.create_task(self._run_chain(chain, earlier)))
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _run_chain(self, chain: Chain, earlier: Sequence[asyncio.Task[None]]) -> None:
        """Run the stages of a chain; an error of an earlier chain ends it before it begins."""
        await asyncio.gather(*earlier)
        for stage in chain.stages:
            await self._execute(stage)

    async def _roll_back(self, message: str) -> Conclusion:
        """Roll back what was started, to the baseline and no further."""
        self._state.exit_request = None  # from now on only a new `abort` ends the run
        stages = rollback_of(self._plan, self._state.started, self._state.baseline)
        self._tracker.start_rollback(stages)
        try:
            for stage in stages:
                await self._execute(stage)
        except Aborted as end:
            return Conclusion("aborted", f"{message}; {end}")
        return Conclusion("rolled_back", f"{message}; {_as_before(self._plan)}")

    async def _execute(self, stage: Stage) -> None:
        self._tracker.enter_stage(stage)
        await self._gates.wait_for_approval(stage)
        self._gates.exit_if_requested(stage)
        self._tracker.resume_clock(stage)
        if stage.name is StageName.CHECK_PREREQUISITES:
            await self._prerequisites.check(stage)
        elif stage.name is StageName.CHECK_RETURNED:
            await self._prerequisites.check_returned(stage)
        else:
            for wave in stage.waves:
                await self._waves.execute(stage, wave)
        self._tracker.finish_stage(stage)
        self._tracker.exit_stage(stage)


def _done(plan: Plan) -> str:
    if plan.procedure == "rejoin":
        return f"{plan.target} is back as the passive cluster; {plan.source} serves"
    return f"traffic is on {plan.target}; {plan.source} has drained and is down"


def _as_before(plan: Plan) -> str:
    down = f" and {plan.target} is down" if plan.procedure == "rejoin" else ""
    return f"{plan.source} serves{down} as before"
