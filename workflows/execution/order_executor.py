"""How one order is carried out: after a pause, on a living node, as often as it takes."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from workflows.errors import UNSETTLED, OutcomeUnknown
from workflows.execution.context import Run
from workflows.execution.dispatch import is_effect
from workflows.execution.gates import People
from workflows.model.actions.change import (
    AwaitQueue,
    AwaitWorkInHand,
    LookForOrphans,
    Order,
    Redirect,
    StartMonitor,
    StopRemaining,
)
from workflows.model.estate import Kind
from workflows.model.progress import Fault
from workflows.model.results import Report, unchanged
from workflows.planning.plan import Stage


class _CalledBackError(Exception):
    """A pause kept an order from ending."""


class Carrier:
    """Has orders carried out, and keeps the board and the memory right about them."""

    def __init__(self, run: Run, people: People) -> None:
        self._plan, self._board, self._desk = run.plan, run.board, run.desk
        self._memory, self._errands = run.memory, run.errands
        self._people = people
        self._rounds: dict[tuple[str, str], int] = {}

    async def carry_out(self, stage: Stage, order: Order) -> Fault | None:
        """Have it done, unless someone said otherwise; return what kept it from ending well."""
        while True:
            await self._people.unpaused()
            if self._left_out(stage, order):
                return None
            round_ = self._rounds.get((stage.name, order.key), 1)
            self._board.begin(stage, order, round_)
            self._memory.register(stage, order)
            try:
                report = self._spared(stage, order) or await self._attempt(stage, order, round_)
            except _CalledBackError:
                continue  # the pause, not the estate, kept it from ending
            except ActivityError as error:
                if isinstance(error.cause, CancelledError):
                    raise
                fault = fault_of(order, error)
                self._board.failed(stage, order, fault)
                return fault
            self._note(stage, order, report)
            return None

    def settle(self, stage: Stage, order: Order, fault: Fault) -> None:
        """Make a retry a new round, but only where the last one's outcome is known."""
        if fault.settled:
            key = (stage.name, order.key)
            self._rounds[key] = self._rounds.get(key, 1) + 1

    def _note(self, stage: Stage, order: Order, report: Report) -> None:
        if isinstance(order, Redirect) and not stage.undo:
            moved = self._errands.redirected_at
            self._errands.redirected_at = max(report.at, moved or report.at)
        self._board.add_findings(report.findings)
        self._board.done(stage, order, report)

    async def _attempt(self, stage: Stage, order: Order, round_: int) -> Report:
        """Wait for the report; a pause calls an effect back that waits to be tried again.

        An attempt that is under way finishes all the same (see ``worker.conduct``). Whatever then
        keeps it from ending, the engine tries it no more: it is carried out again, as the same
        operation, after the pause.
        """
        living = self._living(order)
        if not is_effect(order):
            return await self._errands.carry_out(living, stage.name, round_)
        work = asyncio.create_task(self._errands.carry_out(living, stage.name, round_))
        await workflow.wait_condition(lambda: work.done() or self._desk.paused)
        if work.done():
            return await work
        work.cancel()
        try:
            return await work
        except ActivityError as error:
            if isinstance(error.cause, CancelledError) or not fault_of(order, error).settled:
                raise _CalledBackError from error
            raise

    def _left_out(self, stage: Stage, order: Order) -> bool:
        """Whether someone skipped it, or its node is counted as down."""
        skip = None if stage.undo else self._desk.skipped(stage.slug, order.place)
        if skip is not None:
            self._board.add_exception(f"{skip.by or 'someone'} skipped {order}: {skip.reason}")
            self._board.leave_out(stage, order)
            return True
        if order.place in self._memory.dead and self._living(order) is order:
            self._board.leave_out(stage, order)
            return True
        return False

    def _spared(self, stage: Stage, order: Order) -> Report | None:
        """Say of an order that its wished state holds, where that is known without asking."""
        now = workflow.now()
        if isinstance(order, StartMonitor) and not self._memory.baseline.monitor_ran(order.node):
            words = f"the Monitor of {order.node} did not run at the baseline and stays so"
            return unchanged(order, words, now)
        gone = order.place in self._memory.gone and not stage.undo
        if gone and not isinstance(order, StopRemaining) and self._living(order) is order:
            return unchanged(order, f"nothing runs on {order.place} any more", now)
        return None

    def _living(self, order: Order) -> Order:
        """Ask another Server about what is the whole cluster's, where this one cannot answer."""
        silent = {*self._memory.dead, *self._memory.gone}
        shared = isinstance(order, AwaitQueue | AwaitWorkInHand | LookForOrphans)
        if not shared or order.place not in silent:
            return order
        cluster = self._plan.estate.cluster_of(order.place)
        others = [n.name for n in cluster.nodes if n.kind is Kind.SERVER and n.name not in silent]
        return order.model_copy(update={"node": others[0]}) if others else order


def fault_of(order: Order, error: ActivityError) -> Fault:
    """Say why an order failed; what did not end by its own word is unknown."""
    cause: BaseException | None = error.cause
    while cause is not None and not isinstance(cause, ApplicationError) and cause.__cause__:
        cause = cause.__cause__  # a timeout keeps the last attempt's failure there
    if isinstance(cause, ApplicationError):
        kind = cause.type or OutcomeUnknown.__name__
        words = cause.message
    else:
        kind = OutcomeUnknown.__name__
        words = f"no answer: {cause or error}"
    settled = kind not in UNSETTLED
    return Fault(order=order.key, place=order.place, kind=kind, words=words, settled=settled)
