"""The runbook at work: stage by stage or node by node, forward, and back where someone says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from temporalio import workflow

from workflows import activity_options as policies
from workflows.errors import NotReady
from workflows.execution.context import Run
from workflows.execution.gates import Ended, People, TurnBack
from workflows.execution.observe import observe
from workflows.execution.waves import Waves
from workflows.model.actions.change import LookForOrphans
from workflows.model.decisions import Verb
from workflows.model.observations import Reading
from workflows.model.progress import Fault, Waiting
from workflows.model.results import Finding, seen
from workflows.model.stages import Slug
from workflows.planning.interrupted_run import recognise
from workflows.planning.plan import Stage, Wave
from workflows.planning.rollback import Baseline, plan_undo
from workflows.preflight.evaluate import blocking, objections
from workflows.run.inbox import Question

CHAIN = (Slug.STOP_SCHEDULING, Slug.DRAIN_PROTOCOL_SERVERS, Slug.DRAIN_TRANSACTION_MANAGER)
"""What the `by_node` variant does to each source Server at its own pace."""

LOOK_AGAIN: tuple[Verb, ...] = ("retry", "roll_back", "abort")


@dataclass(frozen=True)
class Conclusion:
    """How a run ended."""

    outcome: Literal["completed", "completed_with_exceptions", "rolled_back", "aborted"]
    words: str


class Execution:
    """Executes one plan, as it stands."""

    def __init__(self, run: Run, tell: Callable[[Waiting], None]) -> None:
        self._run = run
        self._plan, self._board, self._desk = run.plan, run.board, run.desk
        self._memory, self._errands = run.memory, run.errands
        self._people = People(run, tell)
        self._waves = Waves(run, self._people, self._look_again)

    async def run(self) -> Conclusion:
        """Do everything, or take it back; NotReady where a prerequisite fails."""
        try:
            await (self._by_node() if self._plan.variant == "by_node" else self._by_stage())
        except Ended as end:
            return Conclusion("aborted", str(end))
        except TurnBack as turn:
            return await self._roll_back(str(turn))
        source, target = self._plan.source, self._plan.target
        words = f"traffic is on {target}; {source} has drained and is down"
        if exceptions := self._board.progress.exceptions:
            words = f"{words}; but: {'; '.join(exceptions)}"
            return Conclusion("completed_with_exceptions", words)
        return Conclusion("completed", words)

    async def _by_stage(self) -> None:
        for stage in self._plan.stages:
            await self._see_through(stage)

    async def _by_node(self) -> None:
        """Drain the Edges, then let every source Server go through stages 4, 6 and 7 by itself.

        The vendor offers this as a page that has to stay open (section 2); step 5 still follows
        step 4 on all Servers.
        """
        plan = self._plan
        drain, managers = (plan.stage(slug) for slug in CHAIN[1:])
        for slug in (s for s in Slug if s.number < Slug.STOP_SCHEDULING.number):
            await self._see_through(plan.stage(slug))
        source = plan.estate.cluster(plan.source)
        edges = frozenset(node.name for node in source.edges)
        await self._see_through(_part(drain, edges))
        await self._work_off(_part(managers, edges))  # only looks, and waits at no gate for that
        await self._people.pass_gates(plan.stage(Slug.STOP_SCHEDULING))
        told = {server.name: asyncio.Event() for server in source.servers}
        await _all(
            *(self._chain(name, event) for name, event in told.items()),
            self._start_scheduling(tuple(told.values())),
        )
        await self._see_through(managers.model_copy(update={"waves": managers.waves[-1:]}))
        for slug in (Slug.STOP_REMAINING_SERVICES, Slug.RESTORE_MONITORS):
            await self._see_through(plan.stage(slug))

    async def _chain(self, server: str, scheduling_stopped: asyncio.Event) -> None:
        try:
            for slug in CHAIN:
                await self._see_through(_part(self._plan.stage(slug), frozenset({server})))
                scheduling_stopped.set()
        except (TurnBack, Ended):
            scheduling_stopped.set()  # nobody has to wait for a chain that has ended
            raise

    async def _start_scheduling(self, stopped: Sequence[asyncio.Event]) -> None:
        for event in stopped:
            await event.wait()
        if Slug.STOP_SCHEDULING.value in self._memory.over:
            await self._see_through(self._plan.stage(Slug.START_SCHEDULING))

    async def _roll_back(self, words: str) -> Conclusion:
        """Take back what was begun, to the baseline and no further."""
        self._desk.turned_back()
        stages = plan_undo(self._plan, self._memory.begun, self._memory.baseline)
        self._board.turn_back(stages)
        try:
            for stage in stages:
                await self._see_through(stage)
        except Ended as end:
            return Conclusion("aborted", f"{words}; {end}")
        return Conclusion("rolled_back", f"{words}; {self._plan.source} serves as before")

    async def _see_through(self, stage: Stage) -> None:
        self._board.enter(stage)
        await self._people.pass_gates(stage)
        self._people.leave_if_told(stage)
        await self._work_off(stage)
        self._board.leave(stage)

    async def _work_off(self, stage: Stage) -> None:
        self._board.work(stage)
        if stage.slug is Slug.CHECK_PREREQUISITES:
            await self._check(stage)
        else:
            for wave in stage.waves:
                await self._waves.see_through(stage, wave)
        self._board.finish(stage)
        if self._board.is_over(stage):
            self._memory.over.add(stage.name)

    async def _check(self, stage: Stage) -> None:
        """Read everything at once; all that speaks against the run fails it together."""
        for order in stage.orders:
            self._board.begin(stage, order, 1)
        readings, found = await observe(self._errands, stage.waves)
        half = recognise(self._plan, readings)
        self._memory.baseline = Baseline.of(readings, whole=bool(half.begun))
        self._memory.remember(self._plan, half.begun)
        self._memory.gone = half.gone
        now = workflow.now()
        for order in stage.orders:
            self._board.done(stage, order, seen(order, f"looked at {order.place}", now))
        standing = self._judge(
            [reading for reading in readings if reading.place not in half.gone],
            found + half.findings(self._plan),
        )
        if standing:
            raise NotReady("; ".join(map(str, standing)))

    async def _look_again(self, stage: Stage) -> None:
        """After a long wait for people, see that what has to be true still is."""
        while self._memory.waited > policies.LONG_WAIT and not stage.undo:
            self._memory.waited = timedelta()
            readings, found = await observe(self._errands, self._still_observable())
            standing = self._judge(readings, found)
            if not standing:
                return
            words = f"while someone was waited for: {'; '.join(map(str, standing))}"
            if self._run.request.on_fault == "roll_back" and not self._memory.past_return:
                self._people.turn_back(words)
            await self._ask_about(stage, words)
            self._memory.waited = max(self._memory.waited, 2 * policies.LONG_WAIT)

    async def _ask_about(self, stage: Stage, words: str) -> None:
        fault = Fault(
            order="look_again",
            place=stage.slug,
            kind=NotReady.__name__,
            words=words,
            settled=True,
        )
        await self._people.ask(
            stage,
            Question(stage.slug, LOOK_AGAIN, (fault,)),
            Waiting(
                kind="decision",
                stage=stage.slug,
                since=workflow.now(),
                words=words,
                answers=LOOK_AGAIN,
            ),
        )

    def _still_observable(self) -> tuple[Wave, ...]:
        """Stage 0's observations, less those of nodes that are down, by this run or by proof."""
        down = {*self._memory.dead, *self._memory.gone}
        if self._memory.begun.get(Slug.STOP_REMAINING_SERVICES):
            down |= {node.name for node in self._plan.estate.cluster(self._plan.source).nodes}
        return tuple(
            tuple(order for order in wave if order.place not in down)
            for wave in self._plan.stage(Slug.CHECK_PREREQUISITES).waves
        )

    def _judge(
        self, readings: Sequence[Reading], found: tuple[Finding, ...]
    ) -> tuple[Finding, ...]:
        """Post every finding; return the ones that stop the run."""
        begun = frozenset(slug for slug, orders in self._memory.begun.items() if orders)
        findings = objections(self._plan, readings, workflow.now(), begun, found)
        self._board.add_findings(findings)
        accept = self._run.request.accept
        standing = blocking(findings, accept)
        for finding in blocking(findings):
            if finding not in standing:
                self._board.add_exception(
                    f"{finding.name} on {finding.place} was accepted: {accept[finding.name]}"
                )
        return standing


def _part(stage: Stage, places: frozenset[str]) -> Stage:
    """Return what of a stage concerns some nodes; what comes after all chains is not among it."""
    waves = (
        tuple(o for o in wave if o.place in places and not isinstance(o, LookForOrphans))
        for wave in stage.waves
    )
    return stage.model_copy(update={"waves": tuple(filter(None, waves))})


async def _all(*work: Awaitable[None]) -> None:
    """Let everything end, and only then raise what ended the first of them."""
    for result in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
