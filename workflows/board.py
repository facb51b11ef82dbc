"""How far everything is: the one place that changes a run's progress."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from workflows.errands import WAITS, activity_id
from workflows.orders import Order
from workflows.plan import Plan, Wave
from workflows.progress import (
    Fault,
    OrderProgress,
    Progress,
    RunState,
    StageOutcome,
    StageProgress,
    Step,
    Waiting,
)
from workflows.reports import Finding, Report
from workflows.stages import Slug


class Board:
    """Keeps every order's and stage's progress, and the clock of working time."""

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        now: Callable[[], datetime],
        show: Callable[[], None],
    ) -> None:
        self._now = now
        self._show = show
        self._progress = progress.model_copy(update={"stages": _pending(plan)})
        self._resumed: datetime | None = None
        """Since when the stage at work has been working; None while it waits for someone."""
        self._worked = dict.fromkeys(Slug, timedelta())
        self._faults: dict[Slug, list[Fault]] = {slug: [] for slug in Slug}
        self.drained = timedelta()

    @property
    def progress(self) -> Progress:
        """Everything as it stands."""
        return self._progress

    @property
    def stage(self) -> Slug:
        """The stage that the run is in."""
        return self._progress.stage

    def enter(self, stage: Slug) -> None:
        """The run turns to a stage."""
        self._update(stage=stage)

    def work(self) -> None:
        """Orders of the stage begin, or go on after a wait for someone."""
        self._set_stage(Step.RUNNING)
        self._update(state=RunState.RUNNING, waiting=None)
        self._resumed = self._now()

    def wait(self, waiting: Waiting) -> None:
        """The run begins to wait for someone; the stage's clock stands still."""
        self._stop_clock()
        self._set_stage(Step.WAITING)
        states = {
            "approval": RunState.WAITING_FOR_APPROVAL,
            "decision": RunState.WAITING_FOR_DECISION,
        }
        self._update(state=states[waiting.kind], waiting=waiting)

    def update_waiting(self, **changes: object) -> None:
        """Some, but not all, of what is waited for has come."""
        if self._progress.waiting is not None:
            self._update(waiting=self._progress.waiting.model_copy(update=changes))

    def leave(self) -> None:
        """Every order of the stage has ended well."""
        self._stop_clock()
        self._set_stage(Step.DONE)

    def begin(self, order: Order, round_: int) -> None:
        """An order is being carried out."""
        self._set_order(
            order, step=Step.RUNNING, round=round_, activity_id=activity_id(order, round_)
        )

    def done(self, order: Order, report: Report) -> None:
        """An order ended well."""
        self._set_order(order, step=Step.DONE, report=report, fault=None)

    def failed(self, order: Order, fault: Fault) -> None:
        """An order did not end well."""
        self._faults[self.stage].append(fault)
        self._set_order(order, step=Step.FAULT, fault=fault)

    def add_findings(self, findings: tuple[Finding, ...]) -> None:
        """Something was found that the operator should know."""
        fresh = tuple(f for f in findings if f not in self._progress.findings)
        self._update(findings=self._progress.findings + fresh)

    def waited_out(self, wave: Wave, since: datetime) -> None:
        """A wave has ended; when it only waited for clients, its time is the drain's."""
        if wave and all(isinstance(order, WAITS) for order in wave):
            self.drained += self._now() - since

    def close(self, outcome: str) -> None:
        """The run is over; what never began is left out."""
        self._stop_clock()
        stages = tuple(
            stage
            if stage.step is Step.DONE
            else stage.model_copy(
                update={
                    "step": Step.LEFT_OUT if stage.step is Step.PENDING else Step.FAULT,
                    "orders": tuple(
                        order.model_copy(update={"step": Step.LEFT_OUT})
                        if order.step is Step.PENDING
                        else order
                        for order in stage.orders
                    ),
                }
            )
            for stage in self._progress.stages
        )
        self._update(stages=stages, outcome=outcome, waiting=None, state=RunState.RUNNING)

    def outcomes(self) -> tuple[StageOutcome, ...]:
        """What every stage came to, with all its reports and every fault on the way."""
        return tuple(
            StageOutcome(
                stage=stage.stage,
                step=stage.step,
                seconds=self._worked[stage.stage].total_seconds(),
                reports=tuple(order.report for order in stage.orders if order.report is not None),
                faults=tuple(self._faults[stage.stage]),
            )
            for stage in self._progress.stages
        )

    def _stop_clock(self) -> None:
        if self._resumed is not None:
            self._worked[self.stage] += self._now() - self._resumed
            self._resumed = None

    def _set_stage(self, step: Step) -> None:
        worked = self._worked[self.stage].total_seconds()
        over = step in (Step.DONE, Step.FAULT)
        self._update(
            stages=tuple(
                stage.model_copy(update={"step": step, "seconds": worked if over else None})
                if stage.stage is self.stage
                else stage
                for stage in self._progress.stages
            )
        )

    def _set_order(self, order: Order, **changes: object) -> None:
        stages = list(self._progress.stages)
        stage = stages[self.stage.number]
        orders = tuple(
            known.model_copy(update=changes) if known.key == order.key else known
            for known in stage.orders
        )
        stages[self.stage.number] = stage.model_copy(update={"orders": orders})
        self._update(stages=tuple(stages))

    def _update(self, **changes: object) -> None:
        self._progress = self._progress.model_copy(update=changes)
        self._show()


def _pending(plan: Plan) -> tuple[StageProgress, ...]:
    return tuple(
        StageProgress(
            stage=stage.slug,
            number=stage.slug.number,
            title=stage.title,
            gated=stage.gated,
            orders=tuple(
                OrderProgress(key=order.key, place=order.place, words=str(order))
                for order in stage.orders
            ),
        )
        for stage in plan.stages
    )
