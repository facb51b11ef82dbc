"""A switchover from the Web UI alone: started, watched and answered without any other tool."""

import socket
from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.conftest import register_search_attributes, temporal_program
from tests.support import estates
from tests.support.browser import CHROMIUM, WebUi, web_ui
from tests.support.run import Run, at_work
from worker.payload_converter import DATA_CONVERTER
from workflows.model.outcome import Outcome
from workflows.model.progress import RunStatus
from workflows.model.task_queues import TASK_QUEUE
from workflows.preflight.report import ReadinessReport

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is missing, and scripts/browser could not bring it here"
)

REQUEST = {
    "estate": "lab",
    "source": "cluster1",
    "target": "cluster2",
    "approve_before": ["stop_monitors"],
    "reason": "# patch night, see https://example.org",
}
GATE = {"stage": "stop_monitors", "by": "ann"}


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[tuple[Client, str]]:
    """A Temporal server with its Web UI, and the address of its namespace there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=temporal_program(),
        dev_server_log_level="error",
        data_converter=DATA_CONVERTER,
        ui=True,
        ui_port=port,
    ) as environment:
        await register_search_attributes(environment.client)
        yield environment.client, f"http://127.0.0.1:{port}/namespaces/default"


@pytest.fixture(scope="module")
async def ui(
    served: tuple[Client, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WebUi]:
    """An operator with a browser."""
    async with web_ui(served[1], tmp_path_factory.mktemp("profile")) as ui:
        yield ui


@pytest.fixture
async def run(served: tuple[Client, str]) -> AsyncIterator[Run]:
    """The estate that the form is filled in for, with a worker on the queue it names."""
    run = Run(served[0], estates.estate())
    run.queue = TASK_QUEUE
    run.handle = served[0].get_workflow_handle("switchover-lab", result_type=Outcome)
    async with at_work(run):
        yield run


async def begun(ui: WebUi, run: Run) -> None:
    """Start with the prefilled form, and open the run's question."""
    await ui.starts(REQUEST)
    await ui.sees("Workflow started successfully")
    await run.waits("approval")
    await ui.opens()
    await ui.sees("stop_monitors needs 1 approval")


async def test_a_run_is_started_paused_and_approved(ui: WebUi, run: Run) -> None:
    """The details show the signals, and their inputs, that let it continue, and who paused it."""
    await begun(ui, run)
    await ui.sees('--name approve --input \'{"stage": "stop_monitors", "by": "..."}\'')
    await ui.sees("# patch night, see https://example.org")
    assert await ui.links() == set()
    await ui.signals("pause", {"by": "ann", "reason": "<b>lunch</b>"})
    await run.reaches(lambda progress: progress.state is RunStatus.PAUSED)
    await ui.opens()
    await ui.sees("Paused at ")
    await ui.sees("by ann (<b>lunch</b>)")
    await ui.sees('--name resume --input \'{"by": "..."}\'')
    await ui.signals("approve", GATE)
    await ui.signals("resume", {"by": "bob"})
    outcome = await run.ends("completed")
    assert [(one.verb, one.by, one.way) for one in outcome.decisions] == [
        ("pause", "ann", "signal"),
        ("approve", "ann", "signal"),
        ("resume", "bob", "signal"),
    ]
    await ui.opens("Search Attributes")
    await ui.sees("SwitchoverState")


async def test_a_rejoin_is_started_and_approved(ui: WebUi, run: Run) -> None:
    """With the form of its own type, and the same signals."""
    run.fakes.world.drain()
    gate = {"stage": "start_admin", "by": "ann"}
    request = {"estate": "lab", "cluster": "cluster1", "approve_before": ["start_admin"]}
    await ui.starts(request, "Rejoin")
    await ui.sees("Workflow started successfully")
    await run.waits("approval")
    await ui.opens()
    await ui.sees("lab: cluster1 rejoins cluster2")
    await ui.sees('--name approve --input \'{"stage": "start_admin", "by": "..."}\'')
    await ui.signals("approve", gate)
    outcome = await run.ends("completed")
    assert outcome.procedure == "rejoin"
    assert run.fakes.world.violations == []
    await ui.opens()
    await ui.sees("8 start_monitors")


async def test_a_rejected_run_shows_that_it_was_rolled_back(ui: WebUi, run: Run) -> None:
    """And why, by whom."""
    await begun(ui, run)
    await ui.signals("reject", {**GATE, "reason": "not tonight"})
    outcome = await run.ends("rolled_back")
    assert "not tonight" in outcome.message
    await ui.opens()
    await ui.sees("cluster1 → cluster2, rolled_back")


async def test_a_run_that_must_not_begin_says_why(ui: WebUi, run: Run) -> None:
    """What speaks against it is the readable failure, and nothing was changed."""
    run.fakes.readings["cluster2-edge1"] = {"taeh": "b" * 64, "sessions": 2}
    await ui.starts(REQUEST)
    await ui.sees("Workflow started successfully")
    reason = await run.failure()
    await ui.opens("Timeline")
    for words in ("cluster2-edge1: taeh_differs", "cluster2-edge1: target_has_sessions"):
        assert words in reason
        await ui.sees(words)
    assert not run.fakes.effects


async def test_a_check_shows_what_it_found(ui: WebUi, run: Run) -> None:
    """Findings as plain text, and every check below them."""
    run.fakes.readings["cluster2-edge2"] = {"version": "<b>5.4</b> | [x](https://example.org)"}
    verdict = await run.client.execute_workflow(
        "Readiness",
        {key: REQUEST[key] for key in ("estate", "source", "target")},
        id="readiness-lab",
        task_queue=TASK_QUEUE,
        result_type=ReadinessReport,
    )
    assert not verdict.ready
    await ui.page.goto(f"{ui.namespace}/workflows/readiness-lab")
    await ui.page.get_by_role("tab", name="User Metadata").click()
    await ui.sees("cluster1 → cluster2: not ready, 90 of 91 checks passed")
    await ui.sees("<b>5.4</b> | [x](https://example.org)")
    await ui.sees("Every protocol server that the estate lists runs")
    assert await ui.links() == set()
