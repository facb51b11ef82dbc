"""Machines behind the lab's jump host."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import httpx
import pytest

from lab import access, records
from lab.checker.evidence import Evidence
from lab.checker.ways import WayCounts, count_ways
from lab.environment.estate_file import describe
from lab.environment.lab import Lab
from lab.fault_injection.fault import KINDS, Fault, Kind
from lab.fault_injection.trigger import Trigger
from lab.keys import make_keys
from lab.layout import (
    ADMIN_PASSWORD,
    ADMIN_PORT,
    ADMIN_USER,
    JUMP_HOST,
    JUMP_USER,
    SHELL_PORT,
    SHELL_USER,
    Drivers,
    Layout,
)
from lab.proxy.estate_file import write_proxied_estate
from lab.proxy.proxies import BALANCER, Proxies
from lab.proxy.tcp_proxy import SHELL_PROXY_PORT
from lab.simulation_options import end_simulation, simulate
from tests.support.polling import eventually
from workflows.model.estate import Estate
from workflows.model.load_balancers.machines import LoadBalancerMachines
from workflows.model.stages import StageName

BEHIND = Drivers(jump_host=True)
NODE = "cluster1-server1"


@pytest.fixture(scope="module")
async def layout(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Layout]:
    """The layout of a small lab whose machines are behind a jump host."""
    directory = tmp_path_factory.mktemp("behind") / "lab"
    async with Lab.open(directory, 1, 1, drivers=BEHIND) as lab:
        yield lab.layout


@asynccontextmanager
async def jump_host(
    layout: Layout, port: int = SHELL_PORT
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in to the jump host."""
    host_key = asyncssh.read_public_key(layout.keys / f"{JUMP_HOST}_host_key.pub")
    async with asyncssh.connect(
        layout.jump_host,
        port,
        username=JUMP_USER,
        client_keys=[str(layout.keys / "jump")],
        known_hosts=([host_key], [], []),
        config=None,
    ) as connection:
        yield connection


async def answer(
    layout: Layout,
    via: asyncssh.SSHClientConnection | None,
    port: int = SHELL_PORT,
    say: str = "in",
) -> str | None:
    """Run a command on a node, through the jump host or past it."""
    connecting = asyncssh.connect(
        layout.address(NODE),
        port,
        username=SHELL_USER,
        client_keys=[str(layout.keys / "operator")],
        known_hosts=None,
        config=None,
        tunnel=via or (),
    )
    async with connecting as connection:
        return str((await connection.run(f"echo {say}")).stdout).strip()


def ways(layout: Layout) -> WayCounts:
    """The counts of the record."""
    found = count_ways(
        Evidence(behind=frozenset(layout.behind.values()), ways=[*records.read(layout.ways)])
    )
    assert found is not None
    return found


async def test_a_machine_lets_in_who_comes_through_the_jump_host_and_nobody_else(
    layout: Layout,
) -> None:
    """And both are on record, but for the lab's own operator."""
    before = ways(layout)
    async with jump_host(layout) as via:
        assert await answer(layout, via) == "in"
    with pytest.raises((asyncssh.Error, OSError)):
        await answer(layout, None)
    async with access.shell(layout, NODE) as own:
        assert (await own.run("echo in")).stdout == "in\n"
    after = ways(layout)
    assert after.logins - before.logins == 1
    assert after.connections - before.connections == 1
    assert after.past_it - before.past_it == 1
    assert (after.machines, after.unreached) == (len(layout.behind), len(layout.behind) - 1)


async def test_an_admin_api_answers_its_own_machine_and_nobody_else(layout: Layout) -> None:
    """An answer to anyone else would be one past the jump host."""
    node, before = layout.node(NODE), ways(layout).past_it
    async with access.admin(layout, node) as own:
        assert (await own.get("version")).status_code == 200
    base = f"https://{node.address}:{ADMIN_PORT}/api/v2.0/"
    credentials = ADMIN_USER, ADMIN_PASSWORD
    tls = ssl.create_default_context(cafile=layout.keys / "ca.pem")
    async with httpx.AsyncClient(base_url=base, auth=credentials, verify=tls) as stranger:
        refused = await stranger.get("version", headers={"Referer": base})
    assert refused.status_code == 403
    assert ways(layout).past_it == before + 1


