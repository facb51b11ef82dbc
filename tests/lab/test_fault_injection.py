"""Each injected fault begins when its stage acts, and ends when it is healed.

The tests act in place of the product, over the same proxies.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import psycopg
import pytest

from lab import records
from lab.environment.lab import Lab
from lab.environment.load_balancers.hosts_file import HostsFileLoadBalancer
from lab.fault_injection.fault import KINDS, Fault, Kind, places
from lab.fault_injection.trigger import Trigger
from lab.keys import make_keys
from lab.layout import (
    ADMIN_PASSWORD,
    ADMIN_PORT,
    ADMIN_USER,
    PROBE_ACCOUNT,
    SFTP_PORT,
    SHELL_USER,
    Layout,
    password,
)
from lab.proxy.estate_file import PROBE_PROXY_PORTS
from lab.proxy.postgres_proxy import DATABASE_PROXY_PORT
from lab.proxy.proxies import BALANCER, Proxies
from lab.proxy.tcp_proxy import SHELL_PROXY_PORT
from workflows.model.stages import StageName

OPERATIONS = "clusterServices/operations"
BROKEN = (OSError, asyncssh.Error, httpx.TransportError, psycopg.OperationalError)


@pytest.fixture
async def proxies(whole_lab: Lab) -> AsyncIterator[Proxies]:
    """Proxies between the tests and the lab."""
    async with Proxies.open(whole_lab.layout) as proxies:
        yield proxies


@dataclass
class Actor:
    """Does what a stage does, and returns how that failed, if it did."""

    layout: Layout
    place: str

    async def script(self, act: str, status: str, expected: str) -> str:
        """Run a script, then another, whose answer contains *expected*."""
        try:
            async with self.shell() as shell:
                acted = await shell.run(act)
                if acted.returncode == 1 and "refused" in str(acted.stderr):
                    return "refused"
                if acted.returncode is None or acted.returncode < 0:
                    return await self._lost_or_unreachable()
                read = await shell.run(status)
        except BROKEN:
            return await self._lost_or_unreachable()
        return "done" if expected in str(read.stdout) else "unknown"

    async def reload(self) -> str:
        """Reload the load balancer, then log in through it."""
        reload = str(HostsFileLoadBalancer(self.layout).reload_command)
        marker = "redirect_traffic"  # by which the proxy recognizes a redirect
        result = await self.script(f"{reload} '{marker}'", "echo done", "done")
        return await self._probe() if result == "done" else result

    async def operate(self) -> str:
        """Stop the Scheduler by the admin API, then ask for it."""
        query = {"serviceName": "Scheduler"}
        try:
            async with self.admin() as admin:
                answer = await admin.post(OPERATIONS, params={**query, "operation": "stop"})
                if not answer.json()["isSuccessful"]:
                    return "refused"
                status = (await admin.get("clusterServices", params=query)).json()["status"]
        except BROKEN:
            return await self._lost_or_unreachable()
        return "done" if status == "Not running." else "unknown"

    async def alter(self) -> str:
        """Disable a subscription, then read it."""
        name = {"database1": "cluster2_to_cluster1", "database2": "cluster1_to_cluster2"}
        try:
            await self._sql(f"ALTER SUBSCRIPTION {name[self.place]} DISABLE")
        except psycopg.errors.InsufficientPrivilege:
            return "refused"
        except BROKEN:
            try:
                await self._sql("SELECT 1")
            except BROKEN:
                return "unreachable"
            return "lost"
        try:
            await self._sql("SELECT subenabled FROM pg_subscription")
        except BROKEN:
            return "unknown"
        return "done"

    @asynccontextmanager
    async def shell(self) -> AsyncIterator[asyncssh.SSHClientConnection]:
        """Log in on the machine."""
        balancer = self.place == BALANCER
        address = self.layout.load_balancer if balancer else self.layout.node(self.place).address
        async with asyncssh.connect(
            address,
            SHELL_PROXY_PORT,
            username=SHELL_USER,
            client_keys=[str(self.layout.keys / "operator")],
            known_hosts=None,
            config=None,
        ) as connection:
            yield connection

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[httpx.AsyncClient]:
        """Reach the admin API through the shell."""
        node = self.layout.node(self.place)
        async with self.shell() as shell:
            listener = await shell.forward_local_port("127.0.0.1", 0, node.address, ADMIN_PORT)
            base = f"https://127.0.0.1:{listener.get_port()}/api/v2.0"
            async with httpx.AsyncClient(
                base_url=base,
                auth=(ADMIN_USER, ADMIN_PASSWORD),
                headers={"Referer": base},
                verify=False,  # noqa: S501 - who answers is not what is tested
                trust_env=False,
            ) as client:
                yield client

    async def _sql(self, statement: str) -> None:
        cluster = next(c for c in self.layout.clusters if c.database_name == self.place)
        dsn = f"{cluster.dsn} port={DATABASE_PROXY_PORT} sslmode=disable"
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute(statement.encode())

    async def _lost_or_unreachable(self) -> str:
        """Whether the place can still be reached."""
        try:
            async with self.shell():
                return "lost"
        except BROKEN:
            return "unreachable"

    async def _probe(self) -> str:
        try:
            async with asyncssh.connect(
                self.layout.load_balancer,
                PROBE_PROXY_PORTS[SFTP_PORT],
                username=PROBE_ACCOUNT,
                password=password(PROBE_ACCOUNT),
                client_keys=None,
                known_hosts=None,
                config=None,
            ):
                return "done"
        except BROKEN:
            return "unknown"


def act_of(layout: Layout, stage: StageName, place: str) -> Callable[[], Awaitable[str]]:
    """Return what this stage does there."""
    actor = Actor(layout, place)
    if stage is StageName.REDIRECT_TRAFFIC:
        return actor.reload
    if stage is StageName.SUSPEND_REPLICATION:
        return actor.alter
    if stage in (StageName.STOP_SCHEDULING, StageName.START_SCHEDULING):
        return actor.operate
    folder = layout.node(place).home / "bin"
    act, status, expected = {
        StageName.STOP_MONITORS: ("stop_monitord", "status_monitord", "monitord is down"),
        StageName.DRAIN_PROTOCOL_SERVERS: ("stop_sshd -g -timeout 9", "status_sshd", "sshd is"),
        StageName.DRAIN_TRANSACTION_MANAGER: ("stop_tm -g -timeout 30", "status_tm", "tm is"),
        StageName.STOP_REMAINING_SERVICES: ("stop_all", "stop_all; echo done", "done"),
    }[stage]
    return lambda: actor.script(f"{folder}/{act}", f"{folder}/{status}", expected)


STAGES = (
    (StageName.STOP_MONITORS, "cluster1-edge1"),
    (StageName.SUSPEND_REPLICATION, "database2"),
    (StageName.REDIRECT_TRAFFIC, BALANCER),
    (StageName.STOP_SCHEDULING, "cluster1-server1"),
    (StageName.DRAIN_PROTOCOL_SERVERS, "cluster1-server1"),
    (StageName.DRAIN_TRANSACTION_MANAGER, "cluster1-server2"),
    (StageName.STOP_REMAINING_SERVICES, "cluster1-edge2"),
)
WAYS = chain(
    ((*STAGES[4], kind) for kind in KINDS),
    ((*where, kind) for where, kind in zip(STAGES, cycle(KINDS), strict=False)),
)
"""Every kind at one stage and every stage with one kind; ``lab rollback`` has them all."""


def is_set(event: asyncio.Event) -> Callable[[], Awaitable[bool]]:
    """Whether the run has noticed the fault."""

    async def noticed() -> bool:
        return event.is_set()

    return noticed


def effects(lab: Lab) -> list[dict[str, Any]]:
    """What the estate did."""
    return list(records.read(lab.layout.effects))


@pytest.mark.parametrize(("stage", "place", "kind"), [*WAYS])
async def test_a_fault_shows_where_and_when_it_should(
    whole_lab: Lab, proxies: Proxies, stage: StageName, place: str, kind: Kind
) -> None:
    """As it says, with an effect only where the act itself went well; and healed, all works."""
    noticed = asyncio.Event()
    trigger = Trigger(Fault(stage, place, kind), proxies, is_set(noticed))
    trigger.arm()
    act = act_of(whole_lab.layout, stage, place)

    assert await act() == kind
    assert bool(effects(whole_lab)) is (kind == "unknown")
    assert trigger.began_at is not None
    noticed.set()
    await trigger.follow()

    assert await act() == "done"
    assert effects(whole_lab)
    await trigger.end()


async def test_a_fault_affects_nothing_else(whole_lab: Lab, proxies: Proxies) -> None:
    """Neither other places nor other acts begin it."""
    layout, never = whole_lab.layout, is_set(asyncio.Event())
    trigger = Trigger(Fault(StageName.STOP_MONITORS, "cluster1-edge1", "refused"), proxies, never)
    trigger.arm()

    assert await act_of(layout, StageName.STOP_MONITORS, "cluster1-edge2")() == "done"
    assert await act_of(layout, StageName.DRAIN_PROTOCOL_SERVERS, "cluster1-edge1")() == "done"
    assert trigger.began_at is None
    await trigger.end()


async def test_a_fault_is_healed_before_the_next_request(whole_lab: Lab, proxies: Proxies) -> None:
    """A run that rolls back never meets it again, however soon it acts."""
    state = iter([False, True])

    async def notices() -> bool:
        return next(state)

    act = act_of(whole_lab.layout, StageName.STOP_SCHEDULING, "cluster1-server1")
    trigger = Trigger(
        Fault(StageName.STOP_SCHEDULING, "cluster1-server1", "lost"), proxies, notices
    )
    trigger.arm()

    assert await act() == "lost"
    assert await act() == "lost"
    assert await act() == "done"
    assert trigger.healed_at is not None
    await trigger.end()


OBSERVED = ("cluster2-server1", BALANCER, "database1")


@pytest.mark.parametrize(("place", "kind"), [*zip(cycle(OBSERVED), KINDS, strict=False)])
async def test_a_place_that_is_only_read_is_faulty_from_the_first(
    whole_lab: Lab, proxies: Proxies, place: str, kind: Kind
) -> None:
    """Before its first request; and healed, it works."""
    noticed = asyncio.Event()
    trigger = Trigger(Fault(StageName.CHECK_PREREQUISITES, place, kind), proxies, is_set(noticed))
    one = Actor(whole_lab.layout, place)
    status = f"{whole_lab.layout.root}/machines/{place}/opt/axway/SecureTransport/bin/status_sshd"
    act: Callable[[], Awaitable[str]] = lambda: one.script("true", status, "sshd is alive")  # noqa: E731
    act = {"database1": one.alter, BALANCER: one.reload}.get(place, act)
    trigger.arm()

    # A client that cannot log in does not know why.
    assert await act() in {kind, "unreachable"}
    noticed.set()
    await trigger.follow()

    assert await act() == "done"
    await trigger.end()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A lab's places on paper."""
    layout = Layout(tmp_path, "127.9.7")
    make_keys(layout)
    return layout


