"""The worker starts with one readable line or one readable refusal, and stops cleanly."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import OperatorService, RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.conftest import dev_server
from tests.conftest import register_search_attributes as register
from tests.support import estates
from tests.support.console import Operator
from tests.support.stray_import import Stray
from tests.support.worker_process import worker_process
from worker.activities import open_activities
from worker.connection import connect, register_search_attributes
from worker.settings import Settings
from worker.startup_errors import TemporalUnavailable
from worker.worker import FIREWALL
from workflows.ports.routes import PORTS
from workflows.search_attributes import SEARCH_ATTRIBUTES

UNUSED_ADDRESS = "127.0.0.1:1"
HOOK = {"url": "env:SWITCHOVER_HOOK", "secret": "env:SWITCHOVER_HOOK_SECRET"}
PLAN = ("plan", "lab", "--from", "cluster1", "--to", "cluster2")


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A Temporal server without our search attributes."""
    async with await dev_server() as environment:
        yield environment


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with one good estate, one broken file, and much that is no file."""
    there = tmp_path / "estates"
    there.mkdir()
    (there / "lab.yaml").write_text(yaml.safe_dump(estates.written()), encoding="utf-8")
    (there / "broken.yaml").write_text("password: *hunter2\n", encoding="utf-8")
    os.mkfifo(there / "pipe.yaml")
    (there / "endless.yaml").symlink_to("/dev/zero")
    (there / "itself.yaml").symlink_to("itself.yaml")
    (there / "a\nb\x1b[2J.yaml").touch()
    (there / "directory.yaml").mkdir()
    return there


def address_of(client: Client) -> str:
    """Return the address that a client is connected to."""
    address: str = client.service_client.config.target_host
    return address


def free_port() -> int:
    """A port without a listener."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def arguments(directory: Path, tmp_path: Path) -> tuple[str, ...]:
    """The arguments of a worker that serves the directory."""
    return ("--estates", str(directory), "--records", str(tmp_path / "records"))


def settings(tmp_path: Path, address: str) -> Settings:
    """The settings of a worker."""
    return Settings(
        estates=tmp_path,
        records=tmp_path,
        seal_keys=tmp_path / "seal-keys",
        log_level="INFO",
        temporal={"target_host": address, "namespace": "default"},
        traces=False,
        secrets={},
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ((), "--estates DIR (or SWITCHOVER_ESTATES) is missing"),
        (("--estates", "{tmp}/nowhere"), "nowhere is no directory"),
        (("--estates", "{tmp}/file"), "file is no directory"),
        (("--estates", "{tmp}", "--records", "{tmp}/file"), "file: File exists"),
        (("--estates", "{tmp}", "--log-level", "shout"), "invalid choice: 'SHOUT'"),
        (("--estate", "{tmp}", "--frobnicate"), "unrecognized arguments: --frobnicate"),
    ],
)
async def test_bad_arguments(arguments: tuple[str, ...], answer: str, tmp_path: Path) -> None:
    """What cannot be used is named in a sentence, with exit code 2."""
    (tmp_path / "file").touch()
    filled = [one.format(tmp=tmp_path) for one in arguments]
    async with worker_process(*filled, TEMPORAL_ADDRESS=UNUSED_ADDRESS) as worker:
        assert await worker.ends() == 2
    assert answer in worker.lines[-1]


async def test_a_broken_profile_is_one_sentence(tmp_path: Path) -> None:
    """Temporal's own configuration file may be wrong, too."""
    (tmp_path / "temporal.toml").write_text("[profile", encoding="utf-8")
    file = str(tmp_path / "temporal.toml")
    async with worker_process("--estates", str(tmp_path), TEMPORAL_CONFIG_FILE=file) as worker:
        assert await worker.ends() == 2
    assert "Temporal's configuration cannot be read" in worker.lines[0]


