"""Record in a run's state how far every stage and action is, and the time that they take."""

from collections.abc import Callable, Iterable
from datetime import datetime

from workflows.model.actions import WAITS, Action
from workflows.model.findings import Finding
from workflows.model.progress import Failure, PendingQuestion, Status
from workflows.model.results import Report
from workflows.planning.plan import Plan, Stage
from workflows.planning.waves import Wave
from workflows.run.state import OVER, RunState, StageState


class ProgressTracker:
    """Records progress; ``snapshot`` shows it."""

    def __init__(self, state: RunState, now: Callable[[], datetime]) -> None:
        self._state = state
        self._now = now

    def begin_run(self, plan: Plan, reason: str) -> None:
        """Record the plan that is executed."""
        self._state.plan, self._state.reason, self._state.plan_hash = plan, reason, plan.hash
        self._add(plan.stages)

    def start_rollback(self, stages: Iterable[Stage]) -> None:
        """End all stages of the plan where they are, and add those of the rollback."""
        self._end_all()
        self._add(stages)

    def enter_stage(self, stage: Stage) -> None:
        """Record that the run turns to a stage; of several at once the earliest is shown."""
        self._state.entered.append(stage)
        self._show_earliest()

    def exit_stage(self, stage: Stage) -> None:
        """Record that the run turns away from a stage."""
        self._state.entered.remove(stage)
        self._show_earliest()

    def resume_clock(self, stage: Stage) -> None:
        """Count the time from now on: actions of the stage begin, or continue after a wait."""
        one = self._state.stages[stage.key]
        if not one.chains_at_work:
            one.working_since = self._now()
        one.chains_at_work += 1
        self._set_status(one, Status.RUNNING)

    def pause_clock(self, stage: Stage) -> None:
        """Stop counting, unless another chain works in the stage."""
        one = self._state.stages[stage.key]
        one.chains_at_work -= 1
        if not one.chains_at_work:
            self._stop_clock(one)

    def finish_stage(self, stage: Stage) -> None:
        """Record that this chain has no more actions of the stage; another chain may have."""
        self.pause_clock(stage)
        one = self._state.stages[stage.key]
        if one.is_over:
            none_done = one.actions and all(
                action.status is Status.SKIPPED for action in one.actions.values()
            )
            self._state.finished.add(stage.key)
            self._set_status(one, Status.SKIPPED if none_done else Status.DONE)

    def add_wait(self, stage: Stage, question: PendingQuestion) -> None:
        """Record that the run begins to wait for an operator."""
        self._state.questions.append(question)
        self._set_status(self._state.stages[stage.key], Status.WAITING)

    def remove_wait(self, question: PendingQuestion) -> None:
        """Record that the wait is over."""
        self._state.questions = [one for one in self._state.questions if one is not question]
        self._state.version += 1

    def begin(self, stage: Stage, action: Action, round_: int) -> None:
        """Record that an action is executed."""
        self._update(
            stage,
            action,
            status=Status.RUNNING,
            round=round_,
            activity_id=action.activity_id(round_),
        )

    def done(self, stage: Stage, action: Action, report: Report) -> None:
        """Record that an action succeeded."""
        self.add_findings(report.findings)
        self._update(stage, action, status=Status.DONE, report=report, failure=None)

    def failed(self, stage: Stage, action: Action, failure: Failure) -> None:
        """Record that an action failed."""
        self._state.stages[stage.key].failures.append(failure)
        self._update(stage, action, status=Status.FAILED, failure=failure)

    def skip(self, stage: Stage, action: Action) -> None:
        """Record that an action is not executed; its earlier failures stay in the outcome."""
        self._update(stage, action, status=Status.SKIPPED, failure=None)

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Record what the operator should know."""
        for finding in findings:
            if finding not in self._state.findings:
                self._state.findings.append(finding)
                self._state.version += 1

    def add_exception(self, message: str) -> None:
        """Record that an operator waived a guarantee; the outcome says so."""
        if message not in self._state.exceptions:
            self._state.exceptions.append(message)
            self._state.version += 1

    def add_drain_time(self, wave: Wave, since: datetime) -> None:
        """Count the time of a wave that only waited for clients."""
        if wave and all(isinstance(action, WAITS) for action in wave):
            self._state.drain_time += self._now() - since

    def close(self, outcome: str) -> None:
        """Record that the run is over; what never began is skipped."""
        self._end_all()
        self._state.outcome = outcome

    def _add(self, stages: Iterable[Stage]) -> None:
        self._state.stages |= {stage.key: StageState.of(stage) for stage in stages}
        self._state.version += 1

    def _end_all(self) -> None:
        self._state.entered.clear()
        self._state.questions.clear()
        for one in self._state.stages.values():
            self._stop_clock(one)
            one.chains_at_work = 0
            if one.status not in OVER:
                _end(one)
        self._state.version += 1

    def _stop_clock(self, one: StageState) -> None:
        if one.working_since is not None:
            one.worked += self._now() - one.working_since
            one.working_since = None

    def _show_earliest(self) -> None:
        if self._state.entered:
            earliest = min(self._state.entered, key=lambda stage: stage.name.number)
            self._state.current_stage = earliest.name
        self._state.version += 1

    def _set_status(self, one: StageState, status: Status) -> None:
        one.status = status
        self._state.version += 1

    def _update(self, stage: Stage, action: Action, **changes: object) -> None:
        actions = self._state.stages[stage.key].actions
        actions[action.key] = actions[action.key].model_copy(update=changes)
        self._state.version += 1


def _end(one: StageState) -> None:
    for key, action in one.actions.items():
        if action.status is Status.PENDING:
            one.actions[key] = action.model_copy(update={"status": Status.SKIPPED})
    # A stage that only waited at its gate did not fail.
    none_begun = all(action.status is Status.SKIPPED for action in one.actions.values())
    one.status = Status.SKIPPED if none_begun else Status.FAILED
