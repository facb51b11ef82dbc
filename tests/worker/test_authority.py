"""Nobody has a worker act on what no estate of it names, or a run believe what no worker has made.

A server stands where a machine of the estate would be, and counts who connects.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncssh
import pytest
import yaml
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError
from temporalio.worker import Worker

from tests.support import estates
from tests.support.forgery import ForgedFreeze, Forgery
from tests.support.run import Run, new_run
from tests.support.seal_keys import KEYS
from tests.support.temporal_cli import Cli
from worker.activities import open_activities
from worker.seal_keys import SealKeys
from worker.settings import Settings
from worker.worker import build_cluster_worker, build_worker
from workflows.model import actions
from workflows.model.configuration import ConfigurationRecord
from workflows.model.results import Operation
from workflows.model.seals import Seals
from workflows.model.task_queues import TASK_QUEUE
from workflows.planning.plan import Plan
from workflows.ports.configuration import WatchInput
from workflows.ports.inputs import SessionInput

NODE, OTHER = "cluster1-server1", "cluster1-server2"
ADDRESSES = {NODE: "127.0.77.11", OTHER: "127.0.77.12"}
INVENTED = "127.0.77.13"
OLDER = SealKeys({"older": b"a key of another queue"})


@dataclass
class Site:
    """An estate file, and the machines of the estate, which answer nothing."""

    settings: Settings
    name: str
    connections: Counter[str] = field(default_factory=Counter)

    @property
    def request(self) -> dict[str, str]:
        """What moves it from one cluster to the other."""
        return {"estate": self.name, "source": "cluster1", "target": "cluster2"}

    async def connected(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count whom a connection is for, and end it."""
        self.connections[writer.get_extra_info("sockname")[0]] += 1
        writer.close()


@pytest.fixture
async def site(tmp_path: Path, temporal: Client) -> AsyncIterator[Site]:
    """An estate whose Servers are on this machine."""
    key, name = tmp_path / "key", f"site-{uuid4().hex[:8]}"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key))
    key.chmod(0o600)
    settings = Settings(
        estates=tmp_path,
        records=tmp_path,
        seal_keys=tmp_path / "seal-keys",
        log_level="INFO",
        temporal={"target_host": temporal.service_client.config.target_host},
        traces=False,
        secrets={"ADMIN": "secret"},
        secret_directories=(tmp_path,),
    )
    there = Site(settings, name)
    hosts = [*ADDRESSES.values(), INVENTED]
    server = await asyncio.start_server(there.connected, hosts[0], 0)
    port = server.sockets[0].getsockname()[1]
    others = [await asyncio.start_server(there.connected, host, port) for host in hosts[1:]]
    written = estates.written(name=name)
    written["defaults"]["ssh"] |= {"key": f"file:{key}", "port": port}
    for node in written["clusters"][0]["nodes"]:
        node["address"] = ADDRESSES.get(node["name"], node["address"])
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    try:
        yield there
    finally:
        for one in (server, *others):
            one.close()


@asynccontextmanager
async def working(site: Site, client: Client) -> AsyncIterator[None]:
    """Let the product's own worker run."""
    async with (
        open_activities(site.settings, client) as activities,
        build_worker(client, activities, KEYS),
    ):
        yield


class Forger:
    """Somebody who may write to the namespace, with a workflow and a worker of his own."""

    def __init__(self, handle: WorkflowHandle[Any, Any], plan: Plan, identity: str) -> None:
        self.handle, self.plan, self.identity = handle, plan, identity

    async def says(
        self, given: SessionInput[Any], kind: str = "read_sessions", queue: str = TASK_QUEUE
    ) -> str:
        """Order an activity; return what it said, as text."""
        order = [kind, given.model_dump(mode="json"), queue]
        return str(await self.handle.execute_update("order", args=order))

    def input(self, node: str = NODE) -> SessionInput[Any]:
        """Return an input as the product's own workflow would make it."""
        action = actions.ReadSessions(node=node)
        operation = Operation(identity=self.identity, stage="any", action=action.key)
        return SessionInput[actions.ReadSessions].of(
            operation, action, self.plan.estate, self.plan.seals
        )


@asynccontextmanager
async def forger(site: Site, client: Client) -> AsyncIterator[Forger]:
    """Let a forgery run under the id and on the queue of a switchover, beside a real worker.

    Its own worker takes the first workflow task, and keeps the run.
    """
    forgers = await Client.connect(client.service_client.config.target_host)
    async with Worker(forgers, task_queue=TASK_QUEUE, workflows=[Forgery]):
        handle = await forgers.start_workflow(
            Forgery.run, site.request, id=f"switchover-{site.name}", task_queue=TASK_QUEUE
        )
        try:
            await handle.query("is_mine")
            async with working(site, client):
                plan = Plan.model_validate(await handle.execute_update("plan"))
                yield Forger(handle, plan, handle.first_execution_run_id or "")
        finally:
            await handle.terminate()


