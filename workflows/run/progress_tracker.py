"""How far everything is: the one place that changes a run's progress."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from workflows.model.actions import WAITS, Action
from workflows.model.findings import Finding
from workflows.model.outcome import StageOutcome
from workflows.model.progress import (
    ActionProgress,
    Failure,
    PendingQuestion,
    Progress,
    RunStatus,
    StageProgress,
    Status,
)
from workflows.model.results import Report
from workflows.model.stages import StageName
from workflows.planning.plan import Plan, Stage, Wave
from workflows.run.node_progress import node_progress

OVER = (Status.DONE, Status.SKIPPED)


class ProgressTracker:
    """Keeps every order's and stage's progress, and the clocks of working time."""

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        now: Callable[[], datetime],
        show: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._now = now
        self._show = show
        self._progress = progress
        self._stages: dict[str, StageProgress] = {}
        self._undo: list[str] = []
        """The names of the stages that take others back."""
        self._rolling_back = False
        self._workers: Counter[str] = Counter()
        """How many chains of orders work in a stage now: people's time is not counted."""
        self._since: dict[str, datetime] = {}
        self._worked: dict[str, timedelta] = {}
        self._entered: list[Stage] = []
        self._waiting: list[PendingQuestion] = []
        self._failures: dict[str, list[Failure]] = {}
        self._add(plan.stages)
        self.drained = timedelta()

    @property
    def progress(self) -> Progress:
        """Everything as it stands."""
        return self._progress.model_copy(
            update={
                "stages": self._of(undo=False),
                "nodes": node_progress(self._plan, self._action_status),
                "undo": self._of(undo=True),
                "state": self._state(),
                "waiting": self._waiting[0] if self._waiting else None,
                "also_waiting": tuple(self._waiting[1:]),
            }
        )

    def _action_status(self, stage: Stage, action: Action) -> Status:
        actions = self._stages[stage.key].actions
        return next(one.status for one in actions if one.key == action.key)

    def status(self, name: StageName) -> Status:
        """How far a stage of the plan is."""
        return self._stages[name.value].status

    def is_over(self, stage: Stage) -> bool:
        """Whether every order of the stage has ended, or was left out."""
        return self._stages[stage.key].status in OVER

    def turn_back(self, stages: tuple[Stage, ...]) -> None:
        """From now on the run is taken back: what was under way goes no further."""
        self._end_all()
        self._undo = [stage.key for stage in stages]
        self._rolling_back = True
        self._add(stages)
        self._show()

    def enter(self, stage: Stage) -> None:
        """The run turns to a stage; of several at once the earliest is shown."""
        self._entered.append(stage)
        self._show_stage()

    def work(self, stage: Stage) -> None:
        """Orders of the stage begin, or go on after a wait for someone."""
        if not self._workers[stage.key]:
            self._since[stage.key] = self._now()
        self._workers[stage.key] += 1
        self._set_status(stage, Status.RUNNING)

    def rest(self, stage: Stage) -> None:
        """Orders of the stage wait for someone."""
        self._workers[stage.key] -= 1
        if not self._workers[stage.key]:
            self._stop_clock(stage.key)

    def finish(self, stage: Stage) -> None:
        """This chain has no more orders of the stage; perhaps another has."""
        self.rest(stage)
        actions = self._stages[stage.key].actions
        if all(action.status in OVER for action in actions):
            none_done = actions and all(action.status is Status.SKIPPED for action in actions)
            self._set_status(stage, Status.SKIPPED if none_done else Status.DONE)

    def leave(self, stage: Stage) -> None:
        """The run turns away from a stage."""
        self._entered.remove(stage)
        self._show_stage()

    def wait(self, stage: Stage, waiting: PendingQuestion) -> None:
        """The run begins to wait for someone."""
        self._waiting.append(waiting)
        self._set_status(stage, Status.WAITING)

    def answered(self, waiting: PendingQuestion) -> None:
        """That wait is over."""
        self._waiting = [one for one in self._waiting if one is not waiting]
        self._show()

    def update_waiting(self, waiting: PendingQuestion, **changes: object) -> PendingQuestion:
        """Some, but not all, of what is waited for has come."""
        fresh = waiting.model_copy(update=changes)
        self._waiting = [fresh if one is waiting else one for one in self._waiting]
        if fresh != waiting:
            self._show()
        return fresh

    def begin(self, stage: Stage, action: Action, round_: int) -> None:
        """An order is being carried out."""
        self._set_order(
            stage,
            action,
            status=Status.RUNNING,
            round=round_,
            activity_id=action.activity_id(round_),
        )

    def done(self, stage: Stage, action: Action, report: Report) -> None:
        """An order ended well."""
        self._set_order(stage, action, status=Status.DONE, report=report, failure=None)

    def failed(self, stage: Stage, action: Action, failure: Failure) -> None:
        """An order did not end well."""
        self._failures.setdefault(stage.key, []).append(failure)
        self._set_order(stage, action, status=Status.FAILED, failure=failure)

    def leave_out(self, stage: Stage, action: Action) -> None:
        """An order is not done, since someone said so; what failed of it stays in the record."""
        self._set_order(stage, action, status=Status.SKIPPED, failure=None)

    def add_findings(self, findings: tuple[Finding, ...]) -> None:
        """Something was found that the operator should know."""
        fresh = tuple(f for f in findings if f not in self._progress.findings)
        self._update(findings=self._progress.findings + fresh)

    def add_exception(self, message: str) -> None:
        """Someone weakened the promise; the outcome says so."""
        if message not in self._progress.exceptions:
            self._update(exceptions=(*self._progress.exceptions, message))

    def waited_out(self, wave: Wave, since: datetime) -> None:
        """A wave has ended; when it only waited for clients, its time is the drain's."""
        if wave and all(isinstance(action, WAITS) for action in wave):
            self.drained += self._now() - since

    def close(self, outcome: str) -> None:
        """The run is over; what never began is left out."""
        self._end_all()
        self._update(outcome=outcome)

    def outcomes(self, *, undo: bool) -> tuple[StageOutcome, ...]:
        """What every stage came to, with all its reports and every fault on the way."""
        return tuple(
            StageOutcome(
                stage=stage.stage,
                status=stage.status,
                seconds=self._seconds(name),
                reports=tuple(
                    action.report for action in stage.actions if action.report is not None
                ),
                failures=tuple(self._failures.get(name, ())),
            )
            for name, stage in self._stages.items()
            if (name in self._undo) is undo
        )

    def _end_all(self) -> None:
        for name in list(self._since):
            self._stop_clock(name)
        self._workers.clear()
        self._entered.clear()
        self._waiting.clear()
        self._stages = {name: _closed(stage) for name, stage in self._stages.items()}

    def _stop_clock(self, name: str) -> None:
        worked = self._now() - self._since.pop(name)
        self._worked[name] = self._worked.get(name, timedelta()) + worked

    def _seconds(self, name: str) -> float:
        return self._worked.get(name, timedelta()).total_seconds()

    def _state(self) -> RunStatus:
        kinds = {waiting.kind for waiting in self._waiting}
        if "decision" in kinds:
            return RunStatus.WAITING_FOR_DECISION
        if "approval" in kinds:
            return RunStatus.WAITING_FOR_APPROVAL
        over = self._progress.outcome is not None
        return RunStatus.ROLLING_BACK if self._rolling_back and not over else RunStatus.RUNNING

    def _of(self, *, undo: bool) -> tuple[StageProgress, ...]:
        return tuple(s for name, s in self._stages.items() if (name in self._undo) is undo)

    def _add(self, stages: Iterable[Stage]) -> None:
        self._stages |= {stage.key: _pending(stage) for stage in stages}

    def _show_stage(self) -> None:
        if self._entered:
            earliest = min(self._entered, key=lambda stage: stage.name.number)
            self._update(stage=earliest.name)
        else:
            self._show()

    def _set_status(self, stage: Stage, status: Status) -> None:
        over = status in (*OVER, Status.FAILED)
        seconds = self._seconds(stage.key) if over else None
        known = self._stages[stage.key]
        self._stages[stage.key] = known.model_copy(update={"status": status, "seconds": seconds})
        self._show()

    def _set_order(self, stage: Stage, action: Action, **changes: object) -> None:
        known = self._stages[stage.key]
        actions = tuple(
            one.model_copy(update=changes) if one.key == action.key else one
            for one in known.actions
        )
        self._stages[stage.key] = known.model_copy(update={"actions": actions})
        self._show()

    def _update(self, **changes: object) -> None:
        self._progress = self._progress.model_copy(update=changes)
        self._show()


def _pending(stage: Stage) -> StageProgress:
    return StageProgress(
        stage=stage.name,
        number=stage.name.number,
        title=stage.title,
        gated=stage.gated,
        actions=tuple(
            ActionProgress(key=action.key, place=action.place, message=str(action))
            for action in stage.actions
        ),
    )


def _closed(stage: StageProgress) -> StageProgress:
    if stage.status in OVER:
        return stage
    actions = tuple(
        action.model_copy(update={"status": Status.SKIPPED})
        if action.status is Status.PENDING
        else action
        for action in stage.actions
    )
    # A stage that only waited at its gate did not fail.
    none_begun = all(action.status is Status.SKIPPED for action in actions)
    status = Status.SKIPPED if none_begun else Status.FAILED
    return stage.model_copy(update={"status": status, "actions": actions})
