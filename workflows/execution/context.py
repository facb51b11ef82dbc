"""What one run works with, handed to everything that sees it through."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.execution.dispatch import Dispatcher
from workflows.model.request import Request
from workflows.planning.plan import Plan
from workflows.run.inbox import Inbox
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState


@dataclass(frozen=True)
class Run:
    """One switchover under way."""

    plan: Plan
    request: Request
    tracker: ProgressTracker
    inbox: Inbox
    state: RunState
    dispatcher: Dispatcher
