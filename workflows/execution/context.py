"""What one run works with, handed to everything that sees it through."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.execution.dispatch import Errands
from workflows.model.request import Request
from workflows.planning.plan import Plan
from workflows.run.inbox import Desk
from workflows.run.progress_tracker import Board
from workflows.run.state import Memory


@dataclass(frozen=True)
class Run:
    """One switchover under way."""

    plan: Plan
    request: Request
    board: Board
    desk: Desk
    memory: Memory
    errands: Errands
