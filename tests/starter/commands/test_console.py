"""What an operator gets from the console, whatever is typed and whatever runs."""

import asyncio
import json
import re
import shlex
from datetime import UTC, datetime

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

from starter.views.plan import PLACEHOLDER
from tests.support import estates
from tests.support.console import Operator
from tests.support.fake_activities import FakeActivities
from tests.support.polling import eventually
from tests.support.seal_keys import KEYS
from worker.worker import build_worker
from workflows.errors import CommandFailed
from workflows.model import actions
from workflows.model import results as r
from workflows.model.estate import Protocol
from workflows.model.outcome import Outcome
from workflows.model.progress import Progress
from workflows.model.task_queues import TASK_QUEUE
from workflows.planning.plan import Plan
from workflows.planning.switchover import plan_switchover
from workflows.ports.inputs import SessionInput
from workflows.switchover import Switchover

MOVE = ("--from", "cluster1", "--to", "cluster2")


class SlowSessions(FakeActivities):
    """Fake activities whose sessions are shown until they close."""

    @activity.defn
    async def await_sessions(self, given: SessionInput[actions.AwaitSessions]) -> r.Report:
        """Report remaining sessions as long as the action is held, then return."""
        remaining = r.RemainingSessions(
            node=given.node.name,
            at=datetime.now(UTC),
            connections={Protocol.SSH: 7},
            accounts=("partner001",),
        )
        while given.action.key in self.held and not self.held[given.action.key].is_set():
            activity.heartbeat(remaining)
            await asyncio.sleep(0.05)
        return await self._execute(given)


@pytest.fixture
def fakes(name: str) -> SlowSessions:
    """The fake activities."""
    return SlowSessions(estates.estate(name=name))


async def _until_waiting(temporal: Client, name: str) -> None:
    handle = temporal.get_workflow_handle_for(Switchover.run, f"switchover-{name}")

    async def waits() -> bool:
        progress = await handle.query(Switchover.status)
        return progress is not None and progress.waiting is not None

    await eventually(waits)


async def test_plan(operator: Operator, name: str, fakes: FakeActivities, worker: Worker) -> None:
    """What is shown is the plan that a start would execute, with its hash."""
    gate = ("--approve-before", "redirect_traffic")
    shown = await operator.types("plan", name, *MOVE, *gate)
    assert shown.code == 0
    given = await operator.types("plan", name, *MOVE, *gate, "--json")
    read = json.loads(given.out)
    request = estates.request(estate=name, approve_before=["redirect_traffic"])
    plan = plan_switchover(fakes.estate, request)
    assert Plan.model_validate({key: read[key] for key in Plan.model_fields}) == plan
    assert read["hash"] == plan.hash
    assert plan.hash in shown.out
    assert [(step["stage"], step["action"]) for step in read["steps"]] == [
        (stage.name, action.key) for stage in plan.stages for action in stage.actions
    ]
    for stage in plan.stages:
        assert f"{stage.name.number} {stage.name}" in shown.out
        for action in stage.actions:
            # What is alike at several places is shown once, with a placeholder for the name.
            words = f"would {action}"
            assert words in shown.out or words.replace(action.place, PLACEHOLDER) in shown.out
    assert shown.out.count("waits for an approval") == 1
    assert not fakes.effects


