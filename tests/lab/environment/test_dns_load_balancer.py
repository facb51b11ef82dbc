"""HAProxy follows the lab's zone without a reload, and keeps open connections."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.rcode
import dns.tsig
import dns.update
import pytest

from lab import records
from lab.environment.lab import claimed_block
from lab.environment.load_balancers.dns import KEY, NAME_SERVER, ZONE, DnsLoadBalancer
from lab.environment.machines import prepare
from lab.keys import tsig_secret
from lab.layout import DNS_PORT, SFTP_PORT, Drivers, Layout
from tests.support.polling import eventually


@pytest.fixture
async def balancer() -> AsyncIterator[DnsLoadBalancer]:
    """The load balancer of a lab without nodes that run."""
    with tempfile.TemporaryDirectory(prefix="lab-dns-") as folder, claimed_block() as block:
        balancer = DnsLoadBalancer(Layout(Path(folder), block, 1, 1, Drivers("dns")))
        await asyncio.to_thread(prepare, balancer.layout)
        await balancer.start()
        try:
            yield balancer
        finally:
            await balancer.stop()


async def lead_to(balancer: DnsLoadBalancer, cluster: str) -> dns.rcode.Rcode:
    """Change the zone, as the product does."""
    update = dns.update.UpdateMessage(ZONE, keyring=dns.tsig.Key(KEY, tsig_secret()))
    [(name, own)] = balancer.described({})["names"].items()
    update.replace(f"{name}.", 1, "A", own[cluster][0])
    answer = await dns.asyncquery.tcp(update, balancer.layout.load_balancer, 5, DNS_PORT)
    return answer.rcode()


async def test_new_connections_follow_the_zone_and_old_ones_stay(balancer: DnsLoadBalancer) -> None:
    """The effect is recorded by the name server, once, whatever the product says."""
    layout = balancer.layout
    reached = []

    async def serve(node: str) -> asyncio.Server:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while word := await reader.read(100):
                    writer.write(node.encode() + word)
            finally:
                writer.close()

        return await asyncio.start_server(accept, layout.address(node), SFTP_PORT)

    async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> str:
        reader, writer = streams
        writer.write(b"?")
        return (await reader.read(100)).decode()

    async def newcomer() -> str:
        streams = await asyncio.open_connection(layout.load_balancer, SFTP_PORT)
        try:
            return await ask(streams)
        finally:
            streams[1].close()

    async def reaches(node: str) -> bool:
        reached.append(await newcomer())
        return reached[-1] == f"{node}?"

    servers = [await serve(f"cluster{number}-edge1") for number in (1, 2)]
    await eventually(lambda: reaches("cluster1-edge1"))
    old = await asyncio.open_connection(layout.load_balancer, SFTP_PORT)
    assert await ask(old) == "cluster1-edge1?"
    assert balancer.differences() == []
    assert await lead_to(balancer, "cluster2") is dns.rcode.NOERROR
    await eventually(lambda: reaches("cluster2-edge1"))
    assert await ask(old) == "cluster1-edge1?"
    assert balancer.traffic() == "cluster2"
    assert balancer.differences() == ["loadbalancer1: the zone does not lead to cluster1"]
    [effect] = records.read(layout.effects)
    assert (effect["place"], effect["to"], effect["changed"]) == (NAME_SERVER, "cluster2", True)
    await balancer.reset()
    assert balancer.differences() == []
    old[1].close()
    for server in servers:
        server.close()


async def test_the_machine_resolves_names_at_its_own_name_server(balancer: DnsLoadBalancer) -> None:
    """As the system's resolver would; a name that is not there has its status."""
    [(name, own)] = balancer.described({})["names"].items()
    for asked, status, found in ((name, 0, own["cluster1"][0]), ("nothing.example.com", 2, "")):
        process = await asyncio.create_subprocess_exec(
            *(balancer.redirect_program, "ahosts", asked), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert (process.returncode, out.decode().split()[:1]) == (status, [found] if found else [])
