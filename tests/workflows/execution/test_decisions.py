"""Decisions of operators take effect, or are refused with the reason."""

import asyncio

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.support.run import Run, at_work, new_run
from workflows.errors import CommandFailed, NotReady, Unresolved
from workflows.model.progress import Progress, RunStatus, Status
from workflows.model.results import Service
from workflows.model.stages import StageName

EDGE = "cluster1-edge1"
SERVER = "cluster1-server1"
DRAIN = StageName.DRAIN_PROTOCOL_SERVERS
SESSIONS = f"await_sessions.{EDGE}"
HOOK = {"url": "env:HOOK", "secret": "env:HOOK_SECRET"}


def is_running(progress: Progress, key: str) -> bool:
    """Whether an action is being executed."""
    return any(
        o.status is Status.RUNNING for s in progress.stages for o in s.actions if o.key == key
    )


async def refused(run: Run, verb: str, **decision: object) -> str:
    """Send a decision that cannot apply; return why it is refused."""
    with pytest.raises(WorkflowUpdateFailedError) as refusal:
        await run.says(verb, **decision)
    assert isinstance(refusal.value.cause, ApplicationError)
    assert refusal.value.cause.non_retryable
    return refusal.value.cause.message


async def test_after_a_pause_nothing_new_begins(run: Run) -> None:
    """Actions in progress end; the next action waits for a resume."""
    held = f"stop_monitor.{EDGE}"
    run.fakes.held[held] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: is_running(p, held))
    assert "nothing new begins" in await run.says("pause", by="ann")
    assert "is paused already" in await run.says("pause", by="bob")
    run.fakes.held[held].set()
    progress = await run.reaches(lambda p: p.stages[1].status is Status.DONE)
    assert progress.state is RunStatus.PAUSED
    asked = set(run.fakes.asked)
    with pytest.raises(AssertionError):
        await run.reaches(lambda p: p.stages[2].status is Status.DONE, polls=10)
    assert set(run.fakes.asked) == asked
    await run.says("resume", by="ann")
    await run.ends("completed")


async def test_only_a_paused_run_can_be_resumed(run: Run) -> None:
    """A resume says so where there is nothing to resume."""
    run.fakes.held[SESSIONS] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: p.stage is DRAIN)
    assert await refused(run, "resume") == "the run is not paused"


async def test_a_pause_calls_back_what_waits_to_be_tried_again(run: Run) -> None:
    """An effect that the engine would retry begins nothing during a pause, and goes on after it."""
    key = f"stop_monitor.{EDGE}"
    run.fakes.silent.add(key)
    await run.start()
    await run.reaches(lambda _: run.fakes.asked[f"stop_monitors.{key}.1"] > 1)
    await run.says("pause", by="ann")
    await run.engine_is_idle()
    asked = run.fakes.asked[f"stop_monitors.{key}.1"]
    run.fakes.silent.discard(key)
    assert (EDGE, Service.MONITOR) in run.fakes.world.running
    await run.says("resume", by="ann")
    await run.ends("completed")
    assert run.fakes.asked[f"stop_monitors.{key}.1"] == asked + 1
    assert run.fakes.asked[f"stop_monitors.{key}.2"] == 0


async def test_a_gate_is_not_passed_while_paused(run: Run) -> None:
    """An approval counts during a pause, and opens the gate after it."""
    await run.start(approve_before=["redirect_traffic"])
    await run.waits("approval")
    await run.says("pause")
    await run.says("approve", stage="redirect_traffic", by="ann")
    progress = await run.status()
    assert progress is not None
    assert progress.state is RunStatus.PAUSED
    assert len(run.fakes.world.replicating) == 2
    await run.says("resume")
    await run.ends("completed")


async def test_a_retry_of_a_resume_compares_both_sides_again(run: Run) -> None:
    """The comparison before it may be too old by then, and a resume alone could not pass."""
    link, stage = "cluster1_to_cluster2", "suspend_replication.undo"
    run.fakes.failures[f"stop_scheduling.{SERVER}"] = [NotReady("not now")]
    run.fakes.failures[f"resume_replication.{link}"] = [NotReady("no recent comparison")]
    await run.start()
    await run.waits("decision")
    await run.says("roll_back", by="ann", reason="not tonight")
    await run.reaches(lambda p: "no recent comparison" in str(p.waiting))
    assert run.fakes.asked[f"{stage}.verify_no_conflicts.{link}.1"] == 1
    await run.says("retry", stage="suspend_replication", by="ann")
    assert (await run.outcome()).outcome == "rolled_back"
    assert run.fakes.asked[f"{stage}.verify_no_conflicts.{link}.2"] == 1
    assert run.fakes.asked[f"{stage}.resume_replication.{link}.2"] == 1


