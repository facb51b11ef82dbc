"""What an operator gets from ``switchover check``."""

import asyncio
import json
from pathlib import Path

import pytest
from rich.console import Console
from temporalio.api.common.v1 import ActivityType
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    Client,
    ScheduleActionExecutionStartWorkflow,
    ScheduleHandle,
    ScheduleOverlapPolicy,
)
from temporalio.worker import Worker

from starter.client.connection import Temporal
from starter.client.readiness import activity_line, check_readiness
from starter.views.readiness import ReadinessView
from tests.support import estates
from tests.support.console import Operator
from tests.support.fake_activities import FakeActivities
from tests.support.sample_runs import shown
from tests.workflows.preflight.test_report import changed, clean, multiplied, verdict
from workflows.model.findings import Finding, Severity
from workflows.preflight.catalogue import CHECKS
from workflows.preflight.report import ReadinessReport
from workflows.readiness import Readiness

MOVE = ("--from", "cluster1", "--to", "cluster2")
EDGE = "cluster2-edge2"


async def test_ready(operator: Operator, name: str, fakes: FakeActivities, worker: Worker) -> None:
    """Exit code 0 only without any finding."""
    said = await operator.types("check", name, *MOVE)
    assert said.code == 0, said.message
    assert f"{name}: cluster1 → cluster2 ready, 91 of 91 checks passed" in said.message
    assert all(check.name in said.out for check in CHECKS if check.only != "rejoin")
    assert "Temporal has no earlier report" in said.out
    assert not fakes.effects
    told = await operator.types("check", name, *MOVE, "--json")
    assert told.code == 0
    assert ReadinessReport.model_validate_json(told.out).ready


async def test_findings(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker, tmp_path: Path
) -> None:
    """Where, what was seen and expected, what to do; a page says the same; exit code 6."""
    fakes.readings[EDGE] = {"sessions": 2, "version": "5.4\x1b[31m"}
    file = tmp_path / "page.html"
    said = await operator.types("check", name, *MOVE, "--html", str(file))
    assert said.code == 6
    assert f"✖ blocks {EDGE} version_differs" in said.message
    assert "seen 5.4 [31m expected 5.5-20260101 what to do update both clusters" in said.message
    assert "not ready, 89 of 91 checks passed, 2 findings" in said.message
    written = file.read_text(encoding="utf-8")
    assert "version_differs" in written
    assert "\x1b" not in written
    accept = ("--accept", "target_has_sessions=ours", "--json")
    given = json.loads((await operator.types("check", name, *MOVE, *accept)).out)
    assert given["accepted"] == {"target_has_sessions": "ours"}
    [row] = [one for one in given["checks"] if one["name"] == "target_has_sessions"]
    assert row["places"][EDGE] == "accepted"
    nowhere = str(tmp_path / "nowhere" / "page.html")
    refused = await operator.types("check", name, *MOVE, "--html", nowhere)
    assert (refused.code, "No such file or directory" in refused.err) == (2, True)


