"""What does the saboteur have to itself: a lab with all its lines, and a Temporal server?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from temporalio.client import Client

from lab.crash.estate import SWITCHES, write_wired_estate
from lab.crash.gatekeeper import Gatekeeper
from lab.crash.mortals import MortalServer, Workers
from lab.crash.statements import Statements
from lab.crash.wires import Wire
from lab.house import Lab


@dataclass
class Den:
    """One estate to be attacked."""

    lab: Lab
    server: MortalServer
    client: Client
    workers: Workers
    gatekeeper: Gatekeeper
    wires: dict[str, Wire] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Path) -> AsyncIterator[Self]:
        """Have one; it goes without a trace."""
        async with AsyncExitStack() as stack:
            lab = await stack.enter_async_context(Lab.open(place / "lab"))
            layout = lab.layout
            server = MortalServer(layout)
            stack.push_async_callback(server.stop)
            client = await server.start()
            workers = Workers(server.address, place / "product")
            stack.push_async_callback(workers.kill)
            write_wired_estate(layout, workers.estates)
            gatekeeper = Gatekeeper(layout)
            await stack.enter_async_context(gatekeeper.on_duty())
            den = cls(lab, server, client, workers, gatekeeper)
            for listener in await den._string_wires():
                stack.callback(listener.close)
            yield den

    async def reset(self) -> None:
        """Be as new."""
        await self.workers.kill()
        await self.lab.reset()
        SWITCHES.write(self.lab.layout.switches)
        self.gatekeeper.forget()
        for wire in self.wires.values():
            wire.heal()

    async def _string_wires(self) -> list[asyncio.Server]:
        layout = self.lab.layout
        machines = [(node.name, node.address) for node in layout.nodes]
        machines.append(("loadbalancer1", layout.load_balancer))
        self.wires = {name: Wire(name, address) for name, address in machines}
        databases = [
            Statements(c.database_name, c.database_address, self.gatekeeper.passes)
            for c in layout.clusters
        ]
        listeners = [await wire.listen() for wire in self.wires.values()]
        return listeners + [await database.listen() for database in databases]
