"""The Readiness workflow on a real Temporal server, on a model of an estate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from tests.support import estates
from tests.support.run import Run, at_work
from workflows.errors import CommandFailed
from workflows.preflight.report import CheckStatus, ReadinessReport
from workflows.search_attributes import ESTATE

EDGE = "cluster2-edge2"


@pytest.fixture
def run(temporal: Client, request: pytest.FixtureRequest) -> Run:
    """An estate of its own for every test."""
    name: str = request.node.originalname
    return Run(temporal, estates.estate(name=name.removeprefix("test_")[:40].rstrip("_")))


async def look(run: Run, *given: Any, **changes: Any) -> ReadinessReport:  # noqa: ANN401
    """Run the workflow to its end, with the usual request and *changes* or just what is given."""
    usual = {"estate": run.hands.estate.name, "source": "cluster1", "target": "cluster2"}
    async with at_work(run):
        handle = await run.client.start_workflow(
            "Readiness",
            args=list(given) or [usual | changes],
            id=f"readiness-{run.hands.estate.name}",
            task_queue=run.queue,
            result_type=ReadinessReport,
        )
        run.handle = handle
        return await asyncio.wait_for(handle.result(), 20)


async def test_an_estate_that_is_ready(run: Run) -> None:
    """Nothing is found, nothing was changed, and it can be found by its estate."""
    verdict = await look(run)
    assert verdict.ready
    assert verdict.findings == ()
    assert verdict.score.passed == verdict.score.checks > 60
    assert verdict.changed.since is None
    assert not run.hands.effects
    there = await run.handle.describe()
    assert there.typed_search_attributes[ESTATE] == run.hands.estate.name


async def test_what_blocks_and_what_may_stand(run: Run) -> None:
    """Accepted with a reason a finding blocks no more, and is shown all the same."""
    run.hands.readings[EDGE] = {"sessions": 2}
    verdict = await look(run)
    assert not verdict.ready
    assert [(f.name, f.place) for f in verdict.findings] == [("target_has_sessions", EDGE)]
    verdict = await look(run, accept={"target_has_sessions": "our monitoring"})
    assert verdict.ready
    assert len(verdict.findings) == 1
    assert verdict.accepted == {"target_has_sessions": "our monitoring"}
    [row] = [one for one in verdict.checks if one.name == "target_has_sessions"]
    assert row.places[EDGE] is CheckStatus.ACCEPTED


async def test_a_place_that_nobody_could_look_at_is_a_finding(run: Run) -> None:
    """The workflow itself does not fail."""
    run.hands.failures[f"observe_node.{EDGE}"] = [CommandFailed("it broke")]
    verdict = await look(run)
    assert [(f.name, f.place) for f in verdict.findings] == [("no_reading", EDGE)]
    assert "it broke" in verdict.findings[0].seen
    assert verdict.score.unknown > 10


async def test_nobody_logs_in_to_a_node_while_a_switchover_is_under_way(run: Run) -> None:
    """It may be draining; the check says what runs, and that it does not know the rest."""
    run.hands.readings[f"observe_temporal.{run.hands.estate.name}"] = {"open_run": "abc"}
    verdict = await look(run)
    assert "switchover_running" in [finding.name for finding in verdict.findings]
    [row] = [one for one in verdict.checks if one.name == "target_edge_login_fails"]
    assert set(row.places.values()) == {CheckStatus.UNKNOWN}
    assert not any("try_login" in operation for operation in run.hands.asked)
    assert any("observe_node" in operation for operation in run.hands.asked)


async def test_what_changed_since_the_last_look(run: Run) -> None:
    """Temporal is asked for the last verdict about this direction."""
    run.hands.readings[EDGE] = {"sessions": 2}
    first = await look(run)
    run.hands.last = first
    run.hands.readings = {"cluster1-edge1": {"version": "5.4"}}
    second = await look(run)
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
        (({"estate": "lab"},), "source: Field required"),
        (
            ({"estate": "nowhere", "source": "cluster1", "target": "cluster2"},),
            "there is no estate nowhere",
        ),
    ],
)
async def test_bad_input_fails_at_once(run: Run, given: tuple[Any, ...], answer: str) -> None:
    """With a reason that can be read, as a switchover does."""
    with pytest.raises(WorkflowFailureError) as failed:
        await look(run, *given)
    assert isinstance(failed.value.cause, ApplicationError)
    assert answer in failed.value.cause.message
