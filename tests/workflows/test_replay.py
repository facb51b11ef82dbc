"""Runs that began under an earlier version go on under today's."""

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

from tests.histories import NAMES, PLACE, recorded
from tests.histories.record import IDENTITY, STORIES, spoken
from tests.support.reordered_execution import Reordered, Unchanged
from worker.payload_converter import DATA_CONVERTER
from worker.worker import FIREWALL, WORKFLOWS

LOOSER = replace(
    FIREWALL, restrictions=FIREWALL.restrictions.with_passthrough_modules("workflows", "tests")
)
"""The sandbox for workflows of these tests, which are no part of the product."""


def replayer(*workflows: type, runner: SandboxedWorkflowRunner = FIREWALL) -> Replayer:
    """Return what runs a history again, and complains at the first command that differs."""
    return Replayer(workflows=workflows, data_converter=DATA_CONVERTER, workflow_runner=runner)


def events(history: WorkflowHistory) -> list[dict[str, Any]]:
    """What happened, one after the other."""
    return list(json.loads(history.to_json())["events"])


def counted(history: WorkflowHistory) -> Counter[str]:
    """How often each type of event occurs."""
    return Counter(event["eventType"] for event in events(history))


def begun(history: WorkflowHistory, part: float) -> WorkflowHistory:
    """Return the first part of a history, up to where a worker would take it over."""
    types = [event["eventType"] for event in events(history)]
    starts = [n for n, kind in enumerate(types) if kind == "EVENT_TYPE_WORKFLOW_TASK_STARTED"]
    last = starts[int(len(starts) * part)]
    return WorkflowHistory(history.workflow_id, history.events[: last + 1])


def test_every_story_has_its_history() -> None:
    """Every story of ``record`` is committed, and nothing else."""
    assert sorted(NAMES) == sorted(STORIES)


@pytest.mark.parametrize("name", NAMES)
async def test_todays_code_replays_every_recorded_run(name: str) -> None:
    """Whatever happened to a run, today's workflow takes the same way through it."""
    await replayer(*WORKFLOWS).replay_workflow(recorded(name))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [0.2, 0.4, 0.6, 0.8])
async def test_a_run_replays_as_far_as_it_came(name: str, part: float) -> None:
    """A worker that takes a run over in its middle comes to where it is."""
    await replayer(*WORKFLOWS).replay_workflow(begun(recorded(name), part))


@pytest.mark.parametrize(
    ("name", "event", "number"),
    [
        ("approved", "WORKFLOW_EXECUTION_SIGNALED", 2),
        ("approved", "WORKFLOW_EXECUTION_UPDATE_COMPLETED", 1),
        ("retried", "ACTIVITY_TASK_FAILED", 1),
        ("retried", "WORKFLOW_EXECUTION_UPDATE_COMPLETED", 1),
        ("failed", "WORKFLOW_EXECUTION_FAILED", 1),
        ("completed", "WORKFLOW_EXECUTION_COMPLETED", 1),
    ],
)
def test_the_histories_tell_what_their_names_say(name: str, event: str, number: int) -> None:
    """What is replayed contains what can happen to a run."""
    assert counted(recorded(name))[f"EVENT_TYPE_{event}"] == number


def test_a_history_has_an_action_that_two_workers_executed() -> None:
    """The drain of the restarted run was taken up a second time."""
    key = "activityTaskStartedEventAttributes"
    attempts = [event[key]["attempt"] for event in events(recorded("restarted")) if key in event]
    assert max(attempts) == 2


@pytest.mark.parametrize("name", NAMES)
def test_the_histories_tell_nothing_of_the_machine_they_were_recorded_on(name: str) -> None:
    """No process, host, or place in a file system."""
    text = (PLACE / f"{name}.json").read_text(encoding="utf-8")
    messages = "\n".join((text, *spoken(json.loads(text))))
    assert set(re.findall(r'"identity": "(.*?)"', text)) == {IDENTITY}
    assert "stackTrace" not in text
    assert not re.search(r"/(home|root|tmp|work|Users)/", messages)


@pytest.mark.parametrize("name", ["completed", "approved", "restarted"])
async def test_a_reordered_executor_is_found_out(name: str) -> None:
    """With two stages swapped no recorded run replays; the unchanged executor does."""
    await replayer(Unchanged, runner=LOOSER).replay_workflow(recorded(name))
    with pytest.raises(NondeterminismError):
        await replayer(Reordered, runner=LOOSER).replay_workflow(recorded(name))
