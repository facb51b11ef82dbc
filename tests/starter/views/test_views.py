"""The views of a run on a terminal."""

from datetime import timedelta

import jsonschema  # type: ignore[import-untyped] # ships no annotations
import pytest

from starter.client.snapshot import Pending, Snapshot
from starter.estate_schema import estate_schema
from starter.views.status import MAX_SHOWN_ACTIONS, RunView
from starter.views.text import commands, eta_text, remaining_line, wrapped
from tests.support import estates
from tests.support.sample_runs import (
    NOW,
    Seen,
    configuration_change,
    gate,
    operator_message,
    question,
    shown,
)
from workflows.model.estate import Protocol
from workflows.model.progress import Progress, RunStatus
from workflows.model.results import RemainingQueue, RemainingSessions
from workflows.model.stages import StageName
from workflows.model.text import printable
from workflows.planning.rollback import Baseline, plan_rollback

PARTNERS = RemainingSessions(
    node="cluster1-edge1",
    at=NOW,
    connections={Protocol.SSH: 2, Protocol.HTTP: 0},
    accounts=("partner001 over ssh", "partner002 over ssh"),
)


def view(progress: Progress, *pending: Pending, width: int = 200, height: int | None = None) -> str:
    """Return what an operator sees."""
    return shown(RunView(Snapshot(progress, pending), NOW, height), width)


def test_nothing_that_people_write_moves_the_cursor() -> None:
    """Reasons and names reach the terminal as text, never as control sequences or markup."""
    evil = "\x1b[2J[red]gone[/red]\r\u202e"
    said = operator_message("pause", by=evil, reason=evil, effect=evil)
    progress = Seen().progress.model_copy(
        update={
            "reason": evil,
            "messages": (said,),
            "state": RunStatus.PAUSED,
            "waiting": gate(message=evil, approved_by=(evil,)),
            "exceptions": (evil,),
        }
    )
    text = view(progress)
    assert text.count("[2J[red]gone[/red]") >= 6
    assert not set(text) & set("\x1b\r\u202e")
    assert printable("a\x1b[2Jb\u202ec") == "a [2Jb c"


def test_the_most_urgent_actions_come_first_on_a_large_estate() -> None:
    """Of hundreds of actions the screen holds the failed and the running ones."""
    run = Seen(20, 20)
    actions = run.at(StageName.DRAIN_PROTOCOL_SERVERS)
    run.fails(StageName.DRAIN_PROTOCOL_SERVERS, actions[-1])
    run.tracker.begin(run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS), actions[-2], 1)
    lines = view(run.progress).splitlines()
    first = next(number for number, line in enumerate(lines) if "✖" in line)
    assert f"{actions[-1]}" in lines[first]
    assert "Lost: gone" in lines[first]
    assert f"{actions[-2]}" in lines[first + 1]
    assert len(actions) > MAX_SHOWN_ACTIONS
    assert f"and {len(actions) - MAX_SHOWN_ACTIONS} pending" in lines[first + MAX_SHOWN_ACTIONS]


def test_a_retried_attempt_says_why() -> None:
    """An activity that Temporal retries shows why the previous attempt failed."""
    run = Seen()
    action = run.at(StageName.STOP_MONITORS)[0]
    run.tracker.begin(run.plan.stage(StageName.STOP_MONITORS), action, 1)
    pending = Pending(f"{action.key}.1", attempt=3, remaining=None, error="cannot reach it")
    assert "attempt 3; the last one failed: cannot reach it" in view(run.progress, pending)


@pytest.mark.parametrize(
    ("remaining", "line"),
    [
        (
            RemainingSessions(
                node="n",
                at=NOW,
                connections={Protocol.SSH: 3, Protocol.HTTP: 0},
                accounts=("a", "b", "c", "d"),
                eta=timedelta(minutes=12),
            ),
            "3 ssh; a, b, c and 1 more, about 12 minutes at this rate, 2 s ago",
        ),
        (
            RemainingSessions(node="n", at=NOW, readings_at_zero=2),
            "none remaining, 2 readings at zero",
        ),
        (RemainingSessions(node="n", at=NOW, error="no answer"), "no reading yet, no answer"),
        (RemainingQueue(node="n", at=NOW), "no reading yet, 2 s ago"),
        (RemainingQueue(node="n", at=NOW, events=12, active=2), "12 events, 2 active, 2 s ago"),
        (
            RemainingQueue(node="n", at=NOW, events=0, active=0, readings_at_zero=1),
            "none remaining",
        ),
    ],
)
def test_what_remains_is_shown_in_one_line(
    remaining: RemainingSessions | RemainingQueue, line: str
) -> None:
    """Zero, unknown and unreadable are three different things."""
    assert remaining_line(remaining, NOW + timedelta(seconds=2)).startswith(line)


