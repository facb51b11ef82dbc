"""What one run works with."""

from dataclasses import dataclass

from workflows.execution.dispatch import Dispatcher
from workflows.model.request import Request
from workflows.planning.plan import Plan
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState


@dataclass(frozen=True)
class Run:
    """One switchover under way, handed to everything that executes it."""

    plan: Plan
    request: Request
    state: RunState
    tracker: ProgressTracker
    dispatcher: Dispatcher
