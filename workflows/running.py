"""What one run works with, handed to everything that sees it through."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.board import Board
from workflows.desk import Desk
from workflows.errands import Errands
from workflows.memory import Memory
from workflows.plan import Plan
from workflows.request import Request


@dataclass(frozen=True)
class Run:
    """One switchover under way."""

    plan: Plan
    request: Request
    board: Board
    desk: Desk
    memory: Memory
    errands: Errands
