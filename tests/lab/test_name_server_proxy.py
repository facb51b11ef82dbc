"""Faults of a name server: each begins with an update that redirects, and with no other message."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.tsig
import dns.update
import pytest

from lab import records
from lab.environment.lab import claimed_block
from lab.environment.load_balancers.dns import KEY, NAME_SERVER, ZONE, DnsLoadBalancer
from lab.environment.machines import prepare
from lab.fault_injection.fault import KINDS, Fault, Kind, places
from lab.fault_injection.trigger import Trigger
from lab.keys import tsig_secret
from lab.layout import Drivers, Layout
from lab.node.request_hook import RequestEvent
from lab.proxy.estate_file import NAME_SERVER_LINE_PORT
from lab.proxy.proxies import Proxies
from lab.proxy.request_id import Request
from workflows.model.stages import StageName

NAME = f"edge1.{ZONE}."
TIMEOUT = 5.0


class Client:
    """Asks the name server over its proxies, as the product does."""

    def __init__(self, balancer: DnsLoadBalancer) -> None:
        self.balancer = balancer

    async def ask(self) -> str:
        """Return the address of the Edge."""
        answer = await self._exchange(dns.message.make_query(NAME, "A"))
        return str(answer.answer[0][0])

    async def lead_to(self, cluster: str) -> dns.rcode.Rcode:
        """Change the zone."""
        [own] = self.balancer.described({})["names"].values()
        update = dns.update.UpdateMessage(ZONE, keyring=dns.tsig.Key(KEY, tsig_secret()))
        update.replace(NAME, 1, "A", own[cluster][0])
        return (await self._exchange(update)).rcode()

    async def act(self) -> str:
        """Redirect, then ask; return how that failed, if it did."""
        try:
            if await self.lead_to("cluster2") == dns.rcode.REFUSED:
                return "refused"
        except EOFError:
            return "lost" if await self._answers() else "unreachable"
        except OSError:
            return "unreachable"
        except dns.exception.DNSException:
            return "unknown"
        return "done"

    async def _answers(self) -> bool:
        try:
            return bool(await self.ask())
        except (EOFError, OSError):
            return False

    async def _exchange(self, message: dns.message.Message) -> dns.message.Message:
        address = self.balancer.layout.load_balancer
        return await dns.asyncquery.tcp(message, address, TIMEOUT, NAME_SERVER_LINE_PORT)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A client of a name server that leads to cluster1."""
    with tempfile.TemporaryDirectory(prefix="lab-dns-") as folder, claimed_block() as block:
        balancer = DnsLoadBalancer(Layout(Path(folder), block, 1, 1, Drivers("dns")))
        await asyncio.to_thread(prepare, balancer.layout)
        await balancer.start()
        try:
            yield Client(balancer)
        finally:
            await balancer.stop()


@pytest.fixture
async def proxies(client: Client) -> AsyncIterator[Proxies]:
    """Proxies between the client and the name server."""
    async with Proxies.open(client.balancer.layout) as proxies:
        yield proxies


def effects(client: Client) -> list[str]:
    """Return where each recorded redirect led."""
    return [one["to"] for one in records.read(client.balancer.layout.effects)]


async def test_messages_pass_unchanged_and_are_known_by_what_they_ask(
    client: Client, proxies: Proxies
) -> None:
    """Each before it has its effect, and after."""
    seen = []

    async def hook(event: RequestEvent, _: Request) -> bool:
        seen.append((event.when, event.place, event.protocol, event.text))
        return True

    proxies.request_monitor.hook = hook
    one, two = (c.edges[0].address for c in client.balancer.layout.clusters)
    assert await client.ask() == one
    assert await client.lead_to("cluster2") == dns.rcode.NOERROR
    assert await client.ask() == two
    question, update = f"{NAME} A", f"update {NAME} A; {NAME} A {two}"
    assert seen == [
        (when, NAME_SERVER, "dns", text)
        for text in (question, update, question)
        for when in ("before", "after")
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fault_begins_with_the_redirect(
    client: Client, proxies: Proxies, kind: Kind
) -> None:
    """What leads to the active cluster, or only asks, begins none; healed, all works."""
    noticed = asyncio.Event()

    async def has_noticed() -> bool:
        return noticed.is_set()

    fault = Fault(StageName.REDIRECT_TRAFFIC, NAME_SERVER, kind)
    trigger = Trigger(fault, proxies, has_noticed)
    trigger.arm()
    assert await client.ask()
    assert await client.lead_to("cluster1") == dns.rcode.NOERROR
    assert trigger.began_at is None

    assert await client.act() == kind
    assert effects(client) == (["cluster2"] if kind == "unknown" else [])
    noticed.set()
    await trigger.follow()
    assert await client.act() == "done"
    assert effects(client) == ["cluster2"]
    await trigger.end()


def test_a_redirect_by_names_fails_at_the_name_server() -> None:
    """The machines that follow it are only asked."""
    layout = Layout(Path("/"), "127.0.0", drivers=Drivers("dns"))
    assert places(layout, StageName.REDIRECT_TRAFFIC) == (NAME_SERVER,)
    with pytest.raises(ValueError, match="never acts on loadbalancer1; it acts on dns"):
        Fault.read("redirect_traffic:loadbalancer1:lost", layout)