@pytest.mark.parametrize(
    ("verification", "effect", "refused"),
    [
        (
            "verify_traffic.cluster2.ssh",
            "redirect.loadbalancer1.cluster2",
            NotReady("still lands there"),
        ),
        (
            f"verify_scheduling_stopped.{SERVER}",
            f"stop_scheduling.{SERVER}",
            NotReady("it moved here"),
        ),
    ],
)
async def test_a_retry_makes_the_effect_again_that_was_found_missing(
    verification: str, effect: str, refused: Exception, run: Run
) -> None:
    """To verify alone, again and again, would never bring the state about."""
    run.fakes.failures[verification] = [refused]
    await run.start()
    await run.waits("decision")
    progress = await run.status()
    assert progress is not None
    assert run.fakes.asked[f"{progress.stage}.{effect}.2"] == 0
    await run.says("retry", stage=progress.stage, by="ann")
    await run.ends("completed")
    for key in (effect, verification):
        assert run.fakes.asked[f"{progress.stage}.{key}.2"] == 1


async def test_an_unreadable_verification_is_made_again_alone(run: Run) -> None:
    """Where nothing was found missing, an effect that may hold is not made again."""
    verification = "verify_traffic.cluster2.ssh"
    run.fakes.failures[verification] = [Unresolved("no session list can be read")]
    await run.start()
    await run.waits("decision")
    await run.says("retry", stage="redirect_traffic", by="ann")
    await run.ends("completed")
    assert run.fakes.asked[f"redirect_traffic.{verification}.1"] == 2
    assert run.fakes.asked["redirect_traffic.redirect.loadbalancer1.cluster2.2"] == 0


async def test_a_failed_repetition_is_asked_about_with_what_it_is_for(run: Run) -> None:
    """Both failures stand in the question, and the next retry makes both again."""
    verification, effect = "verify_traffic.cluster2.ssh", "redirect.loadbalancer1.cluster2"
    run.fakes.failures[verification] = [NotReady("still lands there")]
    await run.start()
    await run.waits("decision")
    run.fakes.failures[effect] = [CommandFailed("no reload")]
    await run.says("retry", stage="redirect_traffic", by="ann")
    await run.reaches(
        lambda p: "no reload" in str(p.waiting) and "still lands there" in str(p.waiting)
    )
    await run.says("retry", stage="redirect_traffic", by="ann")
    await run.ends("completed")
    assert run.fakes.asked[f"redirect_traffic.{effect}.3"] == 1


async def test_a_roll_back_ends_a_pause(run: Run) -> None:
    """A rollback needs no resume before it."""
    before = run.fakes.world.picture
    await run.start(approve_before=["redirect_traffic"])
    await run.waits("approval")
    await run.says("pause")
    await run.says("roll_back", by="ann", reason="not tonight")
    await run.ends("rolled_back")
    assert run.fakes.world.picture == before


@pytest.mark.parametrize(
    "name",
    [StageName.START_SCHEDULING, StageName.STOP_REMAINING_SERVICES, StageName.RESTORE_MONITORS],
)
async def test_a_skippable_stage_is_skipped(temporal: Client, name: StageName) -> None:
    """Before it begins, with a reason; the outcome is then completed with exceptions."""
    async with at_work(run := new_run(temporal, stop_target_monitors=True)):
        await run.start(approve_before=["drain_protocol_servers", "redirect_traffic"])
        await run.waits("approval")
        await run.says("skip", stage=name, by="ann", reason="by hand")
        await run.says("approve", stage="redirect_traffic")
        await run.says("approve", stage="drain_protocol_servers")
        outcome = await run.ends("completed_with_exceptions")
    assert outcome.stages[name.number].status is Status.SKIPPED
    assert any("ann skipped" in words and "by hand" in words for words in outcome.exceptions)


