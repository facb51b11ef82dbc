"""What one run works with."""

from dataclasses import dataclass

from workflows.execution.dispatch import Dispatcher
from workflows.model.request import BaseRequest
from workflows.planning.plan import Plan
from workflows.run.progress_tracker import ProgressTracker
from workflows.run.state import RunState


@dataclass(frozen=True)
class Run:
    """One run under way, handed to everything that executes it."""

    plan: Plan
    request: BaseRequest
    state: RunState
    tracker: ProgressTracker
    dispatcher: Dispatcher
