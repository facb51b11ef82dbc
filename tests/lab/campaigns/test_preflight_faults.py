"""Every injected fault can be observed, and leaves the lab in its baseline when it is reverted."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import LiteralString

import asyncssh
import httpx
import psycopg
import pytest

from lab import records
from lab.campaigns.preflight_faults import (
    configuration,
    databases,
    load_balancer,
    nodes,
    services,
    storage,
)
from lab.campaigns.preflight_faults.campaign import FaultResult, FaultState
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.registry import BY_NAME, FaultRegistry
from lab.campaigns.preflight_faults.unit_tests import LISTS, UNIT_TESTS
from lab.environment.lab import Lab as WholeLab
from lab.environment.storage import MARKERS
from lab.layout import PROBE_ACCOUNT, SFTP_PORT
from lab.product_driver import ReadinessAnswer
from lab.simulation_options import SimulationOptions
from lab.subprocesses import REPOSITORY
from tests.end_to_end.test_preflight_faults import SAMPLE
from tests.support.node_clients import Lab
from tests.support.polling import eventually
from workflows.preflight import catalogue

FAULTS = (
    *nodes.FAULTS,
    *services.FAULTS,
    *configuration.FAULTS,
    *load_balancer.FAULTS,
    *storage.FAULTS,
    *databases.FAULTS,
)
BALANCER = "loadbalancer1"
FAULT = BY_NAME["service_unreadable"]
BAD_INPUT = 2

Observation = Callable[[Lab, str], Awaitable[bool]]


@pytest.fixture
async def lab(whole_lab: WholeLab) -> AsyncIterator[Lab]:
    """The machines of the lab, as a client reaches them."""
    lab = Lab(whole_lab.layout, whole_lab.databases, whole_lab.machines)
    yield lab
    await lab.leave()


def prints(command: str, text: str) -> Observation:
    """Whether a command prints this on the node."""

    async def observe(lab: Lab, place: str) -> bool:
        answer = await lab.run(place, command.format(home=lab.home(place)))
        return bool(re.search(text, answer.text))

    return observe


def answers(resource: str, text: str) -> Observation:
    """Whether the admin APIs of both Servers of the cluster answer this."""

    async def observe(lab: Lab, place: str) -> bool:
        names = [f"{place}-{server}" for server in ("server1", "server2")]
        found = [str(await lab.ask(name, resource)) for name in names]
        return all(re.search(text, answer) for answer in found)

    return observe


def queried(database: str, question: LiteralString) -> Observation:
    """Whether a database answers yes to the product's own account."""

    async def observe(lab: Lab, _: str) -> bool:
        dsn = {cluster.database_name: cluster.dsn for cluster in lab.layout.clusters}[database]
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            answer = await (await connection.execute(question)).fetchone()
        assert answer is not None
        return bool(answer[0])

    return observe


async def connection_breaks(lab: Lab, place: str) -> bool:
    """Whether the shell breaks off the connection."""
    try:
        await lab.shell(place)
    except asyncssh.PermissionDenied:
        return False
    except (OSError, asyncssh.Error):
        return True
    return False


async def admin_is_silent(lab: Lab, place: str) -> bool:
    """Whether only the admin API does not answer."""
    with suppress(httpx.TransportError):
        async with lab.admin(place) as client:
            await client.get("daemons")
        return False
    return await lab.status(place, "sshd") == "sshd is alive"


async def password_is_refused(lab: Lab, place: str) -> bool:
    """Whether the admin API refuses the operator's password."""
    async with lab.admin(place) as client:
        return (await client.get("daemons")).status_code == 401


async def client_is_connected(lab: Lab, place: str) -> bool:
    """Whether the kernel lists a connection to the SSH protocol server."""
    address = bytes(map(int, lab.address(place).split(".")))[::-1].hex().upper()
    wanted = f"{address}:{SFTP_PORT:04X}"
    rows = [line.split() for line in (await lab.run(place, "cat /proc/net/tcp")).text.splitlines()]
    return any(row[1] == wanted and row[3] == "01" for row in rows[1:])


async def file_is_orphaned(lab: Lab, place: str) -> bool:
    """Whether there is a Transaction Manager's unfinished file that is an hour old."""
    storage = lab.layout.cluster(place).storage
    find = f"find {storage} -name '*.m_inproc' -type f -mmin +60"
    return (await lab.run(f"{place}-server1", find)).text != ""