async def test_the_estate_of_one_s_own_run_is_reached(site: Site, temporal: Client) -> None:
    """What is refused below is refused for its reason alone."""
    async with forger(site, temporal) as run:
        said = await run.says(run.input())
    assert "Refused" not in said
    assert site.connections[ADDRESSES[NODE]] > 0
    assert set(site.connections) == {ADDRESSES[NODE]}


async def test_what_no_estate_names_is_refused(site: Site, temporal: Client) -> None:
    """An invented machine, another place, another run's plan, another secret, a missing seal."""
    async with forger(site, temporal) as older:
        of_another_run = older.input()
    async with forger(site, temporal) as run:
        good, other = run.input(), run.input(OTHER)
        node = good.node
        elsewhere = node.model_copy(update={"address": INVENTED})
        ssh = node.ssh.model_copy(update={"key": "env:ADMIN"})
        forged: dict[str, dict[str, Any]] = {
            "an invented machine": {"node": elsewhere},
            "another secret": {"node": node.model_copy(update={"ssh": ssh})},
            "another place's seal": {
                "node": other.node.model_copy(update={"name": NODE}),
                "seals": other.seals,
            },
            "another place": {"node": other.node, "seals": other.seals},
            "no seal": {"seals": Seals()},
            "another run's seals": {"seals": of_another_run.seals},
            "longer limits": {
                "timing": good.timing.model_copy(update={"grace": 2 * good.timing.grace})
            },
        }
        for attack, change in forged.items():
            said = await run.says(good.model_copy(update=change))
            assert said.startswith("Refused: "), (attack, said)
        said = await run.says(of_another_run)
        assert said == "Refused: the input is that of another run; nothing was carried out"
    assert not site.connections


async def test_a_cluster_s_worker_believes_workers_with_the_same_keys_only(
    site: Site, temporal: Client
) -> None:
    """What the main worker has sealed is done near the cluster; with another key nothing is."""
    queue = f"near-{site.name}"
    async with forger(site, temporal) as run, open_activities(site.settings, temporal) as has:
        elsewhere = run.input().node.model_copy(update={"address": INVENTED})
        async with build_cluster_worker(temporal, queue, has, OLDER):
            said = await run.says(run.input(), queue=queue)
            assert said.startswith("Refused: this worker has no seal key"), said
        assert not site.connections
        async with build_cluster_worker(temporal, queue, has, KEYS):
            forged = run.input().model_copy(update={"node": elsewhere})
            assert (await run.says(forged, queue=queue)).startswith("Refused: ")
            assert not site.connections
            assert "Refused" not in await run.says(run.input(), queue=queue)
            assert set(site.connections) == {ADDRESSES[NODE]}
            other = await run.handle.execute_update(
                "order", args=["make_plan", site.request, queue]
            )
    assert "make_plan" in str(other)
    assert "is not registered" in str(other)


def records_of(site: Site) -> dict[str, Any]:
    """Return a query for records of the estate's first cluster."""
    span = {"since": "2026-11-27T02:00:00Z", "until": "2026-11-27T03:00:00Z"}
    return {"estate": site.name, "side": 1, "kind": "transfer", **span}


async def test_records_are_read_where_the_estate_file_says_and_nowhere_else(
    site: Site, temporal: Client
) -> None:
    """A query names an estate that this worker has; whatever names a machine is no query."""
    machine = {"name": NODE, "kind": "server", "address": INVENTED}
    async with forger(site, temporal) as run:
        for forged in ({"node": machine}, {"estate": "elsewhere"}, {"address": INVENTED}):
            said = await run.handle.execute_update(
                "order", args=["read_records", records_of(site) | forged]
            )
            assert isinstance(said, str), said
        assert not site.connections
        after = {"position": 1, "tail": ["x"], "server": INVENTED}
        page = await run.handle.execute_update(
            "order", args=["read_records", records_of(site) | {"after": after}]
        )
    assert page["side"] == "cluster1"
    assert page["unread"]
    assert set(site.connections) == set(ADDRESSES.values())


async def test_a_watch_over_what_no_estate_names_is_refused(site: Site, temporal: Client) -> None:
    """An invented machine, shorter intervals, a missing seal: nothing is read."""
    async with forger(site, temporal) as run:
        good = WatchInput.of(run.plan, ConfigurationRecord())
        one, two = good.clusters
        invented = one.nodes[0].model_copy(update={"address": INVENTED})
        timing = good.timing.model_copy(update={"configuration_interval": timedelta(seconds=1)})
        forged: dict[str, dict[str, Any]] = {
            "an invented machine": {
                "clusters": (one.model_copy(update={"nodes": (invented,)}), two)
            },
            "shorter intervals": {"timing": timing},
            "less to see": {"ignored_changes": ("*",)},
            "no seal": {"seals": Seals()},
        }
        for attack, change in forged.items():
            for kind in ("watch_configuration", "read_configuration_changes"):
                order = [kind, good.model_copy(update=change).model_dump(mode="json")]
                said = str(await run.handle.execute_update("order", args=order))
                assert said.startswith("Refused: "), (attack, said)
    assert not site.connections