async def test_the_jump_host_leads_to_machines_only_and_runs_nothing(layout: Layout) -> None:
    """As one that is set up with care."""
    async with jump_host(layout) as via:
        with pytest.raises(asyncssh.ChannelOpenError):
            await via.open_connection(layout.clusters[0].database_address, 22)
        with pytest.raises(asyncssh.ChannelOpenError):
            await via.run("true")


async def test_a_jump_host_may_break_its_connections_off(layout: Layout) -> None:
    """After the time that it is told, once there was an effect."""
    simulate(layout, JUMP_HOST, session_seconds="0.1")
    try:
        async with jump_host(layout) as via:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(via.wait_closed(), 0.5)
            records.append(layout.effects, place=NODE, service="ssh", effect="stop")
            await asyncio.wait_for(via.wait_closed(), 10)
    finally:
        layout.effects.unlink(missing_ok=True)
        end_simulation(layout, JUMP_HOST)


async def _never() -> bool:
    return False


async def _lost(asked: Coroutine[None, None, str | None]) -> bool:
    """Whether a connection was; one that is lost during a command gives no output."""
    try:
        return await asked is None
    except (asyncssh.Error, OSError):
        return True


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_of_the_jump_host_begins_with_an_action_behind_it(
    layout: Layout, kind: Kind
) -> None:
    """It takes the way to every machine; what reached one before had its effect."""
    stop = f"{layout.node(NODE).home}/bin/stop_monitord"
    mark = layout.node(NODE).root / kind
    async with Proxies.open(layout) as proxies:
        trigger = Trigger(Fault(StageName.STOP_MONITORS, JUMP_HOST, kind), proxies, _never)
        trigger.arm()
        async with jump_host(layout, SHELL_PROXY_PORT) as via:
            assert await answer(layout, via, SHELL_PROXY_PORT) == "in"
            assert trigger.began_at is None
            act = answer(layout, via, SHELL_PROXY_PORT, f"{stop} >{mark}")
            assert await _lost(act) or await _lost(answer(layout, via, SHELL_PROXY_PORT))
        assert trigger.began_at is not None
        with pytest.raises((asyncssh.Error, OSError)):
            async with jump_host(layout, SHELL_PROXY_PORT):
                pass
        if kind != "unreachable":
            await eventually(mark.exists)
        await trigger.end()
        async with jump_host(layout, SHELL_PROXY_PORT) as via:
            assert await answer(layout, via, SHELL_PROXY_PORT) == "in"
        assert mark.exists() == (kind != "unreachable")


def test_the_estate_names_the_jump_host_of_every_machine(tmp_path: Path) -> None:
    """Through a campaign's proxies, too; without a jump host the file is as it was."""
    layout = Layout(tmp_path, "127.9.8", drivers=BEHIND)
    make_keys(layout)
    layout.write()
    assert Layout.read(tmp_path) == layout
    assert str(BEHIND) == " --jump-host"
    assert str(Drivers("dns", jump_host=True)) == " --load-balancer dns --jump-host"
    estate = Estate.model_validate(describe(layout))
    assert isinstance(estate.load_balancer, LoadBalancerMachines)
    machines = [*estate.nodes, *estate.load_balancer.hosts]
    assert [m.ssh.jump[0].place for m in machines] == [f"127.9.8.3:{SHELL_PORT}"] * len(machines)
    write_proxied_estate(layout, layout.estate_file.parent, {})
    assert f"port: {SHELL_PORT}\n" not in layout.estate_file.read_text()
    assert JUMP_HOST not in Layout(tmp_path, "127.9.8").behind.values()
    assert "jump" not in describe(Layout(tmp_path, "127.9.8"))["defaults"]["ssh"]
    assert BALANCER in layout.behind.values()