async def test_a_skip_answers_a_failure_on_one_node(run: Run) -> None:
    """Only the failed action is skipped; the rest of the stage is done."""
    run.fakes.failures["stop_remaining.cluster1-edge1"] = [CommandFailed("no")]
    await run.start()
    question = await run.waits("decision")
    assert "skip" in question.answers
    await run.says("skip", stage="stop_remaining_services", node=EDGE, by="ann", reason="by hand")
    await run.ends("completed_with_exceptions")
    assert ("cluster1-edge2", Service.ADMIN) not in run.fakes.world.running
    assert (EDGE, Service.ADMIN) in run.fakes.world.running


@pytest.mark.parametrize(
    ("verb", "decision", "words"),
    [
        ("skip", {"stage": "start_scheduling", "reason": "x"}, "start_scheduling is over"),
        ("skip", {"stage": "start_scheduling"}, "skip needs a reason"),
        ("force", {"stage": DRAIN}, "force needs a reason"),
        ("force", {"stage": DRAIN, "node": "cluster2-edge1", "reason": "x"}, "it waits at cluster"),
        ("force", {"stage": DRAIN, "node": "elsewhere", "reason": "x"}, "there is no elsewhere"),
        ("retry", {"stage": DRAIN}, "the run waits for no decision now"),
        ("reject", {"stage": DRAIN, "reason": "late"}, "has no gate"),
    ],
)
async def test_what_cannot_apply_is_refused_with_the_reason(
    run: Run, verb: str, decision: dict[str, object], words: str
) -> None:
    """In a drain, an update is refused and a signal is recorded, both with the reason."""
    run.fakes.held[SESSIONS] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: is_running(p, SESSIONS))
    assert words in await refused(run, verb, **decision)
    await run.handle.signal(verb, decision)
    progress = await run.reaches(lambda p: bool(p.messages))
    assert [message.counted for message in progress.messages] == [False]
    assert words in progress.messages[0].effect


async def test_the_drain_timeout_is_extended_for_one_node(temporal: Client) -> None:
    """The question names the clients; an extension answers it, and the wait continues."""
    async with at_work(run := new_run(temporal, timing={"drain_timeout": 0.5})):
        run.fakes.held[SESSIONS] = asyncio.Event()
        await run.start()
        question = await run.waits("decision")
        assert question.answers == ("extend", "force", "roll_back", "abort")
        assert f"{EDGE}: 1 ssh; partner001 over ssh" in question.message
        assert [one.node for one in question.remaining] == [EDGE]
        assert "nothing has failed" in await refused(run, "retry", stage=DRAIN)
        await run.says("extend", stage=DRAIN, node=EDGE, minutes=60, by="ann")
        await run.reaches(lambda p: p.waiting is None and is_running(p, SESSIONS))
        run.fakes.held[SESSIONS].set()
        outcome = await run.ends("completed")
    assert outcome.exceptions == ()
    assert run.fakes.asked[f"drain_protocol_servers.{SESSIONS}.1"] == 1


async def test_a_forced_wait_ends_and_names_the_clients(run: Run) -> None:
    """Before the drain timeout expires, for one node: the run still waits for the others."""
    other = "await_sessions.cluster1-edge2"
    run.fakes.held |= {SESSIONS: asyncio.Event(), other: asyncio.Event()}
    await run.start()
    await run.reaches(lambda p: is_running(p, SESSIONS))
    words = await run.says("force", stage=DRAIN, node=EDGE, by="ann", reason="he was informed")
    assert "waits no longer" in words
    await run.reaches(lambda p: not is_running(p, SESSIONS))
    progress = await run.status()
    assert progress is not None
    assert is_running(progress, other)
    assert run.fakes.world.stopped_gracefully == []
    run.fakes.held[other].set()
    outcome = await run.ends("completed_with_exceptions")
    [exception] = outcome.exceptions
    assert "ann" in exception
    assert "he was informed" in exception
    assert "partner001 over ssh" in exception
    assert [finding.name for finding in outcome.findings] == ["wait_forced"]