class Noticing(Console):
    """A console that reports when a command waits for a check."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        super().__init__()
        self.waits.clear()

    @property
    def is_terminal(self) -> bool:
        """Return False, and record the question."""
        self.waits.set()
        return False


async def test_a_check_that_is_under_way_is_joined(
    temporal: Client, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """Its result is shown to both; a check of the other direction starts after it."""
    key = "observe_node.cluster1-server1"
    fakes.held[key] = asyncio.Event()
    there = estates.request(estate=name)
    back = estates.request(estate=name, source="cluster2", target="cluster1")
    checks = []
    for asked in (there, there, back):
        console = Noticing()
        checks.append(asyncio.create_task(check_readiness(Temporal(temporal), asked, console)))
        await asyncio.wait_for(console.waits.wait(), 10)
    fakes.held[key].set()
    one, two, three = await asyncio.gather(*checks)
    assert one == two
    assert (three.source, three.ready) == ("cluster2", False)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ((), "check needs ESTATE, --from, --to"),
        (("wrong_options", "--from", "cluster1"), "check needs --to"),
        (("nowhere", *MOVE), "there is no estate nowhere"),
        (("wrong_options", "--from", "cluster1", "--to", "cluster1"), "traffic moves between two"),
        (("wrong_options", *MOVE, "--accept", "clock"), "write FINDING=REASON"),
        (("wrong_options", *MOVE, "--every", "soon"), "--every soon: write a time such as 30m"),
        (("wrong_options", *MOVE, "--every", "5s"), "--every: the shortest interval is 60 s"),
        (("wrong_options", "--from", "a", "--to", "b", "--every", "30m"), "has no cluster a"),
        (("wrong_options", *MOVE, "--schedule"), "make one with --every 30m"),
        (("wrong_options", *MOVE, "--schedule", "--html", "x"), "--html needs a check now"),
    ],
)
async def test_wrong_options(
    operator: Operator, worker: Worker, words: tuple[str, ...], answer: str
) -> None:
    """One sentence, exit code 2."""
    said = await operator.types("check", *words)
    assert (said.code, answer in said.message) == (2, True), said.message


async def test_all_checks_are_listed(operator: Operator) -> None:
    """Without an estate and without a server."""
    said = await Operator("127.0.0.1:1").types("check", "--list")
    assert said.code == 0
    assert all(check.name in said.out for check in CHECKS if check.only != "rejoin")
    told = await Operator("127.0.0.1:1").types("check", "--list", "--json")
    assert [one["name"] for one in json.loads(told.out)] == [check.name for check in CHECKS]


async def test_a_schedule(
    temporal: Client, operator: Operator, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """Created, changed, shown with its results, and deleted."""
    fakes.readings[EDGE] = {"sessions": 2}
    made = await operator.types("check", name, *MOVE, "--every", "30m")
    assert made.code == 0, made.message
    assert f"readiness-{name}-cluster1-cluster2: every 0:30:00" in made.message
    assert "no run yet" in made.message
    handle = temporal.get_schedule_handle(f"readiness-{name}-cluster1-cluster2")
    assert (await handle.describe()).schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    for runs in (1, 2):
        await handle.trigger()
        await _has_run(operator, name, runs)
        fakes.readings = {}
    shown_ = await operator.types("check", name, *MOVE, "--schedule")
    assert "ready, 91 of 91 checks passed" in shown_.message
    assert "not ready, 90 of 91 checks passed, 1 finding" in shown_.message
    await _compares_with_the_first_run(temporal, handle)
    await handle.pause()
    again = await operator.types(
        "check", name, *MOVE, "--every", "1h", "--accept", "options_differ=x"
    )
    assert "every 1:00:00, paused, accepting options_differ" in again.message
    off = await operator.types("check", name, *MOVE, "--every", "off")
    assert (off.code, "schedule deleted" in off.out) == (0, True)
    twice = await operator.types("check", name, *MOVE, "--every", "never")
    assert (twice.code, "there was no such schedule" in twice.message) == (0, True)


async def _compares_with_the_first_run(temporal: Client, handle: ScheduleHandle) -> None:
    """The schedule's second run was given the result of its first."""
    action = (await handle.describe()).info.recent_actions[-1].action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    run = temporal.get_workflow_handle_for(
        Readiness.run, action.workflow_id, run_id=action.first_execution_run_id
    )
    verdict = await run.result()
    assert [(m.name, m.place) for m in verdict.changed.resolved] == [("target_has_sessions", EDGE)]


async def _has_run(operator: Operator, name: str, runs: int) -> None:
    for _ in range(20):
        said = await operator.types("check", name, *MOVE, "--schedule", "--json")
        last = json.loads(said.out)["last"]
        if len(last) == runs and last[0]["findings"] is not None:
            return
    raise AssertionError(last)


def test_on_a_narrow_screen_what_fails_is_shown_by_kind_of_node() -> None:
    """And the rest is counted, as the score counts it."""
    text = shown(ReadinessView(verdict(changed(EDGE, sessions=2))), width=79)
    assert "target_has_sessions" in text
    assert "✖ 1 of 2" in text
    assert "90 other checks passed" in text
    assert "taeh_differs" not in text


def test_eighty_nodes_are_readable() -> None:
    """Columns are kinds of nodes, rows are what does not hold."""
    text = shown(ReadinessView(multiplied(verdict(changed(EDGE, sessions=2)), 20)), width=160)
    assert max(map(len, text.splitlines())) <= 160
    assert "cluster1" in text
    assert "✖ 20" in text
    assert len(text.splitlines()) < 30


def test_places_that_are_being_read_are_named() -> None:
    """As many as fit into a line."""
    pending = [
        PendingActivityInfo(activity_id=f"observe_node.node{n}.1") for n in (2, 1, 3, 6, 5, 4, 1)
    ]
    assert activity_line(pending) == "reading node1, node2, node3, node4 and 2 more"
    plan = PendingActivityInfo(activity_id="1", activity_type=ActivityType(name="make_plan"))
    assert activity_line([plan]) == "reading make plan"
    assert activity_line([]) == "reading the estate"


def test_an_accepted_finding_shows_its_reason() -> None:
    """Hostile text moves no cursor."""
    found = Finding(
        name="target_has_sessions",
        place=EDGE,
        seen="\x1b[2Jgone",
        expected="none",
        advice="wait",
        severity=Severity.BLOCKS,
    )
    text = shown(
        ReadinessView(verdict(clean(), findings=(found,), accepted={"target_has_sessions": "ours"}))
    )
    assert "! blocks  cluster2-edge2  target_has_sessions" in text
    assert "  accepted   ours" in text
    assert "\x1b" not in text
