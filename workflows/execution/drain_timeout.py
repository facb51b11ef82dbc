"""How long clients and partners are waited for, who may wait longer, and who is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.execution.context import Run
from workflows.execution.gates import Ended, People, TurnBack
from workflows.model.actions.change import AwaitSessions, LookAtQueue, LookAtSessions, Order
from workflows.model.checks import Severity
from workflows.model.decisions import Verb
from workflows.model.progress import Fault, Waiting
from workflows.model.request import Decision
from workflows.model.results import Finding, Left, SessionsLeft, seen
from workflows.planning.plan import Stage
from workflows.run.inbox import Question

Tasks = Mapping[Order, asyncio.Task[Fault | None]]

ANSWERS: tuple[Verb, ...] = ("extend", "force", "roll_back", "abort")


class Patience:
    """Watches the waits of one wave: the watching goes on whatever people are asked."""

    def __init__(self, run: Run, people: People) -> None:
        self._run = run
        self._people = people
        self._looks = 0

    async def over(self, stage: Stage, tasks: Tasks) -> set[Order]:
        """Return when every wait has ended; the orders that were cut short.

        Raises:
            TurnBack, Ended: someone wants the run to go no further; all waits have ended.
        """
        desk = self._run.desk
        desk.watch(stage.slug, [order.place for order in tasks])
        used, cut = timedelta(), set[Order]()
        try:
            while waiting := _open(tasks, cut):
                for order in waiting:
                    if (decision := self._skipped(stage, order)) is not None:
                        await self._skip(stage, order, tasks[order], decision)
                        cut.add(order)
                    elif (decision := desk.forced(stage.slug, order.place)) is not None:
                        await self._cut(stage, order, tasks[order], decision)
                        cut.add(order)
                due = min((self._allowed(stage, order) for order in waiting), default=used) - used
                if due > timedelta():
                    used += await self._wait(stage, tasks, cut, due)
                elif waiting := _open(tasks, cut):
                    late = [o for o in waiting if self._allowed(stage, o) <= used]
                    await self._out_of_patience(stage, late, tasks, used)
                self._people.leave_if_told(stage)
        except (TurnBack, Ended):
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        finally:
            for order in tasks:
                desk.unwatch(stage.slug, order.place)
        return cut

    async def _wait(self, stage: Stage, tasks: Tasks, cut: set[Order], due: timedelta) -> timedelta:
        """Wait until something happens; return how much patience that cost."""

        def happened() -> bool:
            waiting = _open(tasks, cut)
            ends = any(self._ends(stage, order) for order in waiting)
            return not waiting or ends or self._people.may_leave(stage)

        since, paused = workflow.now(), self._run.desk.paused_for
        await self._people.wait(happened, due, f"patience of {stage.name}")
        return workflow.now() - since - (self._run.desk.paused_for - paused)

    async def _out_of_patience(
        self, stage: Stage, late: list[Order], tasks: Tasks, used: timedelta
    ) -> None:
        """Ask, naming whom or what it is about, until there is nothing left to decide."""

        def settled() -> bool:
            return all(
                tasks[o].done() or self._ends(stage, o) or self._allowed(stage, o) > used
                for o in late
            )

        patience = max(self._allowed(stage, order) for order in late)
        left = tuple([one for order in late if (one := await self._look(stage, order))])
        there = "; ".join(map(whom, left)) or "nobody can tell who is still there"
        await self._people.ask(
            stage,
            Question(stage.slug, ANSWERS),
            Waiting(
                kind="decision",
                stage=stage.slug,
                since=workflow.now(),
                words=f"patience of {patience} has run out, still there: {there}",
                answers=ANSWERS[:-2] + (("abort",) if stage.undo else ANSWERS[-2:]),
                left=left,
            ),
            settled,
        )

    async def _skip(
        self, stage: Stage, order: Order, task: asyncio.Task[Fault | None], decision: Decision
    ) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        who = decision.by or "someone"
        self._run.board.add_exception(f"{who} skipped {order}: {decision.reason}")
        self._run.board.leave_out(stage, order)

    async def _cut(
        self, stage: Stage, order: Order, task: asyncio.Task[Fault | None], decision: Decision
    ) -> None:
        """End one wait, and keep in the record who or what was still there."""
        left = await self._look(stage, order)
        there = whom(left) if left else f"{order.place}: nobody can tell who is still there"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        words = f"{decision.by or 'someone'} ended the wait at {order.place}: {decision.reason}"
        finding = Finding(
            name="wait_forced",
            place=order.place,
            seen=there,
            expected="nobody left, and nothing queued",
            advice="tell them: what they had under way may fail",
            severity=Severity.WARNS,
        )
        self._run.board.add_exception(f"{words}; still there: {there}")
        self._run.board.add_findings((finding,))
        self._run.board.done(stage, order, seen(order, words, workflow.now(), (finding,)))

    async def _look(self, stage: Stage, order: Order) -> Left | None:
        """Read once what is left; None where it cannot be read."""
        sessions = isinstance(order, AwaitSessions)
        kind = LookAtSessions if sessions else LookAtQueue
        self._looks += 1
        try:
            return await self._run.errands.look(kind(node=order.place), stage.name, self._looks)
        except ActivityError:
            return None

    def _ends(self, stage: Stage, order: Order) -> Decision | None:
        """Who wants this wait to end: by force, or since its stage is skipped."""
        return self._run.desk.forced(stage.slug, order.place) or self._skipped(stage, order)

    def _skipped(self, stage: Stage, order: Order) -> Decision | None:
        return None if stage.undo else self._run.desk.skipped(stage.slug, order.place)

    def _allowed(self, stage: Stage, order: Order) -> timedelta:
        patience = self._run.plan.estate.timing.patience
        return patience + self._run.desk.extension(stage.slug, order.place)


def whom(left: Left) -> str:
    """Say by node, protocol and account, or by event, who and what is still there."""
    if isinstance(left, SessionsLeft):
        counts = [f"{n} {protocol}" for protocol, n in left.connections.items() if n]
        parts = [", ".join(counts), ", ".join(left.accounts)]
    else:
        events = f"{left.events} events" if left.events else ""
        active = f"{left.active} active" if left.active else ""
        parts = [events, active, ", ".join(left.queued)]
    words = "; ".join(part for part in parts if part)
    return f"{left.node}: {words or left.trouble or 'nothing that could be seen'}"


def _open(tasks: Tasks, cut: set[Order]) -> list[Order]:
    return [order for order, task in tasks.items() if not task.done() and order not in cut]
