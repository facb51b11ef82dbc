"""The lines that describe a run where the output is no terminal."""

from itertools import pairwise

from starter.views.transitions import transitions
from tests.support.sample_runs import (
    NOW,
    Seen,
    configuration_change,
    gate,
    operator_message,
    question,
)
from workflows.model.progress import RunStatus
from workflows.model.results import RemainingSessions
from workflows.model.stages import StageName
from workflows.planning.rollback import Baseline, plan_rollback


def test_every_transition_is_shown_once() -> None:
    """A line of one snapshot is not repeated for the next."""
    run = Seen()
    before = run.progress
    run.at(StageName.CHECK_PREREQUISITES)
    first = run.plan.stage(StageName.CHECK_PREREQUISITES)
    for action in first.actions:
        run.tracker.skip(first, action)
    run.tracker.finish_stage(first)
    run.tracker.exit_stage(first)
    run.at(StageName.STOP_MONITORS)
    run.tracker.add_wait(run.plan.stage(StageName.STOP_MONITORS), gate())
    after = run.progress
    assert list(transitions(before, after)) == [
        "⏸ 1 stop_monitors: waiting",
        "waiting: redirect_traffic needs 1 approval by anyone",
        "  answer: switchover approve lab --stage redirect_traffic",
        '  answer: switchover reject lab --stage redirect_traffic --reason "..."',
    ]
    assert list(transitions(after, after)) == []
    assert list(transitions(None, after)) == list(transitions(before, after))


def test_a_second_failure_of_one_action_is_shown_again() -> None:
    """A retry that fails is shown; a retry in progress is not."""
    run = Seen()
    stage = run.plan.stage(StageName.STOP_MONITORS)
    run.tracker.enter_stage(stage)
    action = stage.actions[0]
    snapshots = [run.progress]
    for _ in range(2):
        run.fails(stage.name, action, "Refused", "no")
        snapshots.append(run.progress)
        run.tracker.begin(stage, action, 2)
        snapshots.append(run.progress)
    lines = [list(transitions(a, b)) for a, b in pairwise(snapshots)]
    line = f"✖ {action}: Refused: no"
    assert lines == [[line], [], [line], []]


def test_a_rollback_is_shown_stage_by_stage() -> None:
    """The same stage is shown again, as part of the rollback."""
    run = Seen()
    begun = {StageName.STOP_MONITORS: run.at(StageName.STOP_MONITORS)}
    before = run.progress
    undo = plan_rollback(run.plan, begun, Baseline(assume_all_ran=True))
    run.tracker.start_rollback(undo)
    turned = run.progress
    run.tracker.enter_stage(undo[0])
    run.tracker.resume_clock(undo[0])
    assert "the run is being rolled back, stage by stage" in list(transitions(before, turned))
    assert list(transitions(turned, run.progress)) == ["▶ rollback: 1 stop_monitors: running"]


def test_pauses_exceptions_and_further_questions_are_shown() -> None:
    """Everything that a terminal would show."""
    run = Seen()
    before = run.progress.model_copy(update={"waiting": gate()})
    remaining = RemainingSessions(node="cluster1-edge1", at=NOW, accounts=("partner001 over ssh",))
    after = before.model_copy(
        update={
            "state": RunStatus.PAUSED,
            "messages": (operator_message("pause", by="", way="signal"),),
            "also_waiting": (question("extend", remaining=(remaining,)),),
            "exceptions": ("ann skipped it",),
            "configuration_changes": (configuration_change(at=None),),
        }
    )
    lines = list(transitions(before, after))
    assert lines[0] == "pause, signal: noted"
    assert lines[1] == "exception: ann skipped it"
    assert lines[2] == ("configuration change: cluster1-server1: option Ssh.Port changed by eve")
    assert lines[3].startswith("paused since ")
    assert lines[3].endswith("; continue with: switchover resume lab")
    assert lines[4:] == [
        "waiting: cluster1-edge1: gone",
        "  remaining: cluster1-edge1: partner001 over ssh",
        "  answer: switchover extend lab --stage drain_protocol_servers --minutes 60",
    ]
    assert list(transitions(after, after)) == []


def test_nothing_that_people_write_moves_the_cursor() -> None:
    """Also where the output is no terminal."""
    evil = "\x1b[2J\r\u202e"
    progress = Seen().progress.model_copy(
        update={
            "messages": (operator_message("pause", by=evil, reason=evil, effect=evil),),
            "state": RunStatus.PAUSED,
            "waiting": gate(message=evil),
            "exceptions": (evil,),
        }
    )
    assert not set("".join(transitions(None, progress))) & set("\x1b\r\u202e")
