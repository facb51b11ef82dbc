"""Every decision, sent with the `temporal` CLI at the moment it is needed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from tests.support import estates
from tests.support.run import Run, at_work
from tests.support.temporal_cli import Cli, no_task_failed
from workflows.errors import CommandFailed, Lost
from workflows.model.decisions import VERBS, Verb
from workflows.model.progress import RunStatus

GATE = {"approve_before": ["stop_monitors"]}
DRAIN = "await_sessions.cluster1-edge1"


@dataclass(frozen=True)
class Scene:
    """A run that waits for just this decision, and how it ends after it."""

    outcome: str
    payload: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=lambda: GATE)
    fails: str = ""
    held: str = ""
    before: tuple[Verb, ...] = ()
    after: tuple[Verb, ...] = ()


SCENES: dict[Verb, Scene] = {
    "approve": Scene("completed", {"stage": "stop_monitors"}),
    "reject": Scene("rolled_back", {"stage": "stop_monitors"}),
    "pause": Scene("completed", after=("resume", "approve")),
    "resume": Scene("completed", before=("pause",), after=("approve",)),
    "retry": Scene(
        "completed", {"stage": "stop_monitors"}, {}, fails="stop_monitor.cluster1-edge1"
    ),
    "skip": Scene(
        "completed_with_exceptions",
        {"stage": "stop_remaining_services", "node": "cluster1-edge1"},
        {},
        fails="stop_remaining.cluster1-edge1",
    ),
    "extend": Scene(
        "completed", {"stage": "drain_protocol_servers", "minutes": 60}, {}, held=DRAIN
    ),
    "force": Scene(
        "completed_with_exceptions", {"stage": "drain_protocol_servers"}, {}, held=DRAIN
    ),
    "roll_back": Scene("rolled_back", {}, {"approve_before": ["redirect_traffic"]}),
    "abort": Scene("aborted"),
}


@pytest.fixture
def cli(temporal: Client) -> Cli:
    """An operator at a shell."""
    return Cli(temporal)


@pytest.fixture
async def run(temporal: Client, request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    """A run of an estate of its own, with a worker, and with a short drain timeout."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())
    name = name.removeprefix("test-").strip("-")[:50].rstrip("-")
    run = Run(temporal, estates.estate(name=name, timing={"drain_timeout": 1}))
    async with at_work(run):
        yield run


def test_there_is_a_scene_for_every_verb() -> None:
    """A new verb is not accepted without a scene here."""
    assert tuple(SCENES) == VERBS


@pytest.mark.parametrize("way", ["signal", "update"])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_is_taken_and_recorded(run: Run, cli: Cli, verb: Verb, way: str) -> None:
    """Who decided what, when, why and how: all of it is in the outcome."""
    scene = SCENES[verb]
    words = {**scene.payload, "by": "ann", "reason": "since `x` <b>failed</b>"}
    if scene.fails:
        run.fakes.failures[scene.fails] = [CommandFailed("no")]
    if scene.held:
        run.fakes.held[scene.held] = asyncio.Event()
    await run.start(**scene.request)
    await run.reaches(lambda progress: progress.waiting is not None)
    for other in scene.before:
        await run.handle.signal(other, {"by": "bob"})

    send = cli.signals if way == "signal" else cli.updates
    answer = await send(run, verb, words)
    assert answer.code == 0, answer
    progress = await run.reaches(lambda p: any(s.by == "ann" for s in p.messages))
    assert (progress.state is RunStatus.PAUSED) == (verb == "pause")

    for other in scene.after:
        await run.handle.signal(other, {"stage": "stop_monitors", "by": "bob"})
    if verb == "extend":
        await run.reaches(lambda p: p.waiting is None)
        run.fakes.held[scene.held].set()
    outcome = await run.outcome()
    assert outcome.outcome == scene.outcome
    [decision] = [one for one in outcome.decisions if one.by == "ann"]
    assert (decision.verb, decision.way, decision.counted) == (verb, way, True)
    assert (decision.stage, decision.node) == (words.get("stage"), words.get("node"))
    assert decision.reason == words["reason"]
    assert outcome.started <= decision.at <= outcome.ended
    assert way == "signal" or decision.effect in answer.text
    assert run.fakes.world.violations == []
    assert await no_task_failed(run)