@pytest.mark.parametrize(
    ("eta", "words"),
    [
        (None, ""),
        (timedelta(0), "about 1 s at this rate"),
        (timedelta(seconds=89), "about 89 s at this rate"),
        (timedelta(seconds=150), "about 2 minutes at this rate"),
        (timedelta(hours=7, minutes=20), "about 7 hours at this rate"),
    ],
)
def test_an_estimate_is_rounded(eta: timedelta | None, words: str) -> None:
    """A few readings cannot tell the seconds of an hour; without an estimate there is no text."""
    assert eta_text(eta) == words


def test_a_run_without_a_question_shows_no_answers() -> None:
    """The decisions that are possible at any time are mentioned."""
    text = view(Seen().progress)
    assert "answer with" not in text
    assert "at any time: pause, roll-back, abort" in text


def test_every_answer_is_a_command_that_can_be_typed() -> None:
    """With everything it needs: minutes, reasons, and the name of an unreachable node."""
    waiting = question("retry", "extend", "force", "roll_back", "abort", silent=("cluster1-edge1",))
    stage = "--stage drain_protocol_servers"
    assert commands(Seen().progress, waiting) == (
        f"switchover retry lab {stage}",
        f"switchover extend lab {stage} --minutes 60",
        f'switchover force lab {stage} --node cluster1-edge1 --reason "..."',
        'switchover roll-back lab --reason "..."',
        'switchover abort lab --reason "..."',
    )


def test_a_long_command_is_wrapped_so_that_a_shell_accepts_it() -> None:
    """What is copied from a narrow screen is still one command."""
    line = 'switchover force lab --stage drain_protocol_servers --node n --reason "..."'
    lines = wrapped(line, 60)
    assert all(len(one) <= 60 for one in lines)
    assert " ".join(one.removesuffix("\\").strip() for one in lines) == line
    assert all(one.endswith(" \\") for one in lines[:-1])
    assert wrapped(line, 160) == [line]


def test_a_decision_shows_the_sessions_it_concerns() -> None:
    """An operator sees the accounts before ending their sessions."""
    queue = RemainingQueue(
        node="cluster1-server1", at=NOW, events=3, queued=("event 17", "event 18")
    )
    words = "drain timeout (1 day) expired; still connected: " + "many " * 50
    run = Seen()
    run.at(StageName.DRAIN_PROTOCOL_SERVERS)
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    run.tracker.add_wait(stage, question("extend", message=words, remaining=(PARTNERS, queue)))
    text = view(run.progress, width=100)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "cluster1-edge1 2 ssh partner001 over ssh, partner002 over ssh" in rows
    assert "cluster1-server1 3 events event 17, event 18" in rows
    assert sum("many" in row for row in rows) == 1


def test_several_questions_are_all_shown() -> None:
    """Those with the same answers share them."""
    run = Seen()
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    run.at(stage.name)
    for place in ("cluster1-server1", "cluster1-server2"):
        run.tracker.add_wait(stage, question("retry", "abort", message=f"{place}: no"))
    run.tracker.add_wait(stage, gate())
    text = view(run.progress)
    assert "cluster1-server1: no" in text
    assert "cluster1-server2: no" in text
    assert text.count("switchover retry lab --stage drain_protocol_servers") == 1
    assert text.count("switchover approve lab --stage redirect_traffic") == 1


def test_a_pause_is_shown_with_the_operator_and_the_reason() -> None:
    """And with the command that ends it."""
    said = (
        operator_message("pause", reason="lunch"),
        operator_message("pause", by="bob", counted=False),
    )
    progress = Seen().progress.model_copy(update={"state": RunStatus.PAUSED, "messages": said})
    text = view(progress)
    assert "by ann (lunch)" in text
    assert "  switchover resume lab" in text


