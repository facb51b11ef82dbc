"""Apply the drain timeout to waits for clients and partners: extend, force or exit."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from workflows.errors import Stuck, Unreachable, Unresolved
from workflows.execution.context import Run
from workflows.execution.declare_down import declare_down
from workflows.execution.gates import Aborted, Gates, RollBack, question
from workflows.model.actions import Action, AwaitSessions, ReadQueue, ReadSessions
from workflows.model.decisions import Decision, Verb
from workflows.model.findings import Finding, Severity
from workflows.model.progress import Failure
from workflows.model.results import Remaining, RemainingSessions, seen
from workflows.planning.plan import Stage

Execute = Callable[[Stage, Action], Awaitable[Failure | None]]
Tasks = dict[Action, asyncio.Task[Failure | None]]

ANSWERS: tuple[Verb, ...] = ("extend", "force", "roll_back", "abort")
ANSWERS_IN_ROLLBACK: tuple[Verb, ...] = ("extend", "force", "abort")
UNREADABLE = (Unresolved.__name__, Unreachable.__name__)
"""Kinds of failures of a wait that can read nothing."""
UNENDED = (*UNREADABLE, Stuck.__name__)
"""Kinds of failures after which a wait goes on, while an operator is asked."""
NOT_READABLE = "could not be read"


class DrainTimeout:
    """Supervises the waits of one wave; they continue while an operator is asked."""

    def __init__(self, run: Run, gates: Gates, execute: Execute) -> None:
        self._run, self._state, self._tracker = run, run.state, run.tracker
        self._execute = execute
        self._timing = run.plan.estate.timing
        self._gates = gates
        self._unended: dict[Action, Failure] = {}
        """Waits that make no progress, as their last attempt has said."""

    def begin(self, stage: Stage, action: Action) -> asyncio.Task[Failure | None]:
        """Begin a wait; what kept an earlier one is past."""
        self._unended.pop(action, None)
        return asyncio.create_task(self._until_ended(stage, action))

    async def _until_ended(self, stage: Stage, action: Action) -> Failure | None:
        """Execute a wait until it ends; while it makes no progress, it is tried again and again.

        A new attempt that does not fail within the same time makes progress.
        """
        while True:
            again = action in self._unended
            noting = asyncio.create_task(self._note_progress(action)) if again else None
            try:
                failure = await self._execute(stage, action)
            finally:
                if noting is not None:
                    noting.cancel()
            if failure is None or failure.kind not in UNENDED:
                self._unended.pop(action, None)
                return failure
            self._unended[action] = failure
            self._state.version += 1

    async def _note_progress(self, action: Action) -> None:
        """Note that the wait makes progress, once its attempt has outlasted the limit."""
        limit = 2 * self._timing.unreachable_timeout
        await workflow.sleep(limit, summary=f"{action}: whether it makes progress")
        self._unended.pop(action, None)
        self._state.version += 1

    async def supervise(self, stage: Stage, tasks: Tasks) -> set[Action]:
        """Return when every wait has ended; the actions that were ended early.

        Raises:
            RollBack, Aborted: the run exits; all waits have ended.
        """
        for action in tasks:
            self._state.drain_waits[stage.name, action.place] = len(self._state.decisions)
        used, ended = timedelta(), set[Action]()
        try:
            while waiting := _open(tasks, ended):
                for action in waiting:
                    if await self._end_if_decided(stage, action, tasks):
                        ended.add(action)
                used += await self._wait_or_ask(stage, tasks, ended, used)
                self._gates.exit_if_requested(stage)
        except (RollBack, Aborted):
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            raise
        finally:
            for action in tasks:
                self._state.drain_waits.pop((stage.name, action.place), None)
        return ended

    async def _wait_or_ask(
        self, stage: Stage, tasks: Tasks, ended: set[Action], used: timedelta
    ) -> timedelta:
        """Wait, or ask where that is due; return how much of the timeout this used."""
        if not (waiting := _open(tasks, ended)):
            return timedelta()
        if unended := [one for one in waiting if one in self._unended]:
            await self._ask_unended(stage, unended, tasks)
            return timedelta()
        due = min(self._allowed(stage, action) for action in waiting) - used
        if due > timedelta():
            return await self._wait(stage, tasks, ended, due)
        late = [one for one in waiting if self._allowed(stage, one) <= used]
        await self._ask(stage, late, tasks, used)
        return timedelta()

    async def _wait(
        self, stage: Stage, tasks: Tasks, ended: set[Action], due: timedelta
    ) -> timedelta:
        """Wait until something happens; return how much of the timeout that used."""

        def happened() -> bool:
            waiting = _open(tasks, ended)
            decided = any(self._decided(stage, action) for action in waiting)
            unended = any(action in self._unended for action in waiting)
            return not waiting or decided or unended or self._gates.may_exit(stage)

        since, paused = workflow.now(), self._state.paused_for(workflow.now())
        await self._gates.wait(happened, due, f"drain timeout of {stage.key}")
        now = workflow.now()
        return now - since - (self._state.paused_for(now) - paused)

    async def _ask(self, stage: Stage, late: list[Action], tasks: Tasks, used: timedelta) -> None:
        """Ask an operator, and name what remains, until every late wait is decided or over."""

        def settled() -> bool:
            return all(
                tasks[action].done()
                or self._decided(stage, action)
                or self._allowed(stage, action) > used
                for action in late
            )

        timeout = max(self._allowed(stage, action) for action in late)
        remaining = tuple([one for action in late if (one := await self._read(stage, action))])
        there = "; ".join(map(describe_remaining, remaining)) or f"what remains {NOT_READABLE}"
        message = f"drain timeout ({timeout}) expired; still connected: {there}"
        answers = ANSWERS_IN_ROLLBACK if stage.undo else ANSWERS
        asked = question(stage.name, message, *answers, remaining=remaining)
        await self._gates.ask(stage, asked, settled=settled)

    async def _ask_unended(self, stage: Stage, unended: list[Action], tasks: Tasks) -> None:
        """Ask an operator while waits make no progress; settled once they do, or are over."""

        def settled() -> bool:
            return all(
                tasks[action].done() or self._decided(stage, action) or action not in self._unended
                for action in unended
            )

        message = "; ".join(self._unended[action].message for action in unended)
        if any(map(self._is_unreadable, unended)):
            self._gates.roll_back_by_rule(stage, message)
        answers = ANSWERS_IN_ROLLBACK if stage.undo else ANSWERS
        places = tuple(dict.fromkeys(action.place for action in unended))
        asked = question(stage.name, message, *answers, silent=places)
        await self._gates.ask(stage, asked, settled=settled)
        for action in unended:
            if not self._decided(stage, action):
                self._unended.pop(action, None)  # it is asked again if the next attempt fails

    def _is_unreadable(self, action: Action) -> bool:
        return action in self._unended and self._unended[action].kind in UNREADABLE

    async def _end_if_decided(self, stage: Stage, action: Action, tasks: Tasks) -> bool:
        """End a wait that an operator skips or forces; whether there was such a decision."""
        task = tasks[action]
        if (skip := self._state.skipped(stage, action.place)) is not None:
            await _cancel(task)
            self._tracker.add_exception(f"{skip.author} skipped {action}: {skip.reason}")
            self._tracker.skip(stage, action)
            return True
        if (force := self._state.forced(stage, action.place)) is not None:
            if await self._is_down(stage, action, force):
                # Skipped, or read through another Server.
                await _cancel(task)
                tasks[action] = self.begin(stage, action)
                self._state.drain_waits[stage.name, action.place] = len(self._state.decisions)
                return False
            await self._force(stage, action, task, force)
            return True
        return False

    async def _is_down(self, stage: Stage, action: Action, decision: Decision) -> bool:
        """Declare the place of a wait down that can read nothing, if nothing there answers."""
        if not self._is_unreadable(action):
            return False
        reason = await declare_down(self._run, stage, action.place, decision)
        self._unended.pop(action, None)
        return reason is None

    async def _force(
        self, stage: Stage, action: Action, task: asyncio.Task[Failure | None], decision: Decision
    ) -> None:
        """End one wait, and record what remained."""
        remaining = await self._read(stage, action)
        there = describe_remaining(remaining) if remaining else f"{action.place}: {NOT_READABLE}"
        await _cancel(task)
        message = f"{decision.author} ended the wait at {action.place}: {decision.reason}"
        finding = Finding(
            name="wait_forced",
            place=action.place,
            seen=there,
            expected="no session, and an empty event queue",
            advice="inform the clients: their transfers in progress may fail",
            severity=Severity.WARNS,
        )
        self._tracker.add_exception(f"{message}; remaining: {there}")
        self._tracker.done(stage, action, seen(action, message, workflow.now(), (finding,)))

    async def _read(self, stage: Stage, action: Action) -> Remaining | None:
        """Read once what remains; None where it cannot be read."""
        kind = ReadSessions if isinstance(action, AwaitSessions) else ReadQueue
        try:
            return await self._run.dispatcher.read_remaining(kind(node=action.place), stage.key)
        except ActivityError:
            return None

    def _decided(self, stage: Stage, action: Action) -> bool:
        """Whether an operator ends this wait."""
        forced = self._state.forced(stage, action.place)
        return (forced or self._state.skipped(stage, action.place)) is not None

    def _allowed(self, stage: Stage, action: Action) -> timedelta:
        return self._timing.drain_timeout + self._state.extension(stage, action.place)


def describe_remaining(remaining: Remaining) -> str:
    """Name by node, protocol and account, or by event, what remains."""
    if isinstance(remaining, RemainingSessions):
        counts = [f"{n} {protocol}" for protocol, n in remaining.connections.items() if n]
        parts = [", ".join(counts), ", ".join(remaining.accounts)]
    else:
        events = f"{remaining.events} events" if remaining.events else ""
        active = f"{remaining.active} active" if remaining.active else ""
        parts = [events, active, ", ".join(remaining.queued)]
    message = "; ".join(part for part in parts if part)
    return f"{remaining.node}: {message or remaining.error or 'nothing was visible'}"


async def _cancel(task: asyncio.Task[Failure | None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _open(tasks: Tasks, ended: set[Action]) -> list[Action]:
    return [action for action, task in tasks.items() if not task.done() and action not in ended]