BAD: list[tuple[Verb, dict[str, Any], str]] = [
    ("approve", {"stage": "lunch", "by": "ann"}, "stage: "),
    ("approve", {"stage": "restore_monitors", "by": "ann"}, "has no gate in this run"),
    ("approve", {"by": "ann"}, "approve needs a stage"),
    ("approve", {"stage": "stop_monitors", "by": "mallory"}, "mallory may not answer"),
    ("approve", {"stage": "stop_monitors"}, "a decision without `by` may not answer"),
    ("reject", {"stage": "stop_monitors", "by": "ann"}, "reject needs a reason"),
    ("reject", {"stage": "stop_monitors", "by": "ann", "reason": "x" * 1001}, "reason: "),
    ("approve", {"stage": "stop_monitors", "by": "a" * 101}, "by: "),
    ("approve", {"stage": "stop_monitors", "by": "ann", "mood": "good"}, "mood: "),
    ("resume", {"by": "ann"}, "the run is not paused"),
    ("retry", {"stage": "stop_monitors", "by": "ann"}, "the run waits for no decision"),
    ("skip", {"stage": "redirect_traffic", "reason": "x"}, "cannot be skipped"),
    ("extend", {"stage": "drain_protocol_servers"}, "extend needs minutes"),
    ("extend", {"stage": "stop_monitors", "minutes": 5}, "has no drain timeout"),
    ("extend", {"stage": "drain_protocol_servers", "minutes": 0}, "minutes: "),
    ("force", {"stage": "drain_protocol_servers", "reason": "x"}, "no failure that can be forced"),
    ("pause", {"node": "cluster9-edge1"}, "there is no cluster9-edge1"),
    ("roll_back", {"by": "ann"}, "roll_back needs a reason"),
    ("abort", {"by": "ann", "reason": " "}, "abort needs a reason"),
]
GUARDED = GATE | {"approvers": ["ann", "bob"]}


async def test_a_bad_signal_is_recorded_and_changes_nothing(run: Run, cli: Cli) -> None:
    """The objection is in the progress and in the Web UI, and the gate stays closed."""
    await run.start(**GUARDED)
    await run.waits("approval")
    answers = await asyncio.gather(*(cli.signals(run, verb, words) for verb, words, _ in BAD))
    assert {answer.code for answer in answers} == {0}
    progress = await run.reaches(lambda p: len(p.messages) == len(BAD))
    assert not any(message.counted for message in progress.messages)
    for verb, _, objection in BAD:
        assert any(s.verb == verb and objection in s.effect for s in progress.messages), objection
    assert progress.waiting is not None
    assert progress.waiting.approved_by == ()
    assert "Messages that changed nothing" in await cli.details(run)
    await run.handle.signal("approve", {"stage": "stop_monitors", "by": "ann"})
    await run.ends("completed")
    assert await no_task_failed(run)


async def test_a_bad_update_is_refused_with_the_reason(run: Run, cli: Cli) -> None:
    """The sender gets the objection at once, and the history has no trace of it."""
    await run.start(**GUARDED)
    await run.waits("approval")
    answers = await asyncio.gather(*(cli.updates(run, verb, words) for verb, words, _ in BAD))
    for answer, (verb, _, objection) in zip(answers, BAD, strict=True):
        assert (answer.code, objection in answer.text) == (1, True), (verb, objection, answer)
    progress = await run.status()
    assert progress is not None
    assert progress.messages == ()
    assert progress.waiting is not None
    await run.handle.execute_update("approve", {"stage": "stop_monitors", "by": "bob"})
    await run.ends("completed")
    assert await no_task_failed(run)


