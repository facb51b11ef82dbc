"""What a run remembers decides which decisions concern it."""

from datetime import timedelta

from tests.support.sample_runs import NOW, Seen, question
from workflows.model.decisions import Decision
from workflows.model.stages import StageName
from workflows.run.inbox import Inbox

EDGE = "cluster1-edge1"
DRAIN = StageName.DRAIN_PROTOCOL_SERVERS


def test_a_force_without_a_node_answers_no_failure() -> None:
    """It ends the open waits of its stage; a node is declared down only by its name."""
    run = Seen()
    run.state.drain_waits[DRAIN, "cluster1-server1"] = 0
    run.state.decisions.append(("force", Decision(stage=DRAIN, reason="x")))
    failed = question("retry", "force")
    assert run.state.answers(failed, [EDGE], 0) == []
    assert run.state.forced(run.plan.stage(DRAIN), "cluster1-server1") is not None


def test_a_decision_answers_only_later_questions_of_its_node() -> None:
    """What was decided before a question was asked is no answer to it."""
    run = Seen()
    retry = Decision(stage=DRAIN, node=EDGE)
    run.state.decisions.append(("retry", retry))
    failed = question("retry")
    assert run.state.answers(failed, [EDGE], 0) == [("retry", retry)]
    assert run.state.answers(failed, [EDGE], 1) == []
    assert run.state.answers(failed, ["cluster1-edge2"], 0) == []


def test_whatever_an_operator_can_see_raises_the_version() -> None:
    """The Web UI shows the state again whenever the version has risen."""
    run = Seen()
    inbox, seen = Inbox(run.state, lambda: NOW), [run.state.version]
    inbox.receive("pause", Decision(by="ann"), "signal")
    seen.append(run.state.version)
    run.at(StageName.STOP_MONITORS)
    seen.append(run.state.version)
    run.tracker.add_exception("ann skipped it")
    seen.append(run.state.version)
    assert seen == sorted(set(seen))


def test_an_early_approval_counts_once_the_plan_is_there() -> None:
    """Before the plan no one knows the gates; afterwards the approval is judged."""
    run = Seen(approve_before=["redirect_traffic"])
    plan, run.state.plan = run.state.plan, None
    inbox = Inbox(run.state, lambda: NOW + timedelta(seconds=1))
    approval = Decision(stage=StageName.REDIRECT_TRAFFIC, by="ann")
    assert "as soon as the run has a plan" in inbox.receive("approve", approval, "signal")
    run.state.plan = plan
    inbox.activate()
    assert run.state.is_approved(StageName.REDIRECT_TRAFFIC)
    assert [message.effect for message in run.state.messages] == ["redirect_traffic is approved"]
