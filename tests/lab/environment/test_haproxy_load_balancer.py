"""A load balancer that is told addresses while it runs, with a real HAProxy and no clients."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab import records
from lab.environment.lab import claimed_block
from lab.environment.load_balancers.haproxy import HaproxyLoadBalancer
from lab.environment.load_balancers.registry import load_balancer
from lab.layout import Drivers, Layout


@pytest.fixture
async def balancer(tmp_path: Path) -> AsyncIterator[HaproxyLoadBalancer]:
    """A load balancer that serves cluster1."""
    with claimed_block() as block:
        found = load_balancer(Layout(tmp_path, block, drivers=Drivers("haproxy")))
        assert isinstance(found, HaproxyLoadBalancer)
        await found.start()
        yield found
        await found.stop()


async def tell(balancer: HaproxyLoadBalancer, server: str, cluster: str) -> str:
    """Tell HAProxy a server's address, on the machine's socket."""
    address, _, port = balancer.servers[server][cluster].partition(":")
    reader, writer = await asyncio.open_unix_connection(balancer.socket)
    writer.write(f"set server {server} addr {address} port {port}\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.decode()


def effects(balancer: HaproxyLoadBalancer) -> list[tuple[str, bool]]:
    """Return where each recorded redirect led, and whether it changed that."""
    return [(one["to"], one["changed"]) for one in records.read(balancer.layout.effects)]


async def test_a_redirect_is_recorded_when_every_server_was_told(
    balancer: HaproxyLoadBalancer,
) -> None:
    """There and back; what is told again is recorded as what changes nothing."""
    for cluster in ("cluster2", "cluster1", "cluster1"):
        *first, last = balancer.servers
        before = effects(balancer)
        for server in first:
            await tell(balancer, server, cluster)
        assert effects(balancer) == before
        await tell(balancer, last, cluster)
        assert balancer.traffic() == cluster
    assert effects(balancer) == [("cluster2", True), ("cluster1", True), ("cluster1", False)]
    server = next(iter(balancer.servers))
    for _ in range(2):
        await tell(balancer, server, "cluster1")
    assert effects(balancer)[-1] == ("cluster1", False)
    assert len(effects(balancer)) == 4


async def test_while_it_is_told_traffic_goes_to_both(balancer: HaproxyLoadBalancer) -> None:
    """To lead there for good is a difference."""
    await tell(balancer, next(iter(balancer.servers)), "cluster2")
    assert balancer.traffic() == "cluster1 and cluster2"
    assert balancer.differences() == [
        "loadbalancer1: HAProxy sends traffic to cluster1 and cluster2"
    ]


async def test_it_is_reloaded_as_soon_as_it_serves(balancer: HaproxyLoadBalancer) -> None:
    """A master that still loads would drop the signal."""
    for cluster in ("cluster2", "cluster1", "cluster2"):
        balancer.write(balancer.files(cluster))
        await balancer.follow()
        assert balancer.traffic() == cluster


async def test_a_reset_restores_the_baseline(balancer: HaproxyLoadBalancer) -> None:
    """Whatever HAProxy was told, or was written to its configuration."""
    for server in balancer.servers:
        await tell(balancer, server, "cluster2")
    balancer.write(balancer.files("cluster2"))
    assert balancer.differences("cluster2") == []
    await balancer.reset()
    assert balancer.differences() == []
    assert balancer.traffic() == "cluster1"