async def test_what_cannot_be_read_is_recorded(run: Run, cli: Cli) -> None:
    """No object, two objects, no JSON at all, an unknown encoding, an unknown name."""
    await run.start(**GATE)
    await run.waits("approval")
    place = ("--workflow-id", run.handle.id)
    one = '{"stage": "stop_monitors"}'
    sent = [
        ("approve", "--input", '"stop_monitors"'),
        ("approve", "--input", "[]"),
        ("approve", "--input", one, "--input", one),
        ("approve",),
        ("approve", "--input", "x", "--input-meta", "encoding=binary/plain"),
        ("approve", "--input", "x", "--input-meta", "encoding=binary/encrypted"),
        ("aprove", "--input", one),
        ("aprove", "--input", "x", "--input-meta", "encoding=binary/encrypted"),
    ]
    for name, *more in sent:
        message = ("--name", name, *more)
        assert (await cli.types("workflow", "signal", *place, *message)).code == 0
        assert (await cli.types("workflow", "update", "execute", *place, *message)).code == 1
    progress = await run.reaches(lambda p: len(p.messages) == len(sent))
    assert not any(message.counted for message in progress.messages)
    assert {message.verb for message in progress.messages} == {"approve", "aprove"}
    misspelt = [message.effect for message in progress.messages if message.verb == "aprove"]
    assert all("known are approve" in effect for effect in misspelt)
    await run.handle.signal("approve", {"stage": "stop_monitors", "by": "ann"})
    await run.ends("completed")
    assert await no_task_failed(run)


async def test_text_is_shown_and_never_interpreted(run: Run, cli: Cli) -> None:
    """Markdown and HTML in a reason stay as they were written; invisible characters do not."""
    evil = "# [x](http://e) <b>bold</b> \x1b[2J\u202e `rm -rf`"
    shown = evil.replace("\x1b", " ").replace("\u202e", " ")
    await run.start(**GATE, reason=evil)
    await run.waits("approval")
    assert (await cli.signals(run, "pause", {"by": "<ann>", "reason": evil})).code == 0
    await run.reaches(lambda p: p.state is RunStatus.PAUSED)
    details = await cli.details(run)
    assert r"\<ann\>" in details
    assert r"\# \[x\]\(http&#58;//e\) \<b\>bold\</b\>" in details
    assert not set(details) & set("\x1b\u202e")
    assert (await cli.updates(run, "abort", {"by": "ann", "reason": evil})).code == 0
    outcome = await run.outcome()
    assert [message.reason for message in outcome.decisions] == [shown, shown]
    assert outcome.outcome == "aborted"


async def test_a_dead_node_is_forced_by_name(run: Run, cli: Cli) -> None:
    """Without a name it is refused; while the node answers it changes nothing; then it counts."""
    node, action = "cluster1-edge1", "stop_gracefully.cluster1-edge1.ssh"
    run.fakes.failures[action] = [Lost("its process is gone")]
    await run.start()
    await run.waits("decision")
    words = {"stage": "drain_protocol_servers", "by": "ann", "reason": "it burnt"}
    refused = await cli.updates(run, "force", words)
    assert (refused.code, f"name the node that is down: {node}" in refused.text) == (1, True)
    assert f'"node": "{node}"' in await cli.details(run)

    assert (await cli.updates(run, "force", {**words, "node": node})).code == 0
    await run.reaches(lambda p: p.waiting is not None and "is not down" in p.waiting.message)
    world = run.fakes.world
    world.running = {place for place in world.running if place[0] != node}
    assert (await cli.updates(run, "force", {**words, "node": node})).code == 0
    outcome = await run.ends("completed_with_exceptions")
    assert any(node in words and "it burnt" in words for words in outcome.exceptions)
    assert await no_task_failed(run)


async def test_messages_for_another_estate_reach_no_run(run: Run, cli: Cli) -> None:
    """A wrong estate is a wrong workflow id: Temporal itself says that there is no such run."""
    await run.start(**GATE)
    await run.waits("approval")
    words = ("--workflow-id", f"switchover-{uuid4().hex}", "--name", "abort", "--input", "{}")
    for kind in (("signal",), ("update", "execute")):
        answer = await cli.types("workflow", *kind, *words)
        assert (answer.code, "not found" in answer.text) == (1, True), answer
    await run.handle.signal("approve", {"stage": "stop_monitors", "by": "ann"})
    await run.ends("completed")
