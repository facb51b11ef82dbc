"""The session to a machine of Windows is killed at places of the request and of the reply."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from activities.ledger.ledger import Ledger
from activities.ledger.store import LedgerRecord
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Shell
from tests.support.cut_connection import Line, Way
from tests.support.ssh_machines import SECRETS
from tests.support.windows_machine import WindowsMachine
from tests.support.wine import WindowsServer, Wine, make_windows_node, needs_wine
from workflows.errors import OutcomeUnknown, Unreachable

pytestmark = [needs_wine, pytest.mark.timeout(600)]
CUTS = 60 if "EVERY_STEP" in os.environ else 5
"""In each direction, from the first byte to the last."""
MAX_PARALLEL_COMMANDS = 3
LASTS = "ping -n 2 127.0.0.1 >nul\necho done"
"""Long enough that the next attempt finds it running."""


@dataclass
class Machine(WindowsMachine):
    """One node behind lines that are cut, and one that never is."""

    steady: Ledger

    async def attempt(self, line: Line, name: str) -> LedgerRecord | None:
        """Have an operation done over a line; None where the attempt failed as it should."""
        wanted = self.task(name, LASTS, operation=name, service=name)
        async with line.open() as port, _shell() as shell:
            ssh = self.node.ssh.model_copy(update={"port": port})
            node = self.node.model_copy(update={"ssh": ssh})
            try:
                return await open_ledger(shell).run_once(node, wanted)
            except (Unreachable, OutcomeUnknown):
                return None

    async def settle(self, name: str) -> tuple[LedgerRecord, LedgerRecord]:
        """Attempt the operation twice more, with nothing in the way."""
        wanted = self.task(name, LASTS, operation=name, service=name)
        first = await self.steady.run_once(self.node, wanted)
        return first, await self.steady.run_once(self.node, wanted)


@pytest.fixture
async def machine(wine: Wine, tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine whose sessions die with their connection."""
    server = WindowsServer(wine=wine, harsh=True)
    async with server.serving(), _shell() as shell:
        node = make_windows_node(server, tmp_path, f"node{uuid4().hex[:8]}")
        yield Machine(wine, node, open_ledger(shell))


@pytest.mark.parametrize("way", ["request", "reply"])
async def test_wherever_the_session_is_killed_it_runs_once(machine: Machine, way: Way) -> None:
    """A new attempt ends with one execution, and every attempt that ends reports the same."""
    whole = Line(machine.node.ssh.port)
    assert await machine.attempt(whole, "whole") is not None
    turns = asyncio.Semaphore(MAX_PARALLEL_COMMANDS)

    async def cut(after: int) -> bool:
        name = f"{way}.{after}"
        async with turns:
            first = await machine.attempt(Line(machine.node.ssh.port, way, after), name)
            second, third = await machine.settle(name)
        assert machine.runs(name) == 1, name
        assert (second.status, second.output) == (0, "done"), name
        assert third.at == second.at, name
        assert first is None or (first.status, first.output, first.at) == (0, "done", second.at)
        return first is None

    # The beginning of a connection is its login: half of the cuts are after that.
    step = whole.passed[way] // CUTS
    failed = await asyncio.gather(*(cut(step * number + number % step) for number in range(CUTS)))
    assert sum(failed) > CUTS / 2


@asynccontextmanager
async def _shell() -> AsyncIterator[Shell]:
    shell = Shell(SECRETS)
    try:
        yield shell
    finally:
        await shell.close()
