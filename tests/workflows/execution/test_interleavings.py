"""Every sequence of messages and failures ends in an outcome, and breaks no invariant.

Each example is ten runs side by side. `scripts/test` tries ten interleavings, the profile
``prove`` (``pytest --hypothesis-profile prove``) a thousand.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.testing import WorkflowEnvironment

from tests.support import estates
from tests.support.run import Run, at_work, new_run
from tests.workflows.planning.test_rollback import FAILURES
from workflows.errors import NotReady
from workflows.model.decisions import VERBS
from workflows.model.outcome import Outcome
from workflows.model.results import Service
from workflows.model.stages import STAGES, StageName
from workflows.planning.switchover import plan_switchover

SMALL = {"servers": 1, "edges": 1}
PLAN = plan_switchover(estates.estate(**SMALL), estates.request())
KEYS = sorted(action.key for stage in PLAN.stages[1:] for action in stage.actions)
ALL_KEYS = sorted(action.key for stage in PLAN.stages for action in stage.actions)
PLACES = ("cluster1-server1", "cluster1-edge1", "cluster2-server1", "loadbalancer1", "nowhere")
KINDS = FAILURES | {"not_ready": lambda: NotReady("something else runs")}
ENDS_AFTER = 60
"""So many decisions of the last operator must be enough for any run."""
BY = "the last operator"


@dataclass(frozen=True)
class Story:
    """What is requested, what fails, and which messages arrive during which action."""

    request: dict[str, Any]
    failures: tuple[tuple[str, str, bool], ...]
    """Action key, kind, and whether the action had its effect."""
    messages: tuple[tuple[str, str, dict[str, Any]], ...]
    """Action key, verb, payload."""
    answers: tuple[str, ...]
    """What the last operator prefers to answer where the run waits."""


def decisions() -> st.SearchStrategy[dict[str, Any]]:
    """Payloads of messages: sensible ones, and some that are not."""
    return st.fixed_dictionaries(
        {},
        optional={
            "stage": st.sampled_from([name.value for name in StageName]),
            "node": st.sampled_from(PLACES),
            "by": st.sampled_from(["ann", "bob", "*eve* <b>\x1b[31m"]),
            "reason": st.sampled_from(["so it is", "", "`code` | [x](y)"]),
            "minutes": st.sampled_from([1, 60, 0]),
        },
    )


def stories() -> st.SearchStrategy[Story]:
    """Runs in which several things fail and many messages arrive."""
    request = st.fixed_dictionaries(
        {
            "on_fault": st.sampled_from(["ask", "roll_back"]),
            "variant": st.sampled_from(["by_stage", "by_node"]),
            "approve_before": st.lists(
                st.sampled_from([name.value for name in STAGES["switchover"][1:]]), max_size=2
            ),
        },
        optional={
            "approvals_needed": st.just(2),
            "expires_after": st.just("P1D"),
            "on_expiry": st.just("reject"),
        },
    )
    failure = st.tuples(st.sampled_from(KEYS), st.sampled_from(sorted(KINDS)), st.booleans())
    messages = st.tuples(st.sampled_from(ALL_KEYS), st.sampled_from(VERBS), decisions())
    answers = st.sampled_from(["retry", "skip", "force", "roll_back", "abort", "days"])
    return st.builds(
        Story,
        request,
        st.lists(failure, max_size=3).map(tuple),
        st.lists(messages, max_size=5).map(tuple),
        st.lists(answers, max_size=3).map(tuple),
    )


@dataclass
class Performance:
    """One story, carried out."""

    story: Story
    run: Run
    clock: WorkflowEnvironment
    sent: int = 0
    messages: defaultdict[str, list[tuple[str, dict[str, Any]]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    async def happen(self) -> list[str]:
        """Carry it out; return everything that must not be."""
        fakes = self.run.fakes
        before = fakes.world.picture
        fakes.world.by_node = self.story.request["variant"] == "by_node"
        for key, kind, late in self.story.failures:
            (fakes.late if late else fakes.failures).setdefault(key, []).append(KINDS[kind]())
        for key, verb, payload in self.story.messages:
            self.messages[key].append((verb, payload))
        fakes.when_met, fakes.blind = self._send_messages, True
        async with at_work(self.run):
            await self.run.start(**self.story.request)
            outcome = await self._see_through()
        return [f"{self.story}: {words}" for words in self._problems(outcome, before)]

    async def _send_messages(self, key: str) -> None:
        while self.messages[key]:
            await self._send(*self.messages[key].pop(0))

    async def _see_through(self) -> Outcome:
        """Answer whatever the run waits for, until it ends."""
        preferred = list(self.story.answers)
        end = asyncio.ensure_future(self.run.handle.result())
        for _ in range(ENDS_AFTER):
            await self._until_it_waits(end)
            if end.done():
                return await end
            progress = await self.run.status()
            if progress is None or progress.outcome is not None:
                continue
            if progress.state == "paused":
                await self._send("resume", {})
            elif progress.waiting is not None:
                verb = preferred.pop(0) if preferred else "retry"
                await self._answer(progress.waiting.stage, progress.waiting.answers, verb)
        raise AssertionError(f"no outcome: {self.story}")

    async def _until_it_waits(self, end: asyncio.Future[Outcome]) -> None:
        for _ in range(2000):
            if end.done():
                return
            progress = await self.run.status()
            if progress is not None and (progress.waiting or progress.state == "paused"):
                return
            await asyncio.sleep(0.1)  # between two polls
        raise AssertionError(f"it neither waits nor ends: {self.story}")

    async def _answer(self, stage: str, answers: tuple[str, ...], wanted: str) -> None:
        if wanted == "days":
            await self.clock.fast_forward(self.run.handle, timedelta(days=2))
            return
        if "approve" in answers:
            for who in ("ann", "bob"):
                await self._send("approve", {"stage": stage, "by": who})
            return
        verb = wanted if wanted in answers else answers[0]
        node = {"node": "cluster1-edge1"} if verb == "force" else {}
        payload = {"stage": stage, "by": BY, "reason": "so it is", "minutes": 60}
        await self._send(verb, payload | node)

    async def _send(self, verb: str, payload: dict[str, Any]) -> None:
        self.sent += 1
        await self.run.handle.signal(verb, payload)

    def _problems(self, outcome: Outcome, before: object) -> list[str]:
        world, fakes = self.run.fakes.world, self.run.fakes
        found = list(world.violations)
        found += [f"twice: {name}" for name, times in fakes.effects.items() if times > 1]
        if len(outcome.decisions) > self.sent:
            found.append(f"{self.sent} messages were sent, {len(outcome.decisions)} recorded")
        if outcome.outcome == "rolled_back" and world.picture != before:
            found.append("rolled back to another picture")
        if outcome.outcome.startswith("completed") and ("cluster2-edge1", Service.SSH) not in (
            world.running
        ):
            found.append("completed, and the target does not serve")
        skipped = any(
            decision.verb in ("skip", "force") and decision.counted
            for decision in outcome.decisions
        )
        scheduled = any(service is Service.SCHEDULER for _, service in world.running)
        if not scheduled and not skipped:
            found.append("no scheduling anywhere")
        if outcome.outcome == "completed" and outcome.exceptions:
            found.append("completed, with exceptions")
        return found


@settings(
    max_examples=100 if settings().max_examples == 1000 else 1,  # each is ten runs
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(some=st.lists(stories(), min_size=10, max_size=10))
@pytest.mark.timeout(1800)
async def test_no_interleaving_breaks_the_promise(
    clockwork: WorkflowEnvironment, some: list[Story]
) -> None:
    """Nothing is lost or done twice, no invariant breaks, and there is always an outcome."""
    problems = await asyncio.gather(
        *(
            Performance(story, new_run(clockwork.client, **SMALL), clockwork).happen()
            for story in some
        ),
        return_exceptions=True,
    )
    assert [one for one in problems if one] == []
