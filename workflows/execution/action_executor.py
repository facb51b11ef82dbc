"""How one order is carried out: after a pause, on a living node, as often as it takes."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from workflows.errors import UNSETTLED, OutcomeUnknown
from workflows.execution.context import Run
from workflows.execution.gates import Gates
from workflows.model.actions import (
    Action,
    AwaitInFlightEvents,
    AwaitQueue,
    Change,
    FindOrphanedFiles,
    Redirect,
    StartMonitor,
    StopRemaining,
)
from workflows.model.estate import Kind
from workflows.model.progress import Failure
from workflows.model.results import Report, unchanged
from workflows.planning.plan import Stage


class _CalledBackError(Exception):
    """A pause kept an order from ending."""


class ActionExecutor:
    """Has orders carried out, and keeps the board and the memory right about them."""

    def __init__(self, run: Run, gates: Gates) -> None:
        self._plan, self._tracker, self._inbox = run.plan, run.tracker, run.inbox
        self._state, self._dispatcher = run.state, run.dispatcher
        self._gates = gates
        self._rounds: dict[tuple[str, str], int] = {}

    async def execute(self, stage: Stage, action: Action) -> Failure | None:
        """Have it done, unless someone said otherwise; return what kept it from ending well."""
        while True:
            await self._gates.wait_while_paused()
            if self._left_out(stage, action):
                return None
            round_ = self._rounds.get((stage.key, action.key), 1)
            self._tracker.begin(stage, action, round_)
            self._state.register(stage, action)
            try:
                report = self._spared(stage, action) or await self._attempt(stage, action, round_)
            except _CalledBackError:
                continue  # the pause, not the estate, kept it from ending
            except ActivityError as error:
                if isinstance(error.cause, CancelledError):
                    raise
                failure = fault_of(action, error)
                self._tracker.failed(stage, action, failure)
                return failure
            self._note(stage, action, report)
            return None

    def settle(self, stage: Stage, action: Action, failure: Failure) -> None:
        """Make a retry a new round, but only where the last one's outcome is known."""
        if failure.outcome_known:
            key = (stage.key, action.key)
            self._rounds[key] = self._rounds.get(key, 1) + 1

    def _note(self, stage: Stage, action: Action, report: Report) -> None:
        if isinstance(action, Redirect) and not stage.undo:
            moved = self._dispatcher.redirected_at
            self._dispatcher.redirected_at = max(report.at, moved or report.at)
        self._tracker.add_findings(report.findings)
        self._tracker.done(stage, action, report)

    async def _attempt(self, stage: Stage, action: Action, round_: int) -> Report:
        """Wait for the report; a pause calls an effect back that waits to be tried again.

        An attempt that is under way finishes all the same (see ``worker.conduct``). Whatever then
        keeps it from ending, the engine tries it no more: it is carried out again, as the same
        operation, after the pause.
        """
        living = self._living(action)
        if not isinstance(action, Change):
            return await self._dispatcher.execute(living, stage.key, round_)
        work = asyncio.create_task(self._dispatcher.execute(living, stage.key, round_))
        await workflow.wait_condition(lambda: work.done() or self._inbox.paused)
        if work.done():
            return await work
        work.cancel()
        try:
            return await work
        except ActivityError as error:
            if isinstance(error.cause, CancelledError) or not fault_of(action, error).outcome_known:
                raise _CalledBackError from error
            raise

    def _left_out(self, stage: Stage, action: Action) -> bool:
        """Whether someone skipped it, or its node is counted as down."""
        skip = None if stage.undo else self._inbox.skipped(stage.name, action.place)
        if skip is not None:
            self._tracker.add_exception(f"{skip.by or 'someone'} skipped {action}: {skip.reason}")
            self._tracker.leave_out(stage, action)
            return True
        if action.place in self._state.dead and self._living(action) is action:
            self._tracker.leave_out(stage, action)
            return True
        return False

    def _spared(self, stage: Stage, action: Action) -> Report | None:
        """Say of an order that its wished state holds, where that is known without asking."""
        now = workflow.now()
        if isinstance(action, StartMonitor) and not self._state.baseline.monitor_ran(action.node):
            message = f"the Monitor of {action.node} did not run at the baseline and stays so"
            return unchanged(action, message, now)
        gone = action.place in self._state.gone and not stage.undo
        if gone and not isinstance(action, StopRemaining) and self._living(action) is action:
            return unchanged(action, f"nothing runs on {action.place} any more", now)
        return None

    def _living(self, action: Action) -> Action:
        """Ask another Server about what is the whole cluster's, where this one cannot answer."""
        silent = {*self._state.dead, *self._state.gone}
        shared = isinstance(action, AwaitQueue | AwaitInFlightEvents | FindOrphanedFiles)
        if not shared or action.place not in silent:
            return action
        cluster = self._plan.estate.cluster_of(action.place)
        others = [n.name for n in cluster.nodes if n.kind is Kind.SERVER and n.name not in silent]
        return action.model_copy(update={"node": others[0]}) if others else action


def fault_of(action: Action, error: ActivityError) -> Failure:
    """Say why an order failed; what did not end by its own word is unknown."""
    cause: BaseException | None = error.cause
    while cause is not None and not isinstance(cause, ApplicationError) and cause.__cause__:
        cause = cause.__cause__  # a timeout keeps the last attempt's failure there
    if isinstance(cause, ApplicationError):
        kind = cause.type or OutcomeUnknown.__name__
        message = cause.message
    else:
        kind = OutcomeUnknown.__name__
        message = f"no answer: {cause or error}"
    outcome_known = kind not in UNSETTLED
    return Failure(
        action=action.key,
        place=action.place,
        kind=kind,
        message=message,
        outcome_known=outcome_known,
    )