async def login_reaches_cluster2(lab: Lab, _: str) -> bool:
    """Whether a new client's session begins there."""
    async with lab.visit(BALANCER, PROBE_ACCOUNT) as files:
        await files.listdir(".")
    begun = [line for line in records.read(lab.layout.sessions) if line["what"] == "begin"]
    return lab.layout.node(begun[-1]["node"]).cluster == "cluster2"


async def https_is_closed(lab: Lab, _: str) -> bool:
    """Whether SFTP clients are served, and HTTPS clients are not."""
    async with lab.visit(BALANCER, PROBE_ACCOUNT) as files:
        await files.listdir(".")
    async with lab.web(BALANCER, PROBE_ACCOUNT) as client:
        try:
            await client.get("/")
        except httpx.ConnectError:
            return True
    return False


async def sync_is_late(lab: Lab, place: str) -> bool:
    """Whether the sync needs more than a second."""
    one, two = (cluster.storage / MARKERS / "marker" for cluster in lab.layout.clusters)
    one.touch()
    began = time.monotonic()
    await eventually(two.exists)
    late = time.monotonic() - began > 1
    one.unlink()
    await eventually(lambda: not two.exists())
    return late


async def storage_is_missing(lab: Lab, place: str) -> bool:
    """Whether a Server has no such directory."""
    storage = lab.layout.cluster(place).storage
    return (await lab.run(f"{place}-server1", f"cd {storage}")).status != 0


async def database_is_closed(lab: Lab, place: str) -> bool:
    """Whether the subscriber's database refuses the product's account."""
    try:
        await (await psycopg.AsyncConnection.connect(lab.layout.cluster("cluster2").dsn)).close()
    except psycopg.OperationalError:
        return True
    return False


OBSERVED: dict[str, Observation] = {
    "node_unreachable_ssh": connection_breaks,
    "node_unreachable_admin": admin_is_silent,
    "admin_access_refused": password_is_refused,
    "service_unreadable": prints("{home}/bin/status_sshd", "desync"),
    "source_not_active": answers("clusterServices?serviceName=Scheduler", "Not running"),
    "target_has_sessions": client_is_connected,
    "orphaned_files": file_is_orphaned,
    "load_balancer_unreachable": connection_breaks,
    "traffic_not_on_source": login_reaches_cluster2,
    "probe_unreachable": https_is_closed,
    "storage_delay_exceeded": sync_is_late,
    "storage_unreadable": storage_is_missing,
    "database_unreachable": database_is_closed,
    "replication_lagging": queried(
        "database1",
        "SELECT pg_current_wal_lsn() - confirmed_flush_lsn > 64 * 1048576 "
        "FROM pg_replication_slots WHERE slot_name = 'cluster1_to_cluster2'",
    ),
    "replication_not_comparable": queried(
        "database1", "SELECT NOT rolreplication FROM pg_roles WHERE rolname = current_user"
    ),
}
"""How a client, or the product's account, observes what end_to_end does not show the product."""


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_can_be_observed_until_it_is_reverted(
    whole_lab: WholeLab, lab: Lab, fault: InjectedFault
) -> None:
    """It leaves no effect, and afterwards the lab is in its baseline."""
    observe = OBSERVED.get(fault.name)
    assert observe is None or not await observe(lab, fault.place)

    await fault.inject(lab.layout, fault.place)
    try:
        observed = observe is None or await observe(lab, fault.place)
        differs = await whole_lab.at_baseline()
    finally:
        await fault.revert(lab.layout, fault.place)
    assert observed
    # A session is no difference that would outlast it.
    assert differs or fault.name == "target_has_sessions"

    assert observe is None or not await observe(lab, fault.place)
    assert [*records.read(lab.layout.effects)] == []
    lab.layout.sessions.unlink(missing_ok=True)  # our own
    assert await whole_lab.at_baseline() == []


async def test_a_missing_storage_is_not_an_empty_one(whole_lab: WholeLab) -> None:
    """The files of the other side stay, and are synced when the storage is back."""
    layout, fault = whole_lab.layout, BY_NAME["storage_unreadable"]
    one, two = (cluster.storage / "done/file" for cluster in layout.clusters)
    one.write_bytes(b"kept")
    await eventually(two.exists)

    await fault.inject(layout, fault.place)
    await asyncio.sleep(1)
    there = one.exists()
    await fault.revert(layout, fault.place)

    assert there
    assert two.read_bytes() == b"kept"