async def test_it_says_what_it_serves(
    server: WorkflowEnvironment, arguments: tuple[str, ...]
) -> None:
    """One ready line; broken files are warned of, and do not stop the others."""
    address = address_of(server.client)
    operator = Operator(address)
    async with worker_process(*arguments, TEMPORAL_ADDRESS=address) as worker:
        ready = await worker.says("ready: ")
        assert ready == (
            f"ready: worker on task queue switchover at {address} (namespace default), estates: lab"
        )
        plan = await operator.types(*PLAN)
        assert (plan.code, "plan hash" in plan.out) == (0, True)
        broken = await operator.types("plan", "broken", "--from", "cluster1", "--to", "cluster2")
        assert (broken.code, "broken.yaml is not a usable estate: line 1" in broken.err) == (
            2,
            True,
        )
        for name in ("pipe", "endless", "itself", "directory"):
            said = await operator.types("plan", name, "--from", "cluster1", "--to", "cluster2")
            assert (said.code, f"{name}.yaml cannot be read: " in said.err) == (2, True), said
        assert await worker.stops() == 0
    [warned] = [line for line in worker.lines if "WARNING worker:" in line]
    assert "broken.yaml is not a usable estate: line 1, column 11: this is not YAML" in warned
    failed, *_ = [line for line in worker.lines if "Completing activity as failed" in line]
    assert "broken.yaml is not a usable estate: line 1, column 11: this is not YAML" in failed
    assert not any("hunter2" in line for line in worker.lines)
    there = await server.client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    assert set(SEARCH_ATTRIBUTES) <= set(there.custom_attributes)


async def test_it_waits_for_its_server(tmp_path: Path) -> None:
    """A worker that is started before its server says so, and begins when it is there."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    arguments = ("--estates", str(tmp_path), "--records", str(tmp_path / "records"))
    async with worker_process(*arguments, TEMPORAL_ADDRESS=address) as worker:
        await worker.says(f"no Temporal server answers at {address} yet; waiting")
        async with await dev_server(port=port):
            assert "estates: none yet" in await worker.says("ready: ")
            assert await worker.stops(signal.SIGINT) == 0


async def test_it_outlives_its_server(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """A server that goes away and comes back finds the same worker at work."""
    port, database = free_port(), str(tmp_path / "temporal.db")
    operator = Operator(f"127.0.0.1:{port}")
    async with worker_process(*arguments, TEMPORAL_ADDRESS=operator.address) as worker:
        async with await dev_server(port=port, dev_server_database_filename=database):
            await worker.says("ready: ")
            assert (await operator.types(*PLAN)).code == 0
        assert (await operator.types(*PLAN)).code == 1
        async with await dev_server(port=port, dev_server_database_filename=database):
            while (await operator.types(*PLAN)).code:
                pass  # until the worker has found the server again: its attempts become rarer
            assert await worker.stops() == 0
    assert sum("ready: " in line for line in worker.lines) == 1


async def test_spans_arrive_where_opentelemetry_says(
    server: WorkflowEnvironment, arguments: tuple[str, ...]
) -> None:
    """With an OTLP endpoint every activity leaves a span there, flushed when the worker leaves."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    operator = Operator(address_of(server.client))
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{collector.server_port}"
        async with worker_process(
            *arguments,
            TEMPORAL_ADDRESS=operator.address,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
            OTEL_EXPORTER_OTLP_COMPRESSION="none",
        ) as worker:
            await worker.says("ready: ")
            await operator.types(*PLAN)
            assert await worker.stops() == 0
        collector.shutdown()
    spans = b"".join(received)
    assert b"RunActivity:make_plan" in spans
    assert b"RunWorkflow:PlanReview" in spans
    assert b"switchover-worker" in spans


async def test_it_gives_up_on_a_server_that_never_comes(tmp_path: Path) -> None:
    """If no server answers in the end, the error names the address."""
    with pytest.raises(
        TemporalUnavailable, match=f"no Temporal server answers at {UNUSED_ADDRESS}"
    ):
        await connect(settings(tmp_path, UNUSED_ADDRESS), (), timeout=0)
    with pytest.raises(TemporalUnavailable, match="not an address is not a valid address"):
        await connect(settings(tmp_path, "not an address"), ())


async def test_a_missing_namespace_is_named(server: WorkflowEnvironment, tmp_path: Path) -> None:
    """The refusal holds the command that creates the namespace."""
    environment = {
        "TEMPORAL_ADDRESS": address_of(server.client),
        "TEMPORAL_NAMESPACE": "elsewhere",
        "SWITCHOVER_ESTATES": str(tmp_path),
        "SWITCHOVER_RECORDS": str(tmp_path / "records"),
    }
    async with worker_process(**environment) as worker:
        assert await worker.ends() == 1
    assert "temporal operator namespace create --namespace elsewhere" in worker.lines[-1]


class WithoutOperatorService(Client):
    """A client to whom the server refuses its operator service."""

    @property
    def operator_service(self) -> OperatorService:
        """Refuse, as a server does without the right."""
        raise RPCError("Request unauthorized.", RPCStatusCode.PERMISSION_DENIED, b"")


