"""All proxies of one lab."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from lab.environment.load_balancers.dns import NAME_SERVER
from lab.layout import JUMP_HOST, Layout
from lab.proxy.estate_file import NAME_SERVER_LINE_PORT, PROBE_PROXY_PORTS
from lab.proxy.name_server_proxy import NAME_SERVER_PROXY_PORT, NameServerProxy
from lab.proxy.postgres_proxy import PostgresProxy
from lab.proxy.request_monitor import RequestMonitor
from lab.proxy.tcp_proxy import TcpProxy

BALANCER = "loadbalancer1"


@dataclass
class Proxies:
    """Everything that the product asks of a lab passes here, if it was given the proxies' ports."""

    layout: Layout
    request_monitor: RequestMonitor
    lines: dict[str, TcpProxy] = field(default_factory=dict)
    """By machine: to its shell; and to the name server, where the load balancer follows one."""
    databases: dict[str, PostgresProxy] = field(default_factory=dict)
    probes: tuple[TcpProxy, ...] = ()
    """To the load balancer, for the probes' logins."""
    name_server: NameServerProxy = field(init=False)

    def __post_init__(self) -> None:
        """Read what the name server is asked."""
        passes = self.request_monitor.passes
        self.name_server = NameServerProxy(NAME_SERVER, self.layout.load_balancer, passes)

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
        for proxy in (*self.lines.values(), *self.probes):
            proxy.heal()
        for database in self.databases.values():
            database.heal()
        self.name_server.heal()

    async def _listen(self) -> list[asyncio.Server]:
        layout = self.layout
        machines = [(node.name, node.address) for node in layout.nodes]
        machines.append((BALANCER, layout.load_balancer))
        if layout.drivers.jump_host:
            machines.append((JUMP_HOST, layout.jump_host))
        self.lines = {name: TcpProxy(name, address) for name, address in machines}
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
        readers: list[PostgresProxy | NameServerProxy] = [*self.databases.values()]
        if layout.drivers.load_balancer == "dns":
            ports = NAME_SERVER_LINE_PORT, NAME_SERVER_PROXY_PORT
            self.lines[NAME_SERVER] = TcpProxy(NAME_SERVER, layout.load_balancer, *ports)
            readers.append(self.name_server)
        listeners = [await proxy.listen() for proxy in (*self.lines.values(), *self.probes)]
        return listeners + [await one.listen() for one in readers]
