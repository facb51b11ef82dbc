"""Runs as the console may meet them, made without a server."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from rich.console import Console, RenderableType

from tests.support import estates
from workflows.model.actions.change import Order
from workflows.model.progress import Fault, Progress, RunState, Said, Waiting
from workflows.model.stages import Slug
from workflows.planning.plan import Plan, plan_switchover
from workflows.run.progress_tracker import Board

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Seen:
    """A run that has just begun, its plan, and whatever a test makes happen to it."""

    def __init__(self, servers: int = 2, edges: int = 2, **request: Any) -> None:  # noqa: ANN401
        self.plan: Plan = plan_switchover(
            estates.estate(servers, edges), estates.request(**request)
        )
        first = Progress(
            estate="lab",
            source="cluster1",
            target="cluster2",
            reason="",
            identity="0c6d",
            plan_hash=self.plan.hash,
            variant=self.plan.variant,
            state=RunState.RUNNING,
            started=NOW,
            stage=Slug.CHECK_PREREQUISITES,
        )
        self.board = Board(self.plan, first, lambda: NOW, lambda: None)

    @property
    def progress(self) -> Progress:
        """Where it is."""
        return self.board.progress

    def at(self, slug: Slug) -> tuple[Order, ...]:
        """Let the run work in a stage; return the stage's orders."""
        stage = self.plan.stage(slug)
        self.board.enter(stage)
        self.board.work(stage)
        return stage.orders

    def fails(self, slug: Slug, order: Order, kind: str = "Lost", words: str = "gone") -> None:
        """Let an order of the stage fail."""
        fault = Fault(order=order.key, place=order.place, kind=kind, words=words, settled=True)
        self.board.failed(self.plan.stage(slug), order, fault)


def gate(**changes: object) -> Waiting:
    """A wait for an approval."""
    usual = Waiting(
        kind="approval",
        stage=Slug.REDIRECT_TRAFFIC,
        since=NOW,
        words="redirect_traffic needs 1 approval(s), by anyone",
        answers=("approve", "reject"),
    )
    return usual.model_copy(update=changes)


def question(*answers: str, **changes: object) -> Waiting:
    """A wait for a decision about draining."""
    usual = Waiting(
        kind="decision",
        stage=Slug.DRAIN_PROTOCOL_SERVERS,
        since=NOW,
        words="cluster1-edge1: gone",
        answers=answers,
    )
    return usual.model_copy(update=changes)


def told(verb: str, **changes: object) -> Said:
    """A message that counted."""
    usual = Said(at=NOW, verb=verb, way="update", by="ann", effect="noted", counted=True)
    return usual.model_copy(update=changes)


def shown(renderable: RenderableType, width: int = 200) -> str:
    """Return what a terminal of this width would show, without colours."""
    out = StringIO()
    Console(file=out, width=width).print(renderable)
    return out.getvalue()