async def test_a_full_namespace_stops_the_start(server: WorkflowEnvironment) -> None:
    """Where no attribute can be added, the refusal says what would help."""
    await register(server.client, *(f"Other{n}" for n in range(10)))
    with pytest.raises(TemporalUnavailable) as refusal:
        await register_search_attributes(server.client)
    for words in (
        "cannot have more than 10",
        "remove those that no workflow uses",
        (
            "temporal operator search-attribute create --namespace default "
            "--name SwitchoverEstate --type Keyword --name SwitchoverStage --type Keyword "
            "--name SwitchoverState --type Keyword"
        ),
    ):
        assert words in str(refusal.value)


async def test_without_the_operator_service_a_search_shows_what_is_registered(
    server: WorkflowEnvironment,
) -> None:
    """A worker may have no such right: it starts as soon as an administrator did it."""
    client = WithoutOperatorService(server.client.service_client, namespace="default")
    await register(server.client, "SwitchoverEstate")
    with pytest.raises(TemporalUnavailable) as refusal:
        await register_search_attributes(client)
    for words in (
        "Request unauthorized.",
        "create --namespace default --name SwitchoverStage --type Keyword --name SwitchoverState",
        (
            "tcld namespace search-attributes add --namespace default "
            "--search-attribute SwitchoverStage=Keyword --search-attribute SwitchoverState=Keyword"
        ),
    ):
        assert words in str(refusal.value)
    await register(server.client, "SwitchoverStage", "SwitchoverState")
    await register_search_attributes(client)


async def test_search_attributes_of_another_type_stop_the_start(
    server: WorkflowEnvironment,
) -> None:
    """A run that sets an attribute of another type would hang: nothing starts."""
    integer = IndexedValueType.INDEXED_VALUE_TYPE_INT
    await register(server.client, "SwitchoverState", kind=integer)
    with pytest.raises(TemporalUnavailable, match="SwitchoverState does not have the type Keyword"):
        await register_search_attributes(server.client)


async def test_workers_may_start_side_by_side(server: WorkflowEnvironment) -> None:
    """Registering twice, also at the same instant, is no mistake."""
    await asyncio.gather(*(register_search_attributes(server.client) for _ in range(3)))
    await register_search_attributes(server.client)


async def test_every_activity_of_the_ports_is_registered_once(
    temporal: Client, tmp_path: Path
) -> None:
    """What workflows may ask for is there, and nothing twice."""
    async with open_activities(settings(tmp_path, UNUSED_ADDRESS), temporal) as activities:
        names = sorted(activity.__name__ for activity in activities)
    assert names == sorted(name for port in PORTS for name in port.__abstractmethods__)
    assert len(set(names)) == len(names)


async def test_a_stray_import_stops_the_worker_at_its_start(temporal: Client) -> None:
    """A workflow that imports what belongs to the activities never serves a run."""
    with pytest.raises(RuntimeError, match="Failed validating workflow Stray") as refusal:
        Worker(temporal, task_queue="stray", workflows=[Stray], workflow_runner=FIREWALL)
    assert "Module yaml was not intentionally passed through" in str(refusal.value.__cause__)


async def test_an_estate_with_an_unusable_webhook_is_warned_of(
    temporal: Client, directory: Path, arguments: tuple[str, ...]
) -> None:
    """It cannot be switched, a plan for it is refused in one sentence, and no address is shown."""
    given = estates.written(webhook=HOOK)
    (directory / "lab.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    operator = Operator(temporal.service_client.config.target_host)
    environment = {"TEMPORAL_ADDRESS": operator.address, "SWITCHOVER_HOOK_SECRET": "hunter2"}
    refusal = "webhook.url: env:SWITCHOVER_HOOK: the worker's environment has no SWITCHOVER_HOOK"
    async with worker_process(*arguments, **environment) as worker:
        assert (await worker.says("ready: ")).endswith("estates: none yet")
        plan = await operator.types(*PLAN)
        assert (plan.code, refusal in plan.err) == (2, True)
        assert await worker.stops() == 0
    assert any("WARNING" in line and refusal in line for line in worker.lines)
    hook = "https://hook.example.com/token-0815"
    async with worker_process(*arguments, **environment, SWITCHOVER_HOOK=hook) as worker:
        assert (await worker.says("ready: ")).endswith("estates: lab")
        plan = await operator.types(*PLAN)
        assert (plan.code, "token-0815" in plan.message) == (0, False)
        assert await worker.stops() == 0