def test_a_rollback_has_its_own_table() -> None:
    """The rollback is shown stage by stage; what had been done is summarized."""
    run = Seen()
    begun = {
        name: run.at(name) for name in (StageName.STOP_MONITORS, StageName.SUSPEND_REPLICATION)
    }
    undo = plan_rollback(run.plan, begun, Baseline(assume_all_ran=True))
    run.rolls_back(undo)
    text = view(run.progress)
    assert "rolling_back" in text
    assert text.index("rollback, in this sequence") < text.index("▶  2 suspend_replication")
    assert "Roll back: Stop the Monitors of the source" in text
    assert "resume replication on cluster1_to_cluster2" in text
    assert "stop the Monitor on" not in text


def test_every_chain_is_shown_in_the_by_node_variant() -> None:
    """A row for each node of the source, the Edges first."""
    run = Seen(variant="by_node")
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    own = [one for one in run.at(stage.name) if one.place == "cluster1-server1"]
    run.tracker.begin(stage, own[0], 1)
    run.tracker.skip(stage, own[1])
    lines = view(run.progress).splitlines()
    rows = [" ".join(line.split()) for line in lines]
    heads = ("6 drain_protocol_servers", "7 drain_transaction_manager", "8 stop_remaining_services")
    head = rows.index(f"node {' '.join(heads)}")
    assert rows[head + 1] == "cluster1-edge1 · 0/3 · 0/1 · 0/1"
    assert rows[head + 3] == "cluster1-server1 ▶ 0/3 · 0/6 · 0/1"
    assert "skipped" in "\n".join(lines)
    assert "cluster2" not in "\n".join(rows[head + 1 : head + 5])


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])
def test_whatever_has_to_be_done_is_on_the_screen(width: int, height: int) -> None:
    """Also on the smallest terminal, when a drain timeout expires on a large estate."""
    run = Seen(20, 20)
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    for name in StageName:
        run.at(name)
        if name is stage.name:
            break
        for action in run.plan.stage(name).actions:
            run.tracker.skip(run.plan.stage(name), action)
        run.tracker.finish_stage(run.plan.stage(name))
        run.tracker.exit_stage(run.plan.stage(name))
    waiting = question(
        "extend", "force", "roll_back", "abort", remaining=(PARTNERS,), message="w " * 90
    )
    run.tracker.add_wait(stage, waiting)
    lines = view(run.progress, width=width, height=height).splitlines()[:height]
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines)
    for verb in ("extend", "force", "roll-back", "abort"):
        assert f"switchover {verb} lab" in text
    assert "partner002 over ssh" in text


def test_exceptions_are_shown() -> None:
    """In the view of a run, not only in its outcome."""
    progress = Seen().progress.model_copy(update={"exceptions": ("ann skipped it: late",)})
    assert "exception: ann skipped it: late" in view(progress)


def test_the_schema_accepts_what_the_worker_accepts() -> None:
    """An estate file with defaults, and durations in seconds, is valid for an editor."""
    schema = estate_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    given = estates.written(timing={"grace": 60, "drain_timeout": "PT12H"})
    given["clusters"][0]["nodes"][0]["ssh"] = {"port": 2222}
    estates.estate(timing=given["timing"])
    jsonschema.validate(given, schema)


@pytest.mark.parametrize("key", ["name", "clusters", "load_balancer"])
def test_the_schema_refuses_what_the_worker_refuses(key: str) -> None:
    """A missing or an unknown key is reported while typing."""
    given = estates.written()
    del given[key]
    with pytest.raises(jsonschema.ValidationError, match=key):
        jsonschema.validate(given, estate_schema())
    with pytest.raises(jsonschema.ValidationError, match="typo"):
        jsonschema.validate(estates.written(typo=1), estate_schema())


def test_configuration_changes_are_shown() -> None:
    """What was changed, where, by whom and when; as text only."""
    evil = configuration_change(item="account \x1b[2Jx", by="", at=None)
    changes = (configuration_change(), evil)
    text = view(Seen().progress.model_copy(update={"configuration_changes": changes}))
    assert (
        "configuration change: cluster1-server1: option Ssh.Port changed by eve "
        "at 2026-01-02 03:04:05 UTC"
    ) in text
    assert "account  [2Jx changed\n" in text
