"""The Readiness workflow on a real Temporal server, on a model of an estate."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.support import estates
from tests.support.run import Run, at_work
from workflows.errors import CommandFailed
from workflows.model.checks import CheckStatus
from workflows.preflight.report import ReadinessReport
from workflows.search_attributes import ESTATE

EDGE = "cluster2-edge2"


@pytest.fixture
def run(temporal: Client, request: pytest.FixtureRequest) -> Run:
    """An estate of its own for every test."""
    name: str = request.node.originalname
    return Run(temporal, estates.estate(name=name.removeprefix("test_")[:40].rstrip("_")))


async def check(run: Run, *given: Any, **changes: Any) -> ReadinessReport:  # noqa: ANN401
    """Run the workflow to its end, with the usual request and *changes* or just what is given."""
    usual = {"estate": run.fakes.estate.name, "source": "cluster1", "target": "cluster2"}
    async with at_work(run):
        handle = await run.client.start_workflow(
            "Readiness",
            args=list(given) or [usual | changes],
            id=f"readiness-{run.fakes.estate.name}",
            task_queue=run.queue,
            result_type=ReadinessReport,
        )
        run.handle = handle
        return await asyncio.wait_for(handle.result(), 60)


async def test_an_estate_that_is_ready(run: Run) -> None:
    """There is no finding, nothing was changed, and the run can be found by its estate."""
    report = await check(run)
    assert report.ready
    assert report.findings == ()
    assert report.score.passed == report.score.checks > 60
    assert report.changed.since is None
    assert not run.fakes.effects
    there = await run.handle.describe()
    assert there.typed_search_attributes[ESTATE] == run.fakes.estate.name


async def test_what_blocks_and_what_is_accepted(run: Run) -> None:
    """An accepted finding does not block, and is shown all the same."""
    run.fakes.readings[EDGE] = {"sessions": 2}
    report = await check(run)
    assert not report.ready
    assert [(f.name, f.place) for f in report.findings] == [("target_has_sessions", EDGE)]
    report = await check(run, accept={"target_has_sessions": "our monitoring"})
    assert report.ready
    assert len(report.findings) == 1
    assert report.accepted == {"target_has_sessions": "our monitoring"}
    [row] = [one for one in report.checks if one.name == "target_has_sessions"]
    assert row.places[EDGE] is CheckStatus.ACCEPTED


async def test_a_place_that_could_not_be_read_is_a_finding(run: Run) -> None:
    """The workflow itself does not fail."""
    run.fakes.failures[f"observe_node.{EDGE}"] = [CommandFailed("it broke")]
    report = await check(run)
    assert [(f.name, f.place) for f in report.findings] == [("no_reading", EDGE)]
    assert "it broke" in report.findings[0].seen
    assert report.score.unknown > 10


async def test_no_login_is_tried_while_a_switchover_runs(run: Run) -> None:
    """The node may be draining; its login check is unknown, and the other readings are made."""
    run.fakes.readings[f"observe_temporal.{run.fakes.estate.name}"] = {"open_run": "abc"}
    report = await check(run)
    assert "switchover_running" in [finding.name for finding in report.findings]
    [row] = [one for one in report.checks if one.name == "target_edge_login_fails"]
    assert set(row.places.values()) == {CheckStatus.UNKNOWN}
    assert not any("try_login" in operation for operation in run.fakes.asked)
    assert any("observe_node" in operation for operation in run.fakes.asked)


async def test_what_changed_since_the_last_report(run: Run) -> None:
    """The last report of this direction is read from Temporal."""
    run.fakes.readings[EDGE] = {"sessions": 2}
    first = await check(run)
    run.fakes.last = first
    run.fakes.readings = {"cluster1-edge1": {"version": "5.4"}}
    second = await check(run)
    assert second.changed.since == first.at
    assert [(m.name, m.place) for m in second.changed.new] == [
        ("version_differs", "cluster1-edge1")
    ]
    assert [(m.name, m.place) for m in second.changed.resolved] == [("target_has_sessions", EDGE)]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (("nonsense",), "must be one JSON object"),
        (({}, {}), "exactly one input, and got 2"),
        (({"estate": "lab"},), "source: this key is missing"),
        (
            ({"estate": "nowhere", "source": "cluster1", "target": "cluster2"},),
            "there is no estate nowhere",
        ),
    ],
)
async def test_bad_input_fails_at_once(run: Run, given: tuple[Any, ...], answer: str) -> None:
    """With a readable reason, as a switchover does."""
    with pytest.raises(WorkflowFailureError) as failed:
        await check(run, *given)
    assert isinstance(failed.value.cause, ApplicationError)
    assert answer in failed.value.cause.message
