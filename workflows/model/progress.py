"""Where a run is: the answer to the ``status`` query."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from workflows.model.base import Value
from workflows.model.configuration import ConfigurationChange
from workflows.model.findings import Finding
from workflows.model.results import Remaining, Report
from workflows.model.stages import Procedure, StageName


class RunStatus(StrEnum):
    """The search attribute ``SwitchoverState``."""

    RUNNING = "running"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    WAITING_FOR_DECISION = "waiting_for_decision"
    PAUSED = "paused"
    ROLLING_BACK = "rolling_back"


class Status(StrEnum):
    """How far a stage or an action is."""

    PENDING = "pending"
    WAITING = "waiting"
    """For an approval or a decision."""
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Never done: the run ended before, or an operator skipped it."""


class Failure(Value):
    """An action that failed."""

    action: str
    place: str
    kind: str
    """The error's class, see ``workflows.errors``."""
    message: str
    outcome_known: bool
    """Whether the outcome is known, so that a retry is a new round."""


class ActionProgress(Value):
    """One action, as the operator sees it."""

    key: str
    place: str
    message: str
    """What was asked: "stop ssh gracefully on cluster1-edge1"."""
    status: Status = Status.PENDING
    round: int = 1
    activity_id: str = ""
    """The activity whose heartbeats show the action while it runs."""
    report: Report | None = None
    failure: Failure | None = None


class StageProgress(Value):
    """One stage, as the operator sees it."""

    stage: StageName
    number: int
    title: str
    gated: bool
    status: Status = Status.PENDING
    seconds: float | None = None
    """From the first action to the last without waits for operators; None until it is over."""
    actions: tuple[ActionProgress, ...] = ()


class NodeStage(Value):
    """One stage, as far as one node is concerned."""

    stage: StageName
    status: Status
    done: int
    actions: int
    """How many there are; 0 where the stage does not concern the node."""


class NodeProgress(Value):
    """How far one node is, where the plan lets nodes run side by side."""

    node: str
    stages: tuple[NodeStage, ...]


class PendingQuestion(Value):
    """A question that a run asks its operators."""

    kind: Literal["approval", "decision"]
    stage: StageName
    since: datetime
    message: str
    """Why it waits, in one sentence."""
    answers: tuple[str, ...]
    """The verbs that answer it."""
    approved_by: tuple[str, ...] = ()
    remaining: tuple[Remaining, ...] = ()
    """The sessions or events that `extend` and `force` concern, as read when the run asked."""
    silent: tuple[str, ...] = ()
    """Nodes that did not answer, or whose wait makes no progress; `force` has to name one of them,
    which counts as down once it is confirmed so, or else waits no longer."""


class OperatorMessage(Value):
    """A message that reached the run, and what became of it."""

    at: datetime
    verb: str
    way: Literal["signal", "update", "watch"]
    """`watch`: the watch over the configuration, where the estate lets it pause a run."""
    stage: StageName | None = None
    node: str | None = None
    by: str = ""
    """Who decided, as the message says."""
    sender: str = ""
    """Who sent it, as Temporal knows it: the identity of the client."""
    reason: str = ""
    effect: str
    """What it did, or why it changed nothing."""
    counted: bool


class Progress(Value):
    """Where a run is: the answer to the query ``status``."""

    procedure: Procedure = "switchover"
    estate: str
    source: str
    target: str
    reason: str
    identity: str
    plan_hash: str
    variant: Literal["by_stage", "by_node"] = "by_stage"
    state: RunStatus
    started: datetime
    stage: StageName
    stages: tuple[StageProgress, ...] = ()
    nodes: tuple[NodeProgress, ...] = ()
    """Each source node, if nodes run side by side; empty otherwise."""
    undo: tuple[StageProgress, ...] = ()
    """The stages of the rollback in their sequence; empty before it begins."""
    waiting: PendingQuestion | None = None
    """The oldest open question."""
    also_waiting: tuple[PendingQuestion, ...] = ()
    """Further open questions: in the `by_node` variant several nodes may ask at once."""
    exceptions: tuple[str, ...] = ()
    """Guarantees that operators waived."""
    findings: tuple[Finding, ...] = ()
    more_findings: int = 0
    """How many are missing, because all of them would be too long to keep."""
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    """What was changed while replication was suspended."""
    messages: tuple[OperatorMessage, ...] = ()
    ignored_messages: int = 0
    """Older messages without effect, which are only counted."""
    outcome: str | None = None
