"""How a wave is seen through: side by side, judged together, decided by rule or by people."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.execution.context import Run
from workflows.execution.drain_timeout import Patience
from workflows.execution.gates import Ended, People, TurnBack
from workflows.execution.order_executor import Carrier, fault_of
from workflows.model.actions.change import WAITS, Order, ProveDead
from workflows.model.decisions import SKIPPABLE, Verb
from workflows.model.progress import Fault, Waiting
from workflows.model.request import Decision
from workflows.planning.plan import Stage, Wave
from workflows.run.inbox import Question
from workflows.run.validation import SILENT

Faults = dict[Order, Fault]


class Waves:
    """Has waves carried out, and their faults decided."""

    def __init__(
        self, run: Run, people: People, look_again: Callable[[Stage], Awaitable[None]]
    ) -> None:
        self._run = run
        self._people = people
        self._look_again = look_again
        self._carrier = Carrier(run, people)
        self._patience = Patience(run, people)
        self._burials = 0

    async def see_through(self, stage: Stage, wave: Wave) -> None:
        """Carry every order out; a retry concerns only those that failed."""
        await self._look_again(stage)
        self._people.leave_if_told(stage)
        since = workflow.now()
        try:
            await self._carry_out(stage, wave)
        except (TurnBack, Ended):
            self._run.board.waited_out(wave, since)
            raise
        self._run.board.waited_out(wave, since)

    async def _carry_out(self, stage: Stage, wave: Wave) -> None:
        faults, notes = await self._together(stage, wave), list[str]()
        while faults:
            question = await self._ask(stage, faults, notes)
            again, settled, notes = await self._obey(stage, faults, question)
            await self._look_again(stage)
            for order in again:
                self._carrier.settle(stage, order, faults[order])
            rest = {o: f for o, f in faults.items() if o not in (*again, *settled)}
            faults = rest | await self._together(stage, again)

    async def _together(self, stage: Stage, orders: Wave) -> Faults:
        """Let every order end, and only then say which did not end well."""
        tasks = {o: asyncio.create_task(self._carrier.carry_out(stage, o)) for o in orders}
        waits = bool(orders) and all(isinstance(order, WAITS) for order in orders)
        cut = await self._patience.over(stage, tasks) if waits else set[Order]()
        kept = [order for order in orders if order not in cut]
        ended = await asyncio.gather(*(tasks[order] for order in kept))
        return {o: f for o, f in zip(kept, ended, strict=True) if f is not None}

    async def _ask(self, stage: Stage, faults: Faults, notes: list[str]) -> Question:
        """Ask what is to be done; before the point of no return a rule may have said it."""
        words = "; ".join([*dict.fromkeys(map(_said, faults.values())), *notes])
        rule = self._run.request.on_fault == "roll_back" and not self._run.memory.past_return
        if rule and not stage.undo:
            self._people.turn_back(f"{stage.slug} failed: {words}")
        silent = self._silent(faults.values())
        verbs = self._verbs(stage, may_force=bool(silent))
        question = Question(stage.slug, verbs, tuple(faults.values()))
        waiting = Waiting(
            kind="decision",
            stage=stage.slug,
            since=workflow.now(),
            words=words,
            answers=verbs,
            silent=silent,
        )
        return await self._people.ask(stage, question, waiting)

    def _silent(self, faults: Iterable[Fault]) -> tuple[str, ...]:
        nodes = {node.name for node in self._run.plan.estate.nodes}
        places = (fault.place for fault in faults if fault.kind in SILENT)
        return tuple(dict.fromkeys(place for place in places if place in nodes))

    def _verbs(self, stage: Stage, *, may_force: bool) -> tuple[Verb, ...]:
        offered: dict[Verb, bool] = {
            "retry": True,
            "skip": stage.slug in SKIPPABLE and not stage.undo,
            "force": may_force,
            "roll_back": not stage.undo,
            "abort": True,
        }
        return tuple(verb for verb, holds in offered.items() if holds)

    async def _obey(
        self, stage: Stage, faults: Faults, question: Question
    ) -> tuple[Wave, Wave, list[str]]:
        """Return the orders to try again, those that are settled, and what speaks against more."""
        again: list[Order] = []
        settled: list[Order] = []
        notes: list[str] = []
        for verb, decision in question.answers:
            concerned = [
                order
                for order in faults
                if decision.node in (None, order.place) and order not in (*again, *settled)
            ]
            if verb == "retry":
                again += concerned
            elif verb == "skip":
                self._skip(stage, concerned, decision)
                settled += concerned
            elif (objection := await self._bury(stage, decision)) is None:
                for order in concerned:
                    self._run.board.leave_out(stage, order)
                settled += concerned
            else:
                notes.append(objection)
        return tuple(again), tuple(settled), notes

    def _skip(self, stage: Stage, orders: Iterable[Order], decision: Decision) -> None:
        for order in orders:
            who = decision.by or "someone"
            self._run.board.add_exception(f"{who} skipped {order}: {decision.reason}")
            self._run.board.leave_out(stage, order)

    async def _bury(self, stage: Stage, decision: Decision) -> str | None:
        """Count a node as down, if it proves to be dead; else say what speaks against it."""
        assert decision.node is not None  # noqa: S101 - the desk refuses a force without one here
        order = ProveDead(node=decision.node)
        self._burials += 1
        try:
            report = await self._run.errands.carry_out(order, stage.name, self._burials)
        except ActivityError as error:
            return fault_of(order, error).words
        who = f"{decision.by or 'someone'}: {decision.reason}"
        self._run.memory.dead[decision.node] = who
        self._run.board.add_exception(f"{decision.node} counts as down ({report.words}), {who}")
        return None


def _said(fault: Fault) -> str:
    """Say where it failed and why; most words begin with the place already."""
    placed = fault.words.startswith(f"{fault.place}:")
    return fault.words if placed else f"{fault.place}: {fault.words}"
