"""What the Web UI shows of a run, without any query."""

import json
import re

from tests.support.sample_runs import NOW, Seen, gate, operator_message, question
from workflows.model.decisions import VERBS, missing, parse_decision
from workflows.model.estate import Protocol
from workflows.model.progress import RunStatus
from workflows.model.results import RemainingSessions
from workflows.model.stages import STAGES, StageName
from workflows.planning.rollback import Baseline, plan_rollback
from workflows.views.progress_markdown import details, plain
from workflows.views.suggested_answers import Answer, answers


def offered(text: str) -> list[Answer]:
    """Return every message that the text tells a reader to send."""
    pattern = r"`temporal workflow signal --workflow-id switchover-lab --name (\w+) --input '(.+)'`"
    return [(verb, json.loads(payload)) for verb, payload in re.findall(pattern, text)]


def test_a_gate_is_shown_with_the_messages_that_answer_it() -> None:
    """Whoever reads it can copy the command."""
    run = Seen(approve_before=["redirect_traffic"])
    run.at(StageName.SUSPEND_REPLICATION)
    run.tracker.add_wait(run.plan.stage(StageName.SUSPEND_REPLICATION), gate())
    run.state.approvals[StageName.REDIRECT_TRAFFIC] = ["ann"]
    text = details(run.progress)
    assert "waiting for approval" in text
    assert (
        "`temporal workflow signal --workflow-id switchover-lab --name approve "
        '--input \'{"stage": "redirect_traffic", "by": "..."}\'`'
    ) in text
    assert [verb for verb, _ in offered(text)] == ["approve", "reject"]
    assert "Approved so far by ann" in text
    assert "| ⏸ | 2 `suspend_replication` | 0 of 3 |" in text
    assert "| · | 3 `redirect_traffic`, gated | 0 of 3 |" in text


def test_every_answer_has_all_that_its_verb_needs() -> None:
    """What is copied is never refused because something is missing."""
    waiting = question(*VERBS, silent=("cluster1-edge1", "cluster1-edge2"))
    given = answers(waiting)
    assert dict.fromkeys(verb for verb, _ in given) == dict.fromkeys(VERBS)
    assert [missing(verb, parse_decision([payload])) for verb, payload in given] == [None] * 11
    dead = [payload["node"] for verb, payload in given if verb == "force"]
    assert dead == ["cluster1-edge1", "cluster1-edge2"]
    assert dict(given)["extend"]["minutes"] == 60


def test_several_questions_are_all_shown_with_the_clients_they_concern() -> None:
    """Where nodes go at their own pace, several of them may ask at once."""
    run = Seen(variant="by_node")
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    run.at(stage.name)
    sessions = RemainingSessions(
        node="cluster1-server1",
        at=NOW,
        connections={Protocol.SSH: 2},
        accounts=("*partner001* over ssh",),
    )
    run.tracker.add_wait(stage, question("extend", remaining=(sessions,)))
    run.tracker.add_wait(stage, question("retry", message="cluster1-server2: no answer"))
    text = details(run.progress)
    assert [verb for verb, _ in offered(text)] == ["extend", "retry"]
    assert r"- cluster1\-server1: 2 ssh; \*partner001\* over ssh" in text
    assert r"cluster1\-server2: no answer" in text


def test_every_stage_has_its_row_and_the_current_one_its_actions() -> None:
    """Failures stand beside their action; the text of a node is no Markdown."""
    run = Seen()
    first, second, *_ = run.at(StageName.STOP_MONITORS)
    run.fails(StageName.STOP_MONITORS, first, "CommandFailed", "*no*")
    run.tracker.skip(run.plan.stage(StageName.STOP_MONITORS), second)
    text = details(run.progress)
    assert [line for line in text.splitlines() if "`check_prerequisites`" in line]
    assert all(f"`{name}`" in text for name in STAGES["switchover"])
    assert r"✖ stop the Monitor on cluster1\-server1: CommandFailed: \*no\*" in text
    assert r"- - stop the Monitor on cluster1\-server2 \(skipped\)" in text


def test_chains_are_shown_node_by_node() -> None:
    """In the by_node variant a stage alone does not say where a Server is."""
    run = Seen(variant="by_node")
    stage = run.plan.stage(StageName.DRAIN_PROTOCOL_SERVERS)
    run.tracker.begin(stage, run.at(stage.name)[0], 1)
    text = details(run.progress)
    assert r"| cluster1\-edge1 | ▶ 0 of 3 | · 0 of 1 | · 0 of 1 |" in text
    assert r"| cluster1\-server1 | · 0 of 3 | · 0 of 6 | · 0 of 1 |" in text
    assert "| node |" not in details(Seen().progress)


def test_a_rollback_is_shown_first() -> None:
    """With its own table, and its own actions."""
    run = Seen()
    begun = {StageName.STOP_MONITORS: run.at(StageName.STOP_MONITORS)}
    undo = plan_rollback(run.plan, begun, Baseline(assume_all_ran=True))
    run.rolls_back(undo)
    text = details(run.progress)
    assert "rolling back" in text
    assert text.index("**Rollback**") < text.index("`check_prerequisites`")
    assert "**1 Roll back: Stop the Monitors of the source**" in text
    assert r"start the Monitor on cluster1\-server1" in text
    assert "stop the Monitor on" not in text


def test_a_pause_is_shown_with_the_message_that_ends_it() -> None:
    """And with the operator and the reason."""
    messages = (operator_message("pause", by="<ann>", reason="lunch"),)
    progress = Seen().progress.model_copy(update={"state": RunStatus.PAUSED, "messages": messages})
    text = details(progress)
    assert r"Paused at 2026-01-02 03:04:05 UTC by \<ann\> \(lunch\)" in text
    assert offered(text) == [("resume", {"by": "..."})]


def test_what_changed_nothing_is_shown() -> None:
    """A misspelt signal does not vanish."""
    messages = operator_message("aprove", by="", effect="unknown signal", counted=False)
    counted = operator_message(
        "reject", stage=StageName.REDIRECT_TRAFFIC, reason="no", effect="it is rejected"
    )
    text = details(Seen().progress.model_copy(update={"messages": (counted, messages)}))
    assert "**Messages that changed nothing**\n\n- aprove: unknown signal" in text
    assert "**Decisions**" in text
    assert r"- reject redirect\_traffic by ann \(no\): it is rejected" in text


def test_what_people_wrote_is_never_markdown() -> None:
    """Reasons, names and exceptions are shown as they were written, control characters are not."""
    evil = "# [x](http://e) <b>|`*_~ \x1b[2J\n- ![i](j)"
    progress = Seen().progress.model_copy(
        update={
            "reason": evil,
            "exceptions": (evil,),
            "messages": (operator_message(evil, by=evil, effect=evil, counted=False),),
            "waiting": gate(message=evil, approved_by=(evil,)),
        }
    )
    text = details(progress)
    assert text.count(plain(evil)) == 7
    assert evil not in text
    assert "\x1b" not in text
    assert plain("a\x1b[31mred\nline") == r"a \[31mred line"
    assert plain(evil).startswith(r"\# \[x\]\(http&#58;//e\) \<b\>\|\`\*\_\~")


def test_an_ended_run_says_how() -> None:
    """And what was never begun is marked as such."""
    run = Seen()
    run.tracker.add_exception("ann skipped it")
    run.tracker.close("aborted")
    text = details(run.progress)
    assert "cluster1 → cluster2, aborted" in text
    assert "| - | 9 `restore_monitors` |" in text
    assert "**Exceptions**\n\n- ann skipped it" in text
