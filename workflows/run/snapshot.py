"""What operators see of a run's state: its progress and its outcome."""

from datetime import datetime

from workflows.model.bounds import fitted
from workflows.model.outcome import Ending, Outcome, StageOutcome
from workflows.model.progress import PendingQuestion, Progress, RunStatus, StageProgress, Status
from workflows.run.node_progress import node_progress
from workflows.run.state import OVER, RunState, StageState


def progress_of(state: RunState) -> Progress | None:
    """Return where the run is; None until it has a plan."""
    plan = state.plan
    if plan is None:
        return None
    questions = [_current(state, question) for question in state.questions]
    stages = state.stages
    progress = Progress(
        procedure=plan.procedure,
        estate=plan.estate.name,
        source=plan.source,
        target=plan.target,
        reason=state.reason,
        identity=state.identity,
        plan_hash=state.plan_hash,
        variant=plan.variant,
        state=_run_status(state),
        started=state.started_at,
        stage=state.current_stage,
        stages=tuple(_stage(one) for one in stages.values() if not one.stage.undo),
        nodes=node_progress(
            plan, lambda stage, action: stages[stage.key].actions[action.key].status
        ),
        undo=tuple(_stage(one) for one in stages.values() if one.stage.undo),
        waiting=questions[0] if questions else None,
        also_waiting=tuple(questions[1:]),
        exceptions=tuple(state.exceptions),
        findings=tuple(state.findings),
        configuration_changes=state.configuration.changes,
        messages=tuple(state.messages),
        ignored_messages=state.ignored,
        outcome=state.outcome,
    )
    return fitted(progress)


def outcome_of(state: RunState, ending: Ending, message: str, now: datetime) -> Outcome:
    """Return how the run ended."""
    plan = state.plan
    assert plan is not None  # noqa: S101 - a run without a plan fails
    outcome = Outcome(
        outcome=ending,
        message=message,
        procedure=plan.procedure,
        estate=plan.estate.name,
        source=plan.source,
        target=plan.target,
        reason=state.reason,
        identity=state.identity,
        plan_hash=state.plan_hash,
        started=state.started_at,
        ended=now,
        seconds=(now - state.started_at).total_seconds(),
        drain_seconds=state.drain_time.total_seconds(),
        stages=tuple(_outcome(one) for one in state.stages.values() if not one.stage.undo),
        rolled_back_stages=tuple(_outcome(one) for one in state.stages.values() if one.stage.undo),
        exceptions=tuple(state.exceptions),
        decisions=tuple(state.messages),
        ignored_messages=state.ignored,
        findings=tuple(state.findings),
        configuration_changes=state.configuration.changes,
    )
    return fitted(outcome)


def _current(state: RunState, question: PendingQuestion) -> PendingQuestion:
    """Add the approvals that have arrived since the question was asked."""
    if question.kind != "approval":
        return question
    approved_by = tuple(state.approvals.get(question.stage, ()))
    return question.model_copy(update={"approved_by": approved_by})


def _run_status(state: RunState) -> RunStatus:
    if state.outcome is not None:
        return RunStatus.RUNNING
    if state.paused:
        return RunStatus.PAUSED
    kinds = {question.kind for question in state.questions}
    if "decision" in kinds:
        return RunStatus.WAITING_FOR_DECISION
    if "approval" in kinds:
        return RunStatus.WAITING_FOR_APPROVAL
    return RunStatus.RUNNING if state.rollback_reason is None else RunStatus.ROLLING_BACK


def _stage(one: StageState) -> StageProgress:
    ended = one.status in (*OVER, Status.FAILED)
    return StageProgress(
        stage=one.stage.name,
        number=one.stage.name.number,
        title=one.stage.title,
        gated=one.stage.gated,
        status=one.status,
        seconds=one.worked.total_seconds() if ended else None,
        actions=tuple(one.actions.values()),
    )


def _outcome(one: StageState) -> StageOutcome:
    return StageOutcome(
        stage=one.stage.name,
        status=one.status,
        seconds=one.worked.total_seconds(),
        reports=tuple(
            action.report for action in one.actions.values() if action.report is not None
        ),
        failures=tuple(one.failures),
    )
