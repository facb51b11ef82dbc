"""How a run ended, and what a webhook is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from workflows.model.base import Value
from workflows.model.findings import Finding
from workflows.model.progress import Failure, OperatorMessage, Status
from workflows.model.results import Report
from workflows.model.stages import StageName


class StageOutcome(Value):
    """What one stage came to."""

    stage: StageName
    status: Status
    seconds: float
    """Working time: from first to last order, waiting for people not counted."""
    reports: tuple[Report, ...] = ()
    failures: tuple[Failure, ...] = ()


class Outcome(Value):
    """The workflow's result."""

    outcome: Literal["completed", "completed_with_exceptions", "rolled_back", "aborted"]
    message: str
    """One sentence: what happened, and what remains to be done."""
    estate: str
    source: str
    target: str
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
    """What a roll-back took back, in its order."""
    exceptions: tuple[str, ...] = ()
    """Whatever weakened the promise, and who said so."""
    decisions: tuple[OperatorMessage, ...] = ()
    findings: tuple[Finding, ...] = ()
    record: str | None = None
    """Where this outcome was written as a file, on the worker that ended the run."""


class Notice(Value):
    """What a webhook is told: that a run waits for someone, or how it ended."""

    kind: Literal["waiting", "ended"]
    at: datetime
    estate: str
    source: str
    target: str
    workflow_id: str
    run_id: str
    stage: StageName
    message: str
    """Why it waits, or what happened, in one sentence."""
    answers: tuple[str, ...] = ()
    """The verbs that answer it."""
    outcome: str | None = None