def test_every_check_is_proven_by_a_fault_or_by_a_unit_test() -> None:
    """The lab's names are the product's; each unit test exists, and its file names the check."""
    assert {fault.name for fault in FAULTS} == set(OBSERVED) | set(SAMPLE) <= set(BY_NAME)
    assert set(BY_NAME) | set(UNIT_TESTS) == set(catalogue.BY_NAME)
    assert not set(BY_NAME) & set(UNIT_TESTS)
    for name, (file, test) in UNIT_TESTS.items():
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        assert f"def {test}(" in text
        stem = re.sub("_differs?$", "", name)
        assert name in LISTS or re.search(rf'[".]{stem}', text), name


async def command(*arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, its output and its errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lab", "inject", *arguments),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_a_fault_is_injected_and_reverted_from_another_terminal(whole_lab: WholeLab) -> None:
    """Each command is a process of its own; the lab records what is injected."""
    here = ("--dir", str(whole_lab.layout.root))

    code, out, _ = await command(FAULT.name, *here, "--at", "cluster1-edge1")
    assert (code, out) == (0, f"cluster1-edge1: {FAULT.name}: {FAULT.description}\n")
    assert "cluster1-edge1" in SimulationOptions.read(whole_lab.layout.simulation).faults
    assert FaultRegistry(whole_lab.layout).injected == [(FAULT.name, "cluster1-edge1")]
    code, _, error = await command(FAULT.name, *here, "--at", "cluster1-edge1")
    assert (code, error.count("\n")) == (BAD_INPUT, 1)
    assert "is already injected at cluster1-edge1" in error

    code, out, _ = await command("--clear", *here)
    assert code == 0
    assert "1 fault reverted" in out
    assert await whole_lab.at_baseline() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("nonsense",), "there is no fault nonsense"),
        ((FAULT.name, "--at", "database1"), "cannot be injected at database1"),
        ((FAULT.name, "--at", "cluster1-edge9"), "has no place cluster1-edge9"),
        ((), "give one fault"),
        ((FAULT.name, "--clear"), "give one fault"),
    ],
)
async def test_what_cannot_be_injected_is_refused(
    whole_lab: WholeLab, arguments: tuple[str, ...], expected: str
) -> None:
    """In one sentence, and nothing is changed."""
    code, out, error = await command(*arguments, "--dir", str(whole_lab.layout.root))

    assert (code, out) == (BAD_INPUT, "")
    assert expected in error
    assert error.count("\n") == 1
    assert FaultRegistry(whole_lab.layout).injected == []


async def test_where_no_lab_runs_nothing_is_injected(tmp_path: Path) -> None:
    """The message names the command that starts one."""
    code, _, error = await command(FAULT.name, "--dir", str(tmp_path))

    assert code == BAD_INPUT
    assert f"no lab runs in {tmp_path}; start one with `python -m lab up`" in error


def found(name: str, place: str, *, code: int = 6) -> ReadinessAnswer:
    """The console's answer with one finding."""
    finding = {"name": name, "place": place, "seen": "an | older one", "severity": "blocks"}
    return ReadinessAnswer(code, (finding,), 3.5)


def test_a_fault_counts_as_found_by_its_name_at_its_place() -> None:
    """Another name or place, or exit code 0, does not count."""
    good = FaultResult.of(FAULT, FAULT.place, found(FAULT.name, FAULT.place))
    assert good.found
    assert FaultResult.of(FAULT, "cluster2", found(FAULT.name, "cluster2-server1")).found
    for answer in (
        found("taeh_differs", FAULT.place),
        found(FAULT.name, "cluster1-server1"),
        found(FAULT.name, FAULT.place, code=0),
        ReadinessAnswer(-1, (), 60.0, "no answer"),
    ):
        assert not FaultResult.of(FAULT, FAULT.place, answer).found

    clean, noisy = ReadinessAnswer(0, (), 3.0), found("taeh_differs", FAULT.place)
    missed = FaultResult.of(FAULT, FAULT.place, noisy)
    assert list(FaultState(1.0, [clean], [good]).problems()) == []
    assert "check 1 of the clean" in "".join(FaultState(1.0, [noisy], [good]).problems())
    assert "was not found" in "".join(FaultState(1.0, [clean], [missed]).problems())
    assert list(FaultState().problems()) == ["nothing was checked"]
