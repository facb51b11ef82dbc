"""Check the prerequisites in stage 0, and again after a long wait for operators."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio import workflow

from workflows import activity_options
from workflows.errors import NotReady
from workflows.execution.context import Run
from workflows.execution.gates import Gates, question
from workflows.execution.handover import compare_with_record
from workflows.execution.observe import observe
from workflows.model.checks import AccessCheck
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.progress import Status
from workflows.model.results import seen
from workflows.model.stages import StageName
from workflows.planning.plan import Stage
from workflows.planning.procedures import find_earlier_run
from workflows.planning.rollback import Baseline
from workflows.planning.waves import Wave
from workflows.preflight.catalogue import BY_NAME
from workflows.preflight.configuration import configuration_findings
from workflows.preflight.evaluate import blocking, evaluate, without_down
from workflows.preflight.interrupted_run import findings_of


class Prerequisites:
    """Observes the estate, and stops the run if a blocking finding is not accepted."""

    def __init__(self, run: Run, gates: Gates) -> None:
        self._run, self._plan = run, run.plan
        self._state, self._tracker = run.state, run.tracker
        self._gates = gates
        self._rechecking = asyncio.Lock()
        """One chain checks for all: no other one acts before the prerequisites hold."""

    async def check(self, stage: Stage) -> None:
        """Record the baseline; NotReady with all blocking findings if there are any."""
        for action in stage.actions:
            self._tracker.begin(stage, action, 1)
        readings, found = await observe(self._run.dispatcher, stage.waves)
        if self._plan.procedure == "rejoin":
            # What was changed while nobody else looked stands in the record of an earlier watch.
            await workflow.wait_condition(lambda: self._state.watch_taken_over)
        interrupted = find_earlier_run(self._plan, readings)
        self._state.baseline = Baseline.of(readings, assume_all_ran=bool(interrupted.begun))
        self._state.adopt(self._plan, interrupted.begun)
        if self._plan.procedure == "switchover":
            self._state.already_down = interrupted.stopped_nodes
        now = workflow.now()
        for action in stage.actions:
            self._tracker.done(stage, action, seen(action, f"read {action.place}", now))
        readings = without_down(self._plan, readings, interrupted.stopped_nodes)
        found += findings_of(interrupted, self._plan)
        blockers = self._record(self._evaluate(readings, found))
        if blockers:
            raise NotReady("; ".join(map(str, blockers)))

    async def check_returned(self, stage: Stage) -> None:
        """Read a rejoin's clusters again, now that every admin API answers; ask what blocks."""

        async def read() -> tuple[Finding, ...]:
            for action in stage.actions:
                self._tracker.begin(stage, action, 1)
            readings, found = await observe(self._run.dispatcher, stage.waves, stage.name)
            unwatched = await self._compare_with_record()
            return (*self._evaluate(readings, found), *unwatched)

        while blockers := self._record(await self._answered(stage, read)):
            await self._ask(stage, "; ".join(map(str, blockers)))
        now = workflow.now()
        for action in stage.actions:
            self._tracker.done(stage, action, seen(action, f"read {action.place}", now))

    async def recheck(self, stage: Stage) -> None:
        """After a long wait for operators, check that the prerequisites still hold."""
        async with self._rechecking:
            await self._recheck(stage)

    async def _recheck(self, stage: Stage) -> None:
        async def read() -> tuple[Finding, ...]:
            readings, found = await observe(self._run.dispatcher, self._still_observable())
            if self._plan.procedure == "rejoin" and not self._returned:
                down = find_earlier_run(self._plan, readings).stopped_nodes
                readings = without_down(self._plan, readings, down)
            return self._evaluate(readings, found)

        while self._state.waited_for_people > activity_options.LONG_WAIT and not stage.undo:
            self._state.waited_for_people = timedelta()
            blockers = self._record(await self._answered(stage, read))
            if not blockers:
                return
            await self._ask(stage, f"after the wait for operators: {'; '.join(map(str, blockers))}")
            # A retry checks again, however fast the operator answered.
            self._state.waited_for_people = 2 * activity_options.LONG_WAIT

    async def _answered(
        self, stage: Stage, read: Callable[[], Awaitable[tuple[Finding, ...]]]
    ) -> tuple[Finding, ...]:
        """Read until every place answers, for as long as an action on a place would be repeated.

        A connection that was lost for some seconds is no question to an operator. Places are read
        ever more rarely, so that a timeout of a day does not fill the history.
        """
        pause = activity_options.READ_AGAIN
        until = workflow.now() + self._plan.estate.timing.unreachable_timeout
        while True:
            findings = await read()
            unread = any(map(_may_pass, self._blocking(findings)))
            if not unread or workflow.now() >= until:
                return findings
            again = f"until {stage.key} reads the estate again"
            pause = min(pause, until - workflow.now())
            await self._gates.wait(lambda: self._gates.may_exit(stage), pause, again)
            self._gates.exit_if_requested(stage)
            pause *= 2

    async def _compare_with_record(self) -> tuple[Finding, ...]:
        """Record what is not as it was at the suspension, on both sides: both are up now.

        Returns what could not be compared.
        """
        compared = await compare_with_record(self._plan, self._state.configuration)
        self._state.configuration = compared.record
        self._state.version += 1
        return compared.findings

    async def _ask(self, stage: Stage, message: str) -> None:
        """Ask what to do about findings that block; RollBack where the request says so."""
        if self._run.request.on_fault == "roll_back" and not self._state.past_return:
            self._gates.start_rollback(message)
        asked = question(stage.name, message, "retry", "roll_back", "abort")
        await self._gates.ask(stage, asked)

    def _still_observable(self) -> tuple[Wave, ...]:
        """Return stage 0's observations without those of nodes that are down."""
        if self._plan.procedure == "rejoin":
            name = StageName.CHECK_RETURNED if self._returned else StageName.CHECK_PREREQUISITES
            return _without_places(self._plan.stage(name).waves, {*self._state.declared_down})
        down = {*self._state.declared_down, *self._state.already_down}
        last = StageName.STOP_REMAINING_SERVICES
        down |= {action.place for action in self._state.started.get(last, ())}
        progress = self._state.stages[last].actions.values()
        down |= {action.place for action in progress if action.status is not Status.PENDING}
        return _without_places(self._plan.stage(StageName.CHECK_PREREQUISITES).waves, down)

    @property
    def _returned(self) -> bool:
        """Whether a rejoin has started every node."""
        return StageName.START_ADMIN.value in self._state.finished

    def _evaluate(
        self, readings: Sequence[Reading], found: tuple[Finding, ...]
    ) -> tuple[Finding, ...]:
        """Return every finding, with what was changed since the suspension."""
        started = frozenset(name for name, actions in self._state.started.items() if actions)
        changed = configuration_findings(self._state.configuration)
        return evaluate(self._plan, readings, workflow.now(), started, found + changed)

    def _blocking(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Return those that block and that nobody has accepted."""
        return blocking(findings, self._run.request.accept, self._plan.procedure)

    def _record(self, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """Record every finding; return those that stop the run."""
        self._tracker.add_findings(findings)
        accept, blockers = self._run.request.accept, self._blocking(findings)
        for finding in blocking(findings):
            if finding not in blockers:
                self._tracker.add_exception(
                    f"{finding.name} on {finding.place} was accepted: {accept[finding.name]}"
                )
        return blockers


def _may_pass(finding: Finding) -> bool:
    """Whether something could not be read that perhaps can be read a little later."""
    check = BY_NAME.get(finding.name)
    return isinstance(check, AccessCheck) and check.may_pass


def _without_places(waves: Sequence[Wave], places: set[str]) -> tuple[Wave, ...]:
    return tuple(tuple(action for action in wave if action.place not in places) for wave in waves)