async def test_a_freeze_watches_the_estate_of_its_id_alone(site: Site, temporal: Client) -> None:
    """It gets no plan, and so no seals, of another estate."""
    async with working(site, temporal):
        for id_ in ("freeze-another", f"switchover-{site.name}"):
            handle = await temporal.start_workflow(
                "Freeze", site.request, id=id_, task_queue=TASK_QUEUE
            )
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            assert f"is freeze-{site.name}, not {id_}" in str(failed.value.cause)
    assert not site.connections


async def test_a_forged_freeze_gets_no_plan_of_another_estate(site: Site, temporal: Client) -> None:
    """Whatever code runs under the name of ours."""
    forgers = await Client.connect(temporal.service_client.config.target_host)
    async with Worker(forgers, task_queue=TASK_QUEUE, workflows=[ForgedFreeze]):
        handle = await forgers.start_workflow(
            "Freeze", site.request, id=f"freeze-of-{site.name}", task_queue=TASK_QUEUE
        )
        await handle.query("is_mine")
        async with working(site, temporal):
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
    assert isinstance(failed.value.cause, ActivityError)
    assert "the input is that of another estate" in str(failed.value.cause.cause)


async def test_an_activity_of_no_run_is_refused(site: Site, temporal: Client) -> None:
    """`temporal activity execute` has no seal, and belongs to no run."""
    async with forger(site, temporal) as run:
        given = run.input()
        action = actions.StopRemaining(node=NODE)
        known = given.model_dump(mode="json", exclude={"ignored_peers", "redirected_at"})
        stop = {**known, "action": action.model_dump(mode="json")}
        orders = (
            ("stop_remaining", stop),
            ("make_plan", site.request),
            ("read_records", records_of(site)),
        )
        for kind, sent in orders:
            answer = await Cli(temporal).types(
                *("activity", "execute", "--activity-id", f"x-{uuid4()}", "--type", kind),
                *("--task-queue", TASK_QUEUE, "--start-to-close-timeout", "20s"),
                *("--input", json.dumps(sent)),
            )
            assert answer.code != 0
            assert f"{kind} was asked for by no run" in answer.text, answer.text
    assert not site.connections


async def test_workers_with_different_keys_say_so(site: Site, temporal: Client) -> None:
    """A worker that was given no copy of the keys refuses what the others have planned."""
    async with forger(site, temporal) as run:
        given = run.input()
        code = OLDER.code("any")
        seals = Seals(key=OLDER.current, codes=dict.fromkeys(given.seals.codes, code))
        said = await run.says(given.model_copy(update={"seals": seals}))
    assert "this worker has no seal key older of the worker that made the plan" in said
    assert not site.connections


@pytest.mark.parametrize(
    ("id_", "queue", "refusal"),
    [
        ("switchover-{}", "own", "the run's task queue is own, not switchover"),
        ("rescue-{}", TASK_QUEUE, "the input is that of another estate"),
    ],
)
async def test_a_forgery_elsewhere_gets_no_plan(
    id_: str, queue: str, refusal: str, site: Site, temporal: Client
) -> None:
    """So it gets no seals: neither on a queue of its own, nor beside the estate's lock."""
    forgers = await Client.connect(temporal.service_client.config.target_host)
    async with Worker(forgers, task_queue=queue, workflows=[Forgery]):
        handle = await forgers.start_workflow(
            Forgery.run, site.request, id=id_.format(site.name), task_queue=queue
        )
        await handle.query("is_mine")
        async with working(site, temporal):
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
    assert isinstance(failed.value.cause, ActivityError)
    assert refusal in str(failed.value.cause.cause)


@pytest.fixture
async def at_drain(temporal: Client) -> AsyncIterator[Run]:
    """A run whose wait for sessions does not end, with workers that seal."""
    run = new_run(temporal)
    key = f"await_sessions.{NODE}"
    run.queue = TASK_QUEUE
    run.fakes.held[key] = asyncio.Event()
    begun = asyncio.Event()

    async def met(action: str) -> None:
        if action == key:
            begun.set()

    run.fakes.when_met = met
    async with build_worker(temporal, run.fakes.activities, KEYS):
        await run.start()
        await asyncio.wait_for(begun.wait(), 30)
        yield run
        run.fakes.held[key].set()
        await run.handle.terminate()


async def test_a_result_that_no_worker_made_is_not_believed(
    at_drain: Run, temporal: Client
) -> None:
    """The graceful stop that would follow does not begin: the run asks."""
    report = {"at": "2026-01-01T00:00:00Z", "change": "made", "message": "no sessions"}
    answer = await Cli(temporal).types(
        *("activity", "complete", "--workflow-id", at_drain.handle.id),
        *("--activity-id", f"await_sessions.{NODE}.1", "--result", json.dumps(report)),
    )
    assert answer.code == 0, answer.text
    asked = await at_drain.waits("decision")
    assert "the result of await_sessions was made by no worker of this queue" in asked.message
    assert not [one for one in at_drain.fakes.effects if f"stop_gracefully.{NODE}" in one]
