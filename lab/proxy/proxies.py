"""All proxies of one lab."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from lab.layout import Layout
from lab.proxy.estate_file import PROBE_PROXY_PORTS
from lab.proxy.postgres_proxy import PostgresProxy
from lab.proxy.request_monitor import RequestMonitor
from lab.proxy.tcp_proxy import TcpProxy

BALANCER = "loadbalancer1"


@dataclass
class Proxies:
    """Everything that the product asks of a lab passes here, if it was given the proxies' ports."""

    layout: Layout
    request_monitor: RequestMonitor
    shells: dict[str, TcpProxy] = field(default_factory=dict)
    """By machine: to its shell."""
    databases: dict[str, PostgresProxy] = field(default_factory=dict)
    probes: tuple[TcpProxy, ...] = ()
    """To the load balancer, for the probes' logins."""

    @classmethod
    @asynccontextmanager
    async def open(cls, layout: Layout) -> AsyncIterator[Self]:
        """Start all of them."""
        async with AsyncExitStack() as stack:
            proxies = cls(layout, RequestMonitor(layout))
            await stack.enter_async_context(proxies.request_monitor.listening())
            for listener in await proxies._listen():
                stack.callback(listener.close)
            yield proxies

    def heal(self) -> None:
        """Let everything pass."""
        for proxy in (*self.shells.values(), *self.probes):
            proxy.heal()
        for database in self.databases.values():
            database.heal()

    async def _listen(self) -> list[asyncio.Server]:
        layout = self.layout
        machines = [(node.name, node.address) for node in layout.nodes]
        machines.append((BALANCER, layout.load_balancer))
        self.shells = {name: TcpProxy(name, address) for name, address in machines}
        self.probes = tuple(
            TcpProxy(BALANCER, layout.load_balancer, listen, port)
            for port, listen in PROBE_PROXY_PORTS.items()
        )
        self.databases = {
            c.database_name: PostgresProxy(
                c.database_name, c.database_address, self.request_monitor.passes
            )
            for c in layout.clusters
        }
        listeners = [await proxy.listen() for proxy in (*self.shells.values(), *self.probes)]
        return listeners + [await one.listen() for one in self.databases.values()]
