"""The runbook at work: stage by stage, wave by wave, asking people where they must be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from workflows import policies
from workflows.board import Board
from workflows.desk import Desk
from workflows.errands import WAITS, Errands
from workflows.errors import UNSETTLED, NotReady, OutcomeUnknown
from workflows.orders import Order, Redirect, StartMonitor
from workflows.plan import Plan, Stage, Wave
from workflows.prerequisites import blocking, objections
from workflows.progress import Fault, Waiting
from workflows.reports import (
    Finding,
    NodeReading,
    Reading,
    Report,
    Service,
    State,
    seen,
    unchanged,
)
from workflows.request import Request
from workflows.stages import DECIDED_TOGETHER, Slug

VISIBLE = timedelta(days=30)
"""A wait shows in the Web UI's timeline only if it has a timer: this one just starts again."""

WITHOUT_SCHEDULING = (Slug.STOP_SCHEDULING, Slug.START_SCHEDULING)
"""Between the first effect of the one and the end of the other nobody may leave."""


class Ended(Exception):
    """Someone ended the run; nothing is undone."""


class Execution:
    """Executes one plan, as it stands."""

    def __init__(
        self, plan: Plan, request: Request, board: Board, desk: Desk, errands: Errands
    ) -> None:
        self._plan = plan
        self._request = request
        self._board = board
        self._desk = desk
        self._errands = errands
        self._baseline: dict[str, Reading] = {}
        self._begun: set[Slug] = set()
        self._rounds: dict[Order, int] = {}
        self._waited = timedelta()
        """How long people were waited for since the last look at the estate."""
        self.accepted: tuple[Finding, ...] = ()
        """Findings that would have stopped the run, had nobody accepted them."""

    async def run(self) -> None:
        """Do everything; Ended where someone ended it, NotReady where a prerequisite fails."""
        for stage in self._plan.stages:
            await self._see_through(stage)

    async def _see_through(self, stage: Stage) -> None:
        self._board.enter(stage.slug)
        for gate in DECIDED_TOGETHER.get(stage.slug, (stage.slug,)):
            await self._pass_gate(gate)
        await self._look_again(stage.slug)
        self._leave_if_told(stage.slug)
        self._board.work()
        if stage.slug is Slug.CHECK_PREREQUISITES:
            await self._check(stage)
        else:
            self._begun.add(stage.slug)
            for wave in stage.waves:
                self._leave_if_told(stage.slug)
                since = workflow.now()
                await self._run_wave(stage.slug, wave)
                self._board.waited_out(wave, since)
        self._board.leave()

    async def _check(self, stage: Stage) -> None:
        """Read everything at once; all that speaks against the run fails it together."""
        for order in stage.orders:
            self._board.begin(order, 1)
        readings, found = await self._observe(stage.orders)
        self._baseline = {reading.place: reading for reading in readings}
        now = workflow.now()
        for order in stage.orders:
            self._board.done(order, seen(order, f"looked at {order.place}", now))
        standing = self._judge(readings, found)
        if standing:
            raise NotReady("; ".join(map(str, standing)))

    async def _look_again(self, stage: Slug) -> None:
        """After a long wait for people, see that what has to be true still is."""
        while self._waited > policies.LONG_WAIT:
            self._waited = timedelta()
            readings, found = await self._observe(self._still_observable())
            standing = self._judge(readings, found)
            if not standing:
                return
            words = "; ".join(map(str, standing))
            fault = Fault(
                order="look_again", place=stage, kind=NotReady.__name__, words=words, settled=True
            )
            await self._ask(stage, (fault,), f"while someone was waited for: {words}")
            self._waited = max(self._waited, 2 * policies.LONG_WAIT)

    def _still_observable(self) -> tuple[Order, ...]:
        """Stage 0's observations, less those of nodes that this run has shut down."""
        down = (
            {node.name for node in self._plan.estate.cluster(self._plan.source).nodes}
            if Slug.STOP_REMAINING_SERVICES in self._begun
            else set()
        )
        orders = self._plan.stage(Slug.CHECK_PREREQUISITES).orders
        return tuple(order for order in orders if order.place not in down)

    async def _observe(
        self, orders: Sequence[Order]
    ) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
        """Bring every reading; one that could not be made at all is a finding."""
        results = await asyncio.gather(
            *(self._errands.observe(order, Slug.CHECK_PREREQUISITES) for order in orders),
            return_exceptions=True,
        )
        readings: list[Reading] = []
        found: list[Finding] = []
        for order, result in zip(orders, results, strict=True):
            if isinstance(result, ActivityError):
                found.append(_no_reading(order, result))
            elif isinstance(result, BaseException):
                raise result
            else:
                readings.append(result)
        return tuple(readings), tuple(found)

    def _judge(
        self, readings: tuple[Reading, ...], found: tuple[Finding, ...]
    ) -> tuple[Finding, ...]:
        """Post every finding; return the ones that stop the run."""
        findings = found + objections(self._plan, readings, frozenset(self._begun))
        self._board.add_findings(findings)
        standing = blocking(findings, self._request.accept)
        self.accepted += tuple(f for f in blocking(findings) if f not in standing)
        return standing

    async def _run_wave(self, stage: Slug, wave: Wave) -> None:
        """Carry every order out; a retry concerns only those that failed."""
        faults = await self._together(stage, wave)
        while faults:
            words = "; ".join(f"{fault.place}: {fault.words}" for fault in faults.values())
            await self._ask(stage, tuple(faults.values()), words)
            places = {retry.node for retry in self._desk.take_retries()}
            await self._look_again(stage)
            again = tuple(o for o in faults if None in places or o.place in places)
            for order in again:
                if faults[order].settled:
                    self._rounds[order] = self._rounds.get(order, 1) + 1
            rest = {order: fault for order, fault in faults.items() if order not in again}
            faults = rest | await self._together(stage, again)

    async def _together(self, stage: Slug, orders: Wave) -> dict[Order, Fault]:
        """Let every order end, and only then say which did not end well."""
        tasks = [asyncio.create_task(self._carry_out(stage, order)) for order in orders]
        if orders and all(isinstance(order, WAITS) for order in orders):
            await self._patiently(stage, tasks)
        faults = await asyncio.gather(*tasks)
        return {o: f for o, f in zip(orders, faults, strict=True) if f is not None}

    async def _patiently(self, stage: Slug, tasks: Sequence[asyncio.Task[Fault | None]]) -> None:
        """Wait for clients, and ask when patience runs out; the watching goes on meanwhile."""
        patience = self._plan.estate.timing.patience

        def ended() -> bool:
            return all(task.done() for task in tasks)

        while not await self._until(
            lambda: ended() or self._may_leave(stage), patience, f"patience of {stage}"
        ):
            words = f"patience of {patience} has run out and {stage} still waits"
            await self._ask(stage, (), f"{words}; retry waits as long again", ended)
            self._desk.take_retries()
        if not ended():
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._leave_if_told(stage)

    async def _carry_out(self, stage: Slug, order: Order) -> Fault | None:
        round_ = self._rounds.get(order, 1)
        self._board.begin(order, round_)
        try:
            report = self._spared(order) or await self._errands.carry_out(order, stage, round_)
        except ActivityError as error:
            fault = _fault(order, error)
            self._board.failed(order, fault)
            return fault
        if isinstance(order, Redirect):
            self._errands.redirected_at = max(report.at, self._errands.redirected_at or report.at)
        self._board.add_findings(report.findings)
        self._board.done(order, report)
        return None

    def _spared(self, order: Order) -> Report | None:
        """A Monitor that did not run at the baseline is not started."""
        reading = self._baseline.get(order.place)
        if isinstance(order, StartMonitor) and isinstance(reading, NodeReading):
            state = reading.services.get(Service.MONITOR, State.UNKNOWN)
            if state is not State.RUNNING:
                words = f"the Monitor of {order.node} was {state} at the baseline and stays so"
                return unchanged(order, words, workflow.now())
        return None

    async def _pass_gate(self, gate: Slug) -> None:
        """Wait until a gate is approved; Ended where it is rejected."""
        if not self._plan.stage(gate).gated:
            return
        expires = self._request.expires_after
        while not self._desk.is_open(gate) and self._desk.rejection(gate) is None:
            self._leave_if_told(gate)
            self._board.wait(self._at_gate(gate))
            in_time = await self._for_people(
                lambda: self._gate_answered(gate), expires, f"approval of {gate}"
            )
            if not in_time and self._request.on_expiry == "reject":
                raise Ended(f"nobody approved {gate} within {expires}; nothing was undone")
        rejection = self._desk.rejection(gate)
        if rejection is not None:
            who = rejection.by or "someone"
            raise Ended(f"{who} rejected {gate}: {rejection.reason}; nothing was undone")

    def _at_gate(self, gate: Slug) -> Waiting:
        needed = self._request.approvals_needed
        people = ", ".join(self._request.approvers) or "anyone"
        return Waiting(
            kind="approval",
            stage=gate,
            since=workflow.now(),
            words=f"{gate} needs {needed} approval(s), by {people}",
            answers=("approve", "reject"),
            approved_by=self._desk.approved_by(gate),
        )

    def _gate_answered(self, gate: Slug) -> bool:
        self._board.update_waiting(approved_by=self._desk.approved_by(gate))
        answered = self._desk.is_open(gate) or self._desk.rejection(gate) is not None
        return answered or self._may_leave(gate)

    async def _ask(
        self,
        stage: Slug,
        faults: tuple[Fault, ...],
        words: str,
        settled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Wait for a decision, or until there is nothing left to decide."""
        self._desk.deciding(stage, faults)
        stay = self._desk.aborted is not None
        self._board.wait(
            Waiting(
                kind="decision",
                stage=stage,
                since=workflow.now(),
                words=f"{words} (aborts after {Slug.START_SCHEDULING})" if stay else words,
                answers=("retry",) if stay else ("retry", "abort"),
            )
        )
        await self._for_people(
            lambda: self._desk.has_retry or self._may_leave(stage) or settled(),
            None,
            f"decision about {stage}",
        )
        self._desk.decided()
        self._leave_if_told(stage)
        self._board.work()

    async def _for_people(
        self, condition: Callable[[], bool], at_most: timedelta | None, summary: str
    ) -> bool:
        """Wait for people and remember how long; whether the condition came in time."""
        since = workflow.now()
        in_time = await self._until(condition, at_most or VISIBLE, summary)
        while not in_time and at_most is None:  # the timer is there to be seen
            in_time = await self._until(condition, VISIBLE, summary)
        self._waited += workflow.now() - since
        return in_time

    async def _until(self, condition: Callable[[], bool], at_most: timedelta, summary: str) -> bool:
        try:
            await workflow.wait_condition(condition, timeout=at_most, timeout_summary=summary)
        except TimeoutError:
            return False
        return True

    def _may_leave(self, stage: Slug) -> bool:
        """Whether an abort takes effect here: never without scheduling anywhere."""
        without = stage in WITHOUT_SCHEDULING and Slug.STOP_SCHEDULING in self._begun
        return self._desk.aborted is not None and not without

    def _leave_if_told(self, stage: Slug) -> None:
        if self._may_leave(stage) and self._desk.aborted is not None:
            who, why = self._desk.aborted.by or "someone", self._desk.aborted.reason
            raise Ended(f"{who} aborted before {stage} was done: {why}; nothing was undone")


def _fault(order: Order, error: ActivityError) -> Fault:
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


def _no_reading(order: Order, error: ActivityError) -> Finding:
    fault = _fault(order, error)
    return Finding(
        name="no_reading",
        place=order.place,
        seen=f"{fault.kind}: {fault.words}",
        expected="a reading",
        advice="look at the worker's log",
    )
