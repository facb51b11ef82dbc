"""What is told of a run, line by line, where there is no screen."""

from __future__ import annotations

from itertools import pairwise

from starter.views.transitions import transitions
from tests.support.sample_runs import NOW, Seen, gate, question, told
from workflows.model.progress import RunStatus
from workflows.model.results import RemainingSessions
from workflows.model.stages import StageName
from workflows.planning.rollback import Baseline, plan_rollback


def test_every_transition_is_told_once() -> None:
    """What was told after one look is not told after the next."""
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
        "waits: redirect_traffic needs 1 approval(s), by anyone",
        "  answer: switchover approve lab --stage redirect_traffic",
        '  answer: switchover reject lab --stage redirect_traffic --reason "..."',
    ]
    assert list(transitions(after, after)) == []
    assert list(transitions(None, after)) == list(transitions(before, after))


def test_a_second_fault_of_one_order_is_told_again() -> None:
    """A retry that fails is news; a retry that is under way is not."""
    run = Seen()
    stage = run.plan.stage(StageName.STOP_MONITORS)
    run.tracker.enter_stage(stage)
    action = stage.actions[0]
    looks = [run.progress]
    for _ in range(2):
        run.fails(stage.name, action, "Refused", "no")
        looks.append(run.progress)
        run.tracker.begin(stage, action, 2)
        looks.append(run.progress)
    news = [list(transitions(a, b)) for a, b in pairwise(looks)]
    words = f"✖ {action}: Refused: no"
    assert news == [[words], [], [words], []]


def test_a_roll_back_is_told_as_it_goes() -> None:
    """The same stage is told again, as one that is taken back."""
    run = Seen()
    begun = {StageName.STOP_MONITORS: run.at(StageName.STOP_MONITORS)}
    before = run.progress
    undo = plan_rollback(run.plan, begun, Baseline(assume_all_ran=True))
    run.tracker.start_rollback(undo)
    turned = run.progress
    run.tracker.enter_stage(undo[0])
    run.tracker.resume_clock(undo[0])
    assert "the run is taken back, stage by stage" in list(transitions(before, turned))
    assert list(transitions(turned, run.progress)) == ["▶ back: 1 stop_monitors: running"]


def test_pauses_exceptions_and_further_waits_are_told() -> None:
    """Everything that a screen would show."""
    run = Seen()
    before = run.progress.model_copy(update={"waiting": gate()})
    left = RemainingSessions(node="cluster1-edge1", at=NOW, accounts=("partner001 over ssh",))
    after = before.model_copy(
        update={
            "state": RunStatus.PAUSED,
            "messages": (told("pause", by="", way="signal"),),
            "also_waiting": (question("extend", remaining=(left,)),),
            "exceptions": ("ann skipped it",),
        }
    )
    news = list(transitions(before, after))
    assert news[0] == "pause, signal: noted"
    assert news[1] == "exception: ann skipped it"
    assert news[2].endswith("by someone; go on with: switchover resume lab")
    assert news[3:] == [
        "waits: cluster1-edge1: gone",
        "  still there: cluster1-edge1: partner001 over ssh",
        "  answer: switchover extend lab --stage drain_protocol_servers --minutes 60",
    ]
    assert list(transitions(after, after)) == []


def test_nothing_that_people_write_moves_the_cursor() -> None:
    """Also where lines are told."""
    evil = "\x1b[2J\r\u202e"
    progress = Seen().progress.model_copy(
        update={
            "messages": (told("pause", by=evil, reason=evil, effect=evil),),
            "state": RunStatus.PAUSED,
            "waiting": gate(message=evil),
            "exceptions": (evil,),
        }
    )
    assert not set("".join(transitions(None, progress))) & set("\x1b\r\u202e")