async def test_a_plan_that_has_changed_since_is_refused_with_what_has_changed(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """The operator does not have to compare two plans by eye."""
    reviewed = json.loads((await operator.types("plan", name, *MOVE, "--json")).out)["hash"]
    fakes.estate = estates.estate(name=name, timing={"drain_timeout": 60})
    said = await operator.types("start", name, *MOVE, "--plan-hash", reviewed, "--wait")
    assert said.code == 2
    assert '\n-estate.timing.drain_timeout: "P1D"\n' in said.err
    assert '\n+estate.timing.drain_timeout: "PT1M"\n' in said.err
    assert said.err.endswith("review it again with `switchover plan`\n")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("plan", "nowhere", *MOVE), "there is no estate nowhere"),
        (("plan", "bad_words", "--from", "a", "--to", "b"), "has no cluster a"),
        (("plan", "Bad/Name", *MOVE), "estate: "),
        (("plan", "bad_words", "--from", "cluster1"), "Missing option '--to'"),
        (("plan", "bad_words", *MOVE, "--approve-before", "lunch"), "'lunch' is not one of"),
        (("start", "bad_words", *MOVE, "--accept", "clock"), "write FINDING=REASON"),
        (("start", "bad_words", *MOVE, "--accept", "clock="), "accept.clock needs a reason"),
        (("start", "bad_words", *MOVE, "--plan-hash", "0"), "plan_hash: write the 64 hexadecimal"),
        (("start", "bad_words", *MOVE, "--plan-hash", "0" * 64), "0 was reviewed, but the plan"),
        (("start", "bad_words", *MOVE, "--expires-after", "soon"), "write a time such as 30m"),
        (("start", "bad_words", *MOVE, "--approvals-needed", "0"), "approvals_needed: "),
        (
            ("plan", "bad_words", *MOVE, "--approver", "ann", "--approvals-needed", "2"),
            "approvers names only 1",
        ),
        (("start", "bad_words", *MOVE, "--variant", "sideways"), "'sideways' is not one of"),
        (("status", "no_such_run"), "no such run"),
        (("approve", "no_such_run", "--stage", "redirect_traffic"), "no such run"),
        (("pause", "no_such_run", "--node", "No Name"), "node: "),
        (("approve", "no_such_run"), "approve needs --stage: it opens a gate"),
        (("skip", "no_such_run"), "skip needs --stage and --reason: it skips stage"),
        (("roll-back", "no_such_run"), "roll-back needs --reason: it rolls back"),
        (("pause", "no_such_run", "--minutes", "5"), "No such option"),
        (("frobnicate",), "No such command"),
    ],
)
async def test_wrong_input(
    operator: Operator, temporal: Client, words: tuple[str, ...], answer: str
) -> None:
    """Whatever is mistyped, or unknown, is answered with a sentence and exit code 2."""
    fakes = FakeActivities(estates.estate(name="bad_words"))
    async with build_worker(temporal, fakes.activities, KEYS):
        said = await operator.types(*words)
    assert answer in said.message
    assert said.code == 2


async def test_a_whole_switchover(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker, temporal: Client
) -> None:
    """Start, approve and retry from the console, with the commands that it shows."""
    failing = "stop_scheduling.cluster1-server1"
    fakes.failures[failing] = [CommandFailed("the admin API answered 500")]
    started = await operator.types(
        "start", name, *MOVE, "--approve-before", "redirect_traffic", "--reason", "[b]drill[/b]"
    )
    assert started.code == 0
    assert f"switchover-{name}" in started.out
    watching = await operator.begins("watch", name)
    waits = b"waiting: redirect_traffic needs 1 approval by anyone"
    async with asyncio.timeout(30):
        before = await watching.stdout.readuntil(waits)

    again = await operator.types("start", name, *MOVE)
    assert again.code == 1
    assert "under way already" in again.err

    shown = await operator.types("status", name)
    assert "[b]drill[/b]" in shown.out
    assert f"switchover approve {name} --stage redirect_traffic" in shown.message
    progress = Progress.model_validate_json((await operator.types("status", name, "--json")).out)
    assert progress.waiting is not None

    early = await operator.types("report", name)
    assert early.code == 1
    assert "still under way" in early.err

    for words, answer in (
        (("approve",), "approve needs --stage"),
        (("approve", "--stage", "stop_monitors"), "has no gate"),
        (("reject", "--stage", "redirect_traffic"), "reject needs --reason"),
        (("retry", "--stage", "redirect_traffic"), "the run waits for no decision now"),
    ):
        refused = await operator.types(words[0], name, *words[1:])
        assert (refused.code, answer in refused.err) == (2, True), refused
    approved = await operator.types("approve", name, "--stage", "redirect_traffic", "--by", "ann")
    assert (approved.code, approved.out.strip()) == (0, "redirect_traffic is approved")

    await _until_waiting(temporal, name)
    shown = await operator.types("status", name)
    assert "CommandFailed: the admin API answered 500" in shown.message
    retried = await operator.types("retry", name, "--stage", "stop_scheduling")
    assert retried.code == 0

    seen, complaints = (text.decode() for text in await watching.communicate())
    assert (watching.returncode, complaints) == (0, "")
    seen = before.decode() + seen
    assert "✔ 9 restore_monitors" in seen
    assert "completed" in seen

    report = await operator.types("report", name)
    assert report.code == 0
    pattern = r"approve redirect_traffic by ann, update from \S+: redirect_traffic is approved"
    assert re.search(pattern, report.message)
    assert "failures: 1" in report.message
    outcome = Outcome.model_validate_json((await operator.types("report", name, "--json")).out)
    assert outcome.outcome == "completed"