async def test_a_forced_queue_names_what_is_stranded(run: Run) -> None:
    """Stage 7 goes on although events are queued, and says which."""
    run.fakes.held["await_queue.cluster1-server1"] = asyncio.Event()
    await run.start()
    await run.reaches(lambda p: is_running(p, "await_queue.cluster1-server1"))
    await run.says("force", stage="drain_transaction_manager", by="ann", reason="partner is down")
    outcome = await run.ends("completed_with_exceptions")
    assert "event 17" in outcome.exceptions[0]


async def test_a_node_confirmed_unreachable_counts_as_down(run: Run) -> None:
    """It is asked nothing more, in this stage and in all later ones."""
    silence = ApplicationError("no answer", type="Unreachable", non_retryable=True)
    run.fakes.failures[f"stop_gracefully.{EDGE}.ssh"] = [silence]
    run.fakes.failures[f"stop_gracefully.{EDGE}.http"] = [silence]
    await run.start()
    question = await run.waits("decision")
    assert "force" in question.answers
    run.fakes.world.dies(EDGE)
    assert "name the node that is down" in await refused(run, "force", stage=DRAIN, reason="dead")
    await run.says("force", stage=DRAIN, node=EDGE, by="ann", reason="its power is off")
    outcome = await run.ends("completed_with_exceptions")
    assert f"{EDGE} counts as down" in outcome.exceptions[0]
    assert run.fakes.asked[f"drain_protocol_servers.verify_unreachable.{EDGE}.1"] == 1
    later = [name for name in run.fakes.asked if name.startswith(("drain_t", "stop_rem"))]
    assert later
    assert not any(EDGE in name for name in later)


async def test_a_node_that_still_answers_does_not_count_as_down(run: Run) -> None:
    """The run verifies it, asks again, and names what answered."""
    silence = ApplicationError("no answer", type="Unreachable", non_retryable=True)
    run.fakes.failures[f"stop_gracefully.{EDGE}.ssh"] = [silence]
    await run.start()
    await run.waits("decision")
    await run.says("force", stage=DRAIN, node=EDGE, by="ann", reason="its power is off")
    await run.reaches(lambda p: p.waiting is not None and "it is not down" in p.waiting.message)
    await run.says("retry", stage=DRAIN, by="ann")
    await run.ends("completed")


async def test_force_refuses_a_node_that_answered(run: Run) -> None:
    """A refusal comes from a living node."""
    run.fakes.failures[f"stop_gracefully.{EDGE}.ssh"] = [CommandFailed("it said no")]
    await run.start()
    await run.waits("decision")
    words = await refused(run, "force", stage=DRAIN, node=EDGE, reason="dead")
    assert "cluster1-edge1 has answered" in words


async def test_two_approvals_need_two_approvers(temporal: Client) -> None:
    """An approver counts once, and an operator who is no approver does not count."""
    rules = {"approvals": {"approvers": ["ann", "bob", "cid"], "needed": 2}}
    async with at_work(run := new_run(temporal, approve_before=[DRAIN], **rules)):
        await run.start()
        await run.waits("approval")
        assert "1 of 2" in await run.says("approve", stage=DRAIN, by="ann")
        assert "already" in await run.says("approve", stage=DRAIN, by="ann")
        assert "approvers: ann, bob, cid" in await refused(run, "approve", stage=DRAIN, by="eve")
        assert (await run.waits("approval")).approved_by == ("ann",)
        await run.says("approve", stage=DRAIN, by="bob")
        await run.ends("completed")


@pytest.mark.parametrize("down", [False, True])
async def test_a_webhook_gets_notices_of_waits_and_of_the_end(
    temporal: Client, *, down: bool
) -> None:
    """A webhook that is down changes nothing: the run does not wait for a delivery."""
    async with at_work(run := new_run(temporal, webhook=HOOK)):
        run.fakes.refuses_notices = down
        await run.start(approve_before=[DRAIN])
        await run.waits("approval")
        await run.says("approve", stage=DRAIN, by="ann")
        await run.ends("completed")
    notices = [(n.kind, n.outcome, n.answers, n.workflow_id) for n in run.fakes.notices]
    waiting = ("waiting", None, ("approve", "reject"), run.handle.id)
    assert notices[:1] == ([] if down else [waiting])
    assert [notice[:2] for notice in notices[1:]] == ([] if down else [("ended", "completed")])
