"""How long clients and partners are waited for, who may wait longer, and who is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.execution.context import Run
from workflows.execution.gates import Aborted, Gates, RollBack
from workflows.model.actions import Action, AwaitSessions, ReadQueue, ReadSessions
from workflows.model.decisions import Decision, Verb
from workflows.model.findings import Finding, Severity
from workflows.model.progress import Failure, PendingQuestion
from workflows.model.results import Remaining, RemainingSessions, seen
from workflows.planning.plan import Stage
from workflows.run.inbox import Question

Tasks = Mapping[Action, asyncio.Task[Failure | None]]

ANSWERS: tuple[Verb, ...] = ("extend", "force", "roll_back", "abort")


class DrainTimeout:
    """Watches the waits of one wave: the watching goes on whatever people are asked."""

    def __init__(self, run: Run, gates: Gates) -> None:
        self._run = run
        self._gates = gates
        self._looks = 0

    async def over(self, stage: Stage, tasks: Tasks) -> set[Action]:
        """Return when every wait has ended; the orders that were cut short.

        Raises:
            RollBack, Aborted: someone wants the run to go no further; all waits have ended.
        """
        inbox = self._run.inbox
        inbox.watch(stage.name, [action.place for action in tasks])
        used, cut = timedelta(), set[Action]()
        try:
            while waiting := _open(tasks, cut):
                for action in waiting:
                    if (decision := self._skipped(stage, action)) is not None:
                        await self._skip(stage, action, tasks[action], decision)
                        cut.add(action)
                    elif (decision := inbox.forced(stage.name, action.place)) is not None:
                        await self._cut(stage, action, tasks[action], decision)
                        cut.add(action)
                due = min((self._allowed(stage, action) for action in waiting), default=used) - used
                if due > timedelta():
                    used += await self._wait(stage, tasks, cut, due)
                elif waiting := _open(tasks, cut):
                    late = [o for o in waiting if self._allowed(stage, o) <= used]
                    await self._out_of_patience(stage, late, tasks, used)
                self._gates.exit_if_requested(stage)
        except (RollBack, Aborted):
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        finally:
            for action in tasks:
                inbox.unwatch(stage.name, action.place)
        return cut

    async def _wait(
        self, stage: Stage, tasks: Tasks, cut: set[Action], due: timedelta
    ) -> timedelta:
        """Wait until something happens; return how much patience that cost."""

        def happened() -> bool:
            waiting = _open(tasks, cut)
            ends = any(self._ends(stage, action) for action in waiting)
            return not waiting or ends or self._gates.may_exit(stage)

        since, paused = workflow.now(), self._run.inbox.paused_for
        await self._gates.wait(happened, due, f"drain timeout of {stage.key}")
        return workflow.now() - since - (self._run.inbox.paused_for - paused)

    async def _out_of_patience(
        self, stage: Stage, late: list[Action], tasks: Tasks, used: timedelta
    ) -> None:
        """Ask, naming whom or what it is about, until there is nothing left to decide."""

        def outcome_known() -> bool:
            return all(
                tasks[o].done() or self._ends(stage, o) or self._allowed(stage, o) > used
                for o in late
            )

        drain_timeout = max(self._allowed(stage, action) for action in late)
        remaining = tuple([one for action in late if (one := await self._look(stage, action))])
        there = "; ".join(map(whom, remaining)) or "nobody can tell who is still there"
        await self._gates.ask(
            stage,
            Question(stage.name, ANSWERS),
            PendingQuestion(
                kind="decision",
                stage=stage.name,
                since=workflow.now(),
                message=f"drain timeout ({drain_timeout}) expired; still connected: {there}",
                answers=ANSWERS[:-2] + (("abort",) if stage.undo else ANSWERS[-2:]),
                remaining=remaining,
            ),
            outcome_known,
        )

    async def _skip(
        self, stage: Stage, action: Action, task: asyncio.Task[Failure | None], decision: Decision
    ) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        who = decision.by or "someone"
        self._run.tracker.add_exception(f"{who} skipped {action}: {decision.reason}")
        self._run.tracker.leave_out(stage, action)

    async def _cut(
        self, stage: Stage, action: Action, task: asyncio.Task[Failure | None], decision: Decision
    ) -> None:
        """End one wait, and keep in the record who or what was still there."""
        remaining = await self._look(stage, action)
        there = (
            whom(remaining) if remaining else f"{action.place}: nobody can tell who is still there"
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        message = f"{decision.by or 'someone'} ended the wait at {action.place}: {decision.reason}"
        finding = Finding(
            name="wait_forced",
            place=action.place,
            seen=there,
            expected="nobody left, and nothing queued",
            advice="tell them: what they had under way may fail",
            severity=Severity.WARNS,
        )
        self._run.tracker.add_exception(f"{message}; still there: {there}")
        self._run.tracker.add_findings((finding,))
        self._run.tracker.done(stage, action, seen(action, message, workflow.now(), (finding,)))

    async def _look(self, stage: Stage, action: Action) -> Remaining | None:
        """Read once what is left; None where it cannot be read."""
        sessions = isinstance(action, AwaitSessions)
        kind = ReadSessions if sessions else ReadQueue
        self._looks += 1
        try:
            return await self._run.dispatcher.read_remaining(
                kind(node=action.place), stage.key, self._looks
            )
        except ActivityError:
            return None

    def _ends(self, stage: Stage, action: Action) -> Decision | None:
        """Who wants this wait to end: by force, or since its stage is skipped."""
        return self._run.inbox.forced(stage.name, action.place) or self._skipped(stage, action)

    def _skipped(self, stage: Stage, action: Action) -> Decision | None:
        return None if stage.undo else self._run.inbox.skipped(stage.name, action.place)

    def _allowed(self, stage: Stage, action: Action) -> timedelta:
        drain_timeout = self._run.plan.estate.timing.drain_timeout
        return drain_timeout + self._run.inbox.extension(stage.name, action.place)


def whom(remaining: Remaining) -> str:
    """Say by node, protocol and account, or by event, who and what is still there."""
    if isinstance(remaining, RemainingSessions):
        counts = [f"{n} {protocol}" for protocol, n in remaining.connections.items() if n]
        parts = [", ".join(counts), ", ".join(remaining.accounts)]
    else:
        events = f"{remaining.events} events" if remaining.events else ""
        active = f"{remaining.active} active" if remaining.active else ""
        parts = [events, active, ", ".join(remaining.queued)]
    message = "; ".join(part for part in parts if part)
    return f"{remaining.node}: {message or remaining.error or 'nothing that could be seen'}"


def _open(tasks: Tasks, cut: set[Action]) -> list[Action]:
    return [action for action, task in tasks.items() if not task.done() and action not in cut]
