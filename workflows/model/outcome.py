"""How a run ended, and what a webhook is sent."""

from datetime import datetime
from typing import Literal

from workflows.model.base import Value
from workflows.model.configuration import ConfigurationChange
from workflows.model.estate import Name
from workflows.model.findings import Finding
from workflows.model.progress import Failure, OperatorMessage, Status
from workflows.model.results import Report
from workflows.model.stages import Procedure, StageName

Ending = Literal["completed", "completed_with_exceptions", "rolled_back", "aborted"]


class StageOutcome(Value):
    """What one stage came to."""

    stage: StageName
    status: Status
    seconds: float
    """From the first action to the last, without waits for operators."""
    reports: tuple[Report, ...] = ()
    failures: tuple[Failure, ...] = ()


class Outcome(Value):
    """The workflow's result."""

    outcome: Ending
    message: str
    """One sentence: what happened, and what remains to be done."""
    procedure: Procedure = "switchover"
    estate: Name
    source: str
    """The cluster that traffic left; of a rejoin, the active one."""
    target: str
    """The cluster that traffic reached; of a rejoin, the one that came back."""
    reason: str
    identity: str
    plan_hash: str
    started: datetime
    ended: datetime
    seconds: float
    drain_seconds: float
    """Time in which only sessions or the event queue were waited for."""
    stages: tuple[StageOutcome, ...]
    rolled_back_stages: tuple[StageOutcome, ...] = ()
    """The stages of the rollback in their sequence."""
    exceptions: tuple[str, ...] = ()
    """Guarantees that operators waived."""
    decisions: tuple[OperatorMessage, ...] = ()
    ignored_messages: int = 0
    """Older messages without effect, which are only counted."""
    findings: tuple[Finding, ...] = ()
    more_findings: int = 0
    """How many are missing, because all of them would be too long to keep."""
    configuration_changes: tuple[ConfigurationChange, ...] = ()
    """What was changed while replication was suspended."""
    record: str | None = None
    """Where this outcome was written as a file, on the worker that ended the run."""


class Notice(Value):
    """What a webhook receives: a question, changes of the configuration, an end, a failure."""

    kind: Literal["waiting", "ended", "failing", "changed"]
    at: datetime
    procedure: Procedure = "switchover"
    estate: str
    source: str
    target: str
    workflow_id: str
    run_id: str
    stage: StageName | None
    """None where a run cannot continue that has not begun a stage, and of a Freeze."""
    message: str
    """Why it waits, or what happened, in one sentence."""
    answers: tuple[str, ...] = ()
    """The verbs that answer it."""
    outcome: str | None = None
