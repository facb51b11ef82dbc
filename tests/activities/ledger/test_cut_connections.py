"""The SSH session is killed at every place of the request and of the reply."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from activities.ledger.ledger import Ledger
from activities.ledger.store import LedgerRecord
from activities.nodes.operating_systems import open_ledger
from activities.transport.ssh import Shell
from tests.support.cut_connection import HarshServer, Line, Way
from tests.support.ledger_tasks import task, writing
from tests.support.ssh_machines import SECRETS, SshServer, make_node
from workflows.errors import OutcomeUnknown, Unreachable

CUTS = 40
"""In each direction, from the first byte to the last."""
MAX_PARALLEL_COMMANDS = 8
LASTS = "sleep 0.2; echo done"
"""Long enough that the next attempt finds it running."""


@dataclass
class Machine:
    """One machine, its ledger, and a line to it that is never cut."""

    port: int
    place: Path
    steady: Ledger

    async def attempt(self, line: Line, name: str) -> LedgerRecord | None:
        """Have an operation done over a line; None where the attempt failed as it should."""
        async with line.open() as port, _shell() as shell:
            node = make_node(SshServer(port), self.place)
            wanted = task(writing(self.place / name, LASTS), operation=name, service=name)
            try:
                return await open_ledger(shell).run_once(node, wanted)
            except (Unreachable, OutcomeUnknown):
                return None

    async def settle(self, name: str) -> tuple[LedgerRecord, LedgerRecord]:
        """Attempt the operation twice more, with nothing in the way."""
        node = make_node(SshServer(self.port), self.place)
        wanted = task(writing(self.place / name, LASTS), operation=name, service=name)
        return await self.steady.run_once(node, wanted), await self.steady.run_once(node, wanted)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    """A machine whose sessions die with their connection."""
    server = HarshServer()
    async with server.serving(), _shell() as shell:
        yield Machine(server.port, tmp_path, open_ledger(shell))


@pytest.mark.parametrize("way", ["request", "reply"])
async def test_wherever_the_session_is_killed_it_runs_once(machine: Machine, way: Way) -> None:
    """A new attempt ends with one execution, and every attempt that ends reports the same."""
    whole = Line(machine.port)
    assert await machine.attempt(whole, "whole") is not None
    turns = asyncio.Semaphore(MAX_PARALLEL_COMMANDS)

    async def cut(after: int) -> bool:
        name = f"{way}.{after}"
        async with turns:
            first = await machine.attempt(Line(machine.port, way, after), name)
            second, third = await machine.settle(name)
        assert (machine.place / name).read_text() == "ran\n", name
        assert (second.status, second.output) == (0, "done"), name
        assert third.at == second.at, name
        assert first is None or (first.status, first.output, first.at) == (0, "done", second.at)
        return first is None

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