async def test_remaining_sessions_are_shown(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """They stand beside the action that waits for them."""
    fakes.held["await_sessions.cluster1-edge1"] = asyncio.Event()
    await operator.types("start", name, *MOVE)
    watching = await operator.begins("watch", name)
    assert watching.stdout is not None
    while b"6 drain_protocol_servers: running" not in await watching.stdout.readline():
        pass  # until the line about the stage
    while "7 ssh; partner001" not in (shown := await operator.types("status", name)).message:
        pass  # until the server has the heartbeat
    assert "wait until no session remains on cluster1-edge1 7 ssh; partner001" in shown.message
    fakes.held["await_sessions.cluster1-edge1"].set()
    assert await watching.wait() == 0


async def test_an_aborted_run_exits_with_five(
    operator: Operator, name: str, worker: Worker, temporal: Client
) -> None:
    """The exit code of a command that waits says how the run ended."""
    waiting = await operator.begins(
        "start", name, *MOVE, "--approve-before", "stop_monitors", "--wait"
    )
    assert waiting.stdout is not None
    while b"waiting:" not in await waiting.stdout.readline():
        pass  # until the line about the gate
    said = await operator.types("abort", name, "--by", "ann", "--reason", "wrong day")
    assert said.code == 0
    seen, _ = await waiting.communicate()
    assert waiting.returncode == 5
    assert "stop_monitors was not done, and nothing was rolled back" in seen.decode()
    assert "wrong day" in seen.decode()
    late = await operator.types("approve", name, "--stage", "stop_monitors")
    assert (late.code, "no such run is under way" in late.err) == (2, True)


async def test_a_rejected_run_exits_with_four(
    operator: Operator, name: str, worker: Worker, temporal: Client
) -> None:
    """The rollback is in the report, and a script reads it from the exit code."""
    await operator.types("start", name, *MOVE, "--approve-before", "redirect_traffic")
    await _until_waiting(temporal, name)
    why = ("--stage", "redirect_traffic", "--by", "ann", "--reason", "not tonight")
    assert (await operator.types("reject", name, *why)).code == 0
    watched = await operator.types("watch", name)
    assert (watched.code, "rolled_back" in watched.out) == (4, True)
    report = await operator.types("report", name)
    assert report.code == 4
    assert "rollback" in report.out
    assert "rollback: stop_monitors" in report.out
    assert "ann rejected redirect_traffic: not tonight" in report.message


async def test_the_commands_that_are_shown_work(
    operator: Operator, fakes: FakeActivities, temporal: Client, name: str
) -> None:
    """Every command that a question shows is accepted when it is copied."""
    fakes.estate = estates.estate(name=name, timing={"drain_timeout": 1})
    for node in ("server1", "server2", "edge1", "edge2"):
        fakes.held[f"await_sessions.cluster1-{node}"] = asyncio.Event()
    async with build_worker(temporal, fakes.activities, KEYS):
        await operator.types("start", name, *MOVE)
        await _until_waiting(temporal, name)
        shown = await operator.types("status", name)
        assert "partner001 over ssh" in shown.out
        offered = [line.strip() for line in shown.out.splitlines() if "  switchover " in line]
        verbs = [line.split()[1] for line in offered]
        assert verbs == ["extend", "force", "roll-back", "abort"]
        for line in (f"switchover pause {name}", f"switchover resume {name}", *offered[:2]):
            said = await operator.types(*shlex.split(line)[1:])
            assert said.code == 0, (line, said)
        watched = await operator.types("watch", name)
    assert (watched.code, "exception: " in watched.out) == (3, True)


async def test_options_of_the_plan_exist_for_both_commands(
    operator: Operator, name: str, worker: Worker, temporal: Client
) -> None:
    """The hash that `plan` shows is the one that `start` needs."""
    words = shlex.split(
        "--variant by_node --approver ann --approver bob --approvals-needed 2"
        " --expires-after 2h --on-expiry reject --approve-before stop_monitors"
    )
    plan = json.loads((await operator.types("plan", name, *MOVE, *words, "--json")).out)
    assert plan["variant"] == "by_node"
    assert plan["approvals"] == {
        "approvers": ["ann", "bob"],
        "needed": 2,
        "expires_after": "PT2H",
        "on_expiry": "reject",
    }
    pinned = ("--plan-hash", plan["hash"], "--on-fault", "roll_back")
    assert (await operator.types("start", name, *MOVE, *words, *pinned)).code == 0
    await _until_waiting(temporal, name)
    gate = ("--stage", "stop_monitors")
    assert "cid may not answer" in (await operator.types("approve", name, *gate, "--by", "cid")).err
    first = await operator.types("approve", name, *gate, "--by", "ann")
    assert "1 of 2 approvals" in first.out
    assert "approved so far by ann" in (await operator.types("status", name)).out
    assert (await operator.types("approve", name, *gate, "--by", "bob")).code == 0
    assert (await operator.types("watch", name)).code == 0


async def test_findings_exit_with_six(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """A prerequisite that does not hold is reported, and nothing is changed."""
    fakes.readings["cluster1-edge1"] = {"taeh": "b" * 64}
    said = await operator.types("start", name, *MOVE, "--wait")
    assert said.code == 6
    assert "not ready, nothing was changed: " in said.err
    assert said.err.count("\n") == 1


async def test_without_a_worker_no_command_hangs(operator: Operator, name: str) -> None:
    """Every command says that no worker answers, and what to do, instead of hanging."""
    silence = "no worker answers on task queue switchover; the run is safe"
    planning = asyncio.create_task(operator.types("plan", name, *MOVE))
    started = await operator.types("start", name, *MOVE)
    assert (started.code, silence in started.message) == (0, True)
    status, approve = await asyncio.gather(
        operator.types("status", name),
        operator.types("approve", name, "--stage", "redirect_traffic"),
    )
    for said in (await planning, status, approve):
        assert (said.code, silence in said.message) == (1, True)
    assert f"temporal workflow signal --workflow-id switchover-{name}" in approve.err


@workflow.defn(name="Switchover", sandboxed=False)
class Broken:
    """A run whose code fails: Temporal tries it again and again."""

    @workflow.run
    async def run(self, given: dict[str, str]) -> None:
        """Fail as a bug does."""
        raise RuntimeError(f"a bug met {given['estate']}")


async def test_a_run_that_cannot_continue_is_no_missing_worker(
    temporal: Client, operator: Operator, name: str
) -> None:
    """The console shows what the worker ran into."""
    async with Worker(temporal, task_queue=TASK_QUEUE, workflows=[Broken]):
        assert (await operator.types("start", name, *MOVE)).code == 0
        status, approve = await asyncio.gather(
            operator.types("status", name),
            operator.types("approve", name, "--stage", "redirect_traffic"),
        )
        for said in (status, approve):
            assert (said.code, f"cannot continue the run: a bug met {name}" in said.message) == (
                1,
                True,
            )
            assert "no worker" not in said.message
        await temporal.get_workflow_handle(f"switchover-{name}").terminate()


async def test_without_a_server_there_is_one_sentence() -> None:
    """The console names the address that it tried."""
    said = await Operator("127.0.0.1:1").types("status", "lab")
    assert said.code == 1
    assert said.err.startswith("no Temporal server answers at 127.0.0.1:1;")
    assert (await Operator("not an address").types("status", "lab")).code == 2
