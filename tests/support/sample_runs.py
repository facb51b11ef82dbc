"""Runs as the console may meet them, made without a server."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from tests.support import estates
from workflows.model.actions import Action
from workflows.model.configuration import ConfigurationChange
from workflows.model.progress import Failure, OperatorMessage, PendingQuestion, Progress
from workflows.model.stages import StageName
from workflows.planning.plan import Plan, Stage
from workflows.planning.switchover import plan_switchover
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.snapshot import progress_of
from workflows.run.state import RunState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Seen:
    """A run that has just begun, its plan, and whatever a test makes happen to it."""

    def __init__(self, servers: int = 2, edges: int = 2, **request: Any) -> None:  # noqa: ANN401
        self.plan: Plan = plan_switchover(
            estates.estate(servers, edges), estates.request(**request)
        )
        self.state = RunState("0c6d", NOW)
        self.tracker = ProgressTracker(self.state, lambda: NOW)
        self.tracker.begin_run(self.plan, reason="")

    @property
    def progress(self) -> Progress:
        """Where it is."""
        progress = progress_of(self.state)
        assert progress is not None
        return progress

    def at(self, name: StageName) -> tuple[Action, ...]:
        """Let the run work in a stage; return the stage's actions."""
        stage = self.plan.stage(name)
        self.tracker.enter_stage(stage)
        self.tracker.resume_clock(stage)
        return stage.actions

    def rolls_back(self, stages: tuple[Stage, ...]) -> None:
        """Let the run roll back, and work in the first of these stages."""
        self.state.rollback_reason = "ann rolled the run back: not tonight"
        self.tracker.start_rollback(stages)
        self.tracker.enter_stage(stages[0])
        self.tracker.resume_clock(stages[0])

    def fails(
        self, name: StageName, action: Action, kind: str = "Lost", message: str = "gone"
    ) -> None:
        """Let an action of the stage fail."""
        failure = Failure(
            action=action.key, place=action.place, kind=kind, message=message, outcome_known=True
        )
        self.tracker.failed(self.plan.stage(name), action, failure)


def gate(**changes: object) -> PendingQuestion:
    """A wait for an approval."""
    usual = PendingQuestion(
        kind="approval",
        stage=StageName.REDIRECT_TRAFFIC,
        since=NOW,
        message="redirect_traffic needs 1 approval by anyone",
        answers=("approve", "reject"),
    )
    return usual.model_copy(update=changes)


def question(*answers: str, **changes: object) -> PendingQuestion:
    """A wait for a decision about draining."""
    usual = PendingQuestion(
        kind="decision",
        stage=StageName.DRAIN_PROTOCOL_SERVERS,
        since=NOW,
        message="cluster1-edge1: gone",
        answers=answers,
    )
    return usual.model_copy(update=changes)


def operator_message(verb: str, **changes: object) -> OperatorMessage:
    """A message that counted."""
    usual = OperatorMessage(at=NOW, verb=verb, way="update", by="ann", effect="noted", counted=True)
    return usual.model_copy(update=changes)


def configuration_change(**changes: object) -> ConfigurationChange:
    """A change that the audit log knows."""
    usual = ConfigurationChange(
        place="cluster1-server1",
        item="option Ssh.Port",
        what="changed",
        seen_at=NOW,
        by="eve",
        at=NOW,
    )
    return usual.model_copy(update=changes)


def shown(renderable: RenderableType, width: int = 200) -> str:
    """Return what a terminal of this width would show, without colours."""
    out = StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()
