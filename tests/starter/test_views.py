"""What is shown follows from what is known: pure functions, no server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import pairwise

import jsonschema  # type: ignore[import-untyped] # ships no annotations
import pytest
from rich.console import Console, RenderableType

from starter.live import transitions
from starter.schema import estate_schema
from starter.sight import Pending, Sight
from starter.tables import MOST_ORDERS, answers, clean, left_words, run_view
from tests import estates
from workflows.board import Board
from workflows.estate import Protocol
from workflows.plan import plan_switchover
from workflows.progress import Fault, Progress, RunState, Said, Step, Waiting
from workflows.reports import QueueLeft, SessionsLeft
from workflows.stages import Slug

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def shown(renderable: RenderableType) -> str:
    """Return what a wide terminal without colours would show."""
    out = StringIO()
    Console(file=out, width=200).print(renderable)
    return out.getvalue()


def board(servers: int = 2, edges: int = 2) -> Board:
    """A run that has just begun."""
    plan = plan_switchover(estates.estate(servers, edges), estates.request())
    first = Progress(
        estate="lab",
        source="cluster1",
        target="cluster2",
        reason="",
        identity="0c6d",
        plan_hash=plan.hash,
        state=RunState.RUNNING,
        started=NOW,
        stage=Slug.CHECK_PREREQUISITES,
    )
    return Board(plan, first, lambda: NOW, lambda: None)


def waiting(**changes: object) -> Waiting:
    """A run that waits for an approval."""
    usual = Waiting(
        kind="approval",
        stage=Slug.REDIRECT_TRAFFIC,
        since=NOW,
        words="redirect_traffic needs 1 approval(s), by anyone",
        answers=("approve", "reject"),
    )
    return usual.model_copy(update=changes)


def test_every_transition_is_told_once() -> None:
    """What was told after one look is not told after the next."""
    at_work = board()
    before = at_work.progress
    at_work.work()
    at_work.leave()
    at_work.enter(Slug.STOP_MONITORS)
    at_work.wait(waiting())
    after = at_work.progress
    assert list(transitions(before, after)) == [
        "✔ 0 check_prerequisites: done, 0.0 s",
        "⏸ 1 stop_monitors: waiting",
        "waits: redirect_traffic needs 1 approval(s), by anyone",
        "  answer: switchover approve lab --stage redirect_traffic",
        '  answer: switchover reject lab --stage redirect_traffic --reason "..."',
    ]
    assert list(transitions(after, after)) == []
    assert list(transitions(None, after)) == list(transitions(before, after))


def test_a_second_fault_of_one_order_is_told_again() -> None:
    """A retry that fails is news; a retry that is under way is not."""
    at_work = board()
    at_work.enter(Slug.STOP_MONITORS)
    order = plan_switchover(estates.estate(), estates.request()).stages[1].orders[0]
    fault = Fault(order=order.key, place=order.place, kind="Refused", words="no", settled=True)
    looks = [at_work.progress]
    for _ in range(2):
        at_work.failed(order, fault)
        looks.append(at_work.progress)
        at_work.begin(order, 2)
        looks.append(at_work.progress)
    told = [list(transitions(a, b)) for a, b in pairwise(looks)]
    words = f"✖ {order}: Refused: no"
    assert told == [[words], [], [words], []]


def test_nothing_that_people_write_moves_the_cursor() -> None:
    """Reasons and names reach the terminal as words, never as control sequences or markup."""
    evil = "\x1b[2J[red]gone[/red]\r\u202e"
    said = Said(
        at=NOW, verb="abort", way="signal", by=evil, reason=evil, effect=evil, counted=False
    )
    at_work = board()
    progress = at_work.progress.model_copy(
        update={"reason": evil, "said": (said,), "waiting": waiting(words=evil)}
    )
    text = shown(run_view(Sight(progress), NOW))
    assert "[2J[red]gone[/red]" in text
    assert not set(text) & set("\x1b\r\u202e")
    assert not set("".join(transitions(None, progress))) & set("\x1b\r\u202e")
    assert clean("a\x1b[2Jb\u202ec") == "a [2Jb c"


def test_what_needs_someone_comes_first_on_a_large_estate() -> None:
    """Of hundreds of orders the screen holds the failed and the running ones."""
    at_work = board(20, 20)
    at_work.enter(Slug.DRAIN_PROTOCOL_SERVERS)
    at_work.work()
    stage = plan_switchover(estates.estate(20, 20), estates.request()).stage(at_work.stage)
    last = stage.orders[-1]
    at_work.failed(
        last, Fault(order=last.key, place=last.place, kind="Lost", words="gone", settled=True)
    )
    at_work.begin(stage.orders[-2], 1)
    lines = shown(run_view(Sight(at_work.progress), NOW)).splitlines()
    first = next(number for number, line in enumerate(lines) if "✖" in line)
    assert f"{last}" in lines[first]
    assert "Lost: gone" in lines[first]
    assert f"{stage.orders[-2]}" in lines[first + 1]
    assert len(stage.orders) > MOST_ORDERS
    assert f"and {len(stage.orders) - MOST_ORDERS} pending" in lines[first + MOST_ORDERS]


def test_a_retried_attempt_says_why() -> None:
    """An activity that Temporal tries again shows what the attempt before met."""
    at_work = board()
    at_work.enter(Slug.STOP_MONITORS)
    at_work.work()
    order = plan_switchover(estates.estate(), estates.request()).stages[1].orders[0]
    at_work.begin(order, 1)
    pending = Pending(f"{order.key}.1", attempt=3, left=None, trouble="cannot reach it")
    text = shown(run_view(Sight(at_work.progress, (pending,)), NOW))
    assert "attempt 3, since cannot reach it" in text


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (
            SessionsLeft(
                node="n",
                at=NOW,
                connections={Protocol.SSH: 3, Protocol.HTTP: 0},
                accounts=("a", "b", "c", "d"),
            ),
            "3 ssh; a, b, c, ..., 2 s ago",
        ),
        (SessionsLeft(node="n", at=NOW, readings_at_zero=2), "nothing left, quiet for 2 readings"),
        (SessionsLeft(node="n", at=NOW, trouble="no answer"), "nothing seen yet, no answer"),
        (QueueLeft(node="n", at=NOW), "nothing seen yet, 2 s ago"),
        (QueueLeft(node="n", at=NOW, events=12, active=2), "12 events; 2 active, 2 s ago"),
        (QueueLeft(node="n", at=NOW, events=0, active=0, readings_at_zero=1), "nothing left"),
    ],
)
def test_what_is_left_is_said_in_words(left: SessionsLeft | QueueLeft, words: str) -> None:
    """Zero, unknown and unreadable are three different things."""
    assert left_words(left, NOW + timedelta(seconds=2)).startswith(words)


def test_a_run_that_waits_for_nobody_has_no_answers() -> None:
    """Answers exist only where someone is asked."""
    at_work = board()
    assert answers(at_work.progress) == ()
    assert all(stage.step is Step.PENDING for stage in at_work.progress.stages)


def test_the_schema_accepts_what_the_worker_accepts() -> None:
    """An estate file with defaults, and durations in seconds, is valid for an editor."""
    schema = estate_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    given = estates.written(timing={"grace": 60, "patience": "PT12H"})
    given["clusters"][0]["nodes"][0]["ssh"] = {"port": 2222}
    estates.estate(timing=given["timing"])
    jsonschema.validate(given, schema)


@pytest.mark.parametrize("key", ["name", "clusters", "load_balancer"])
def test_the_schema_refuses_what_the_worker_refuses(key: str) -> None:
    """A missing or an unknown key is seen while typing."""
    given = estates.written()
    del given[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(given, estate_schema())
    with pytest.raises(jsonschema.ValidationError, match="typo"):
        jsonschema.validate(estates.written(typo=1), estate_schema())