def test_a_fault_reads_as_it_is_written(layout: Layout) -> None:
    """Every stage, place and kind there is."""
    for stage in StageName:
        for place in places(layout, stage):
            for kind in KINDS:
                fault = Fault(stage, place, kind)
                assert Fault.read(str(fault), layout) == fault


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'' is no stage"),
        ("stop_everything:x:lost", "'stop_everything' is no stage; the stages are check_"),
        ("stop_monitors", "stop_monitors never acts on no place"),
        ("stop_monitors:database1:lost", "stop_monitors never acts on database1; it acts on"),
        ("stop_monitors:cluster2-edge1:lost", "never acts on cluster2-edge1"),
        ("start_scheduling:cluster1-server1:lost", "it acts on cluster2-server1, cluster2-"),
        ("restore_monitors:cluster2-edge1:lost", "restore_monitors has nothing to do"),
        ("stop_monitors:cluster1-edge1:broken", "'broken' is no kind of fault; the kinds are"),
        ("stop_monitors:cluster1-edge1", "'' is no kind of fault"),
        ("stop_monitors:cluster1-edge1:lost:now", "'lost:now' is no kind of fault"),
    ],
)
def test_an_impossible_fault_is_refused(layout: Layout, text: str, words: str) -> None:
    """Before anything is started, and with the possible values."""
    with pytest.raises(ValueError, match=words):
        Fault.read(text, layout)
