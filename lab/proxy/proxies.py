"""Which lines lead from a product to the whole of a lab?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from lab.layout import Layout
from lab.proxy.estate_file import PROBES_BY_WIRE
from lab.proxy.postgres_proxy import Statements
from lab.proxy.request_monitor import Gatekeeper
from lab.proxy.tcp_proxy import Wire

BALANCER = "loadbalancer1"


@dataclass
class Lines:
    """Everything that the product asks of a lab passes here, if it was given the lines' ports."""

    layout: Layout
    gatekeeper: Gatekeeper
    wires: dict[str, Wire] = field(default_factory=dict)
    """By machine: to its shell."""
    databases: dict[str, Statements] = field(default_factory=dict)
    probes: tuple[Wire, ...] = ()
    """To the load balancer, for logins that look where traffic goes."""

    @classmethod
    @asynccontextmanager
    async def open(cls, layout: Layout) -> AsyncIterator[Self]:
        """String all of them."""
        async with AsyncExitStack() as stack:
            lines = cls(layout, Gatekeeper(layout))
            await stack.enter_async_context(lines.gatekeeper.on_duty())
            for listener in await lines._string():
                stack.callback(listener.close)
            yield lines

    def heal(self) -> None:
        """Let everything pass, as if nobody stood here."""
        for wire in (*self.wires.values(), *self.probes):
            wire.heal()
        for database in self.databases.values():
            database.heal()

    async def _string(self) -> list[asyncio.Server]:
        layout = self.layout
        machines = [(node.name, node.address) for node in layout.nodes]
        machines.append((BALANCER, layout.load_balancer))
        self.wires = {name: Wire(name, address) for name, address in machines}
        self.probes = tuple(
            Wire(BALANCER, layout.load_balancer, door, port)
            for port, door in PROBES_BY_WIRE.items()
        )
        self.databases = {
            c.database_name: Statements(c.database_name, c.database_address, self.gatekeeper.passes)
            for c in layout.clusters
        }
        listeners = [await wire.listen() for wire in (*self.wires.values(), *self.probes)]
        return listeners + [await one.listen() for one in self.databases.values()]
