"""What the Web UI shows of a run, without any query."""

from __future__ import annotations

from datetime import UTC, datetime

from tests import estates
from workflows.board import Board
from workflows.details import details
from workflows.plan import plan_switchover
from workflows.progress import Fault, Progress, RunState, Said, Waiting
from workflows.stages import Slug

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def board() -> Board:
    """Return the board of a run that has just begun."""
    request = estates.request(approve_before=["redirect_traffic"])
    plan = plan_switchover(estates.estate(), request)
    progress = Progress(
        estate="lab",
        source="cluster1",
        target="cluster2",
        reason="",
        identity="run-1",
        plan_hash=plan.hash,
        state=RunState.RUNNING,
        started=NOW,
        stage=Slug.CHECK_PREREQUISITES,
    )
    return Board(plan, progress, lambda: NOW, lambda: None)


def test_a_gate_is_shown_with_the_words_that_answer_it() -> None:
    """Whoever reads it can copy the command."""
    shown = board()
    shown.enter(Slug.SUSPEND_REPLICATION)
    shown.wait(
        Waiting(
            kind="approval",
            stage=Slug.REDIRECT_TRAFFIC,
            since=NOW,
            words="redirect_traffic needs 1 approval(s), by anyone",
            answers=("approve", "reject"),
        )
    )
    text = details(shown.progress)
    assert "waiting for approval" in text
    assert (
        "`temporal workflow signal --workflow-id switchover-lab --name approve "
        '--input \'{"stage": "redirect_traffic", "by": "..."}\'`'
    ) in text
    assert '"reason": "..."' in text
    assert "| … | 2 `suspend_replication` |" in text


def test_every_stage_has_its_row_and_the_current_one_its_orders() -> None:
    """Faults stand beside the order that met them; what a node said is no Markdown."""
    shown = board()
    shown.enter(Slug.STOP_MONITORS)
    shown.work()
    order = plan_switchover(estates.estate(), estates.request()).stage(Slug.STOP_MONITORS).orders[0]
    shown.begin(order, 1)
    fault = Fault(
        order=order.key, place=order.place, kind="CommandFailed", words="*no*", settled=True
    )
    shown.failed(order, fault)
    text = details(shown.progress)
    assert [line for line in text.splitlines() if "`check_prerequisites`" in line]
    assert all(f"`{slug}`" in text for slug in Slug)
    assert r"✖ stop the Monitor on cluster1\-server1: \*no\*" in text


def test_what_changed_nothing_is_shown() -> None:
    """A misspelt signal does not vanish."""
    said = Said(at=NOW, verb="aprove", way="signal", effect="unknown signal", counted=False)
    text = details(board().progress.model_copy(update={"said": (said,)}))
    assert "- aprove: unknown signal" in text


def test_an_ended_run_says_how() -> None:
    """And what was never begun is marked as such."""
    shown = board()
    shown.close("aborted")
    text = details(shown.progress)
    assert "cluster1 → cluster2, aborted" in text
    assert "| - | 9 `restore_monitors` |" in text
