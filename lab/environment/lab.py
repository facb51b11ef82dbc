"""Start one lab, reset it to its baseline, and stop it without a trace."""

import asyncio
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

from lab import records
from lab.environment.baseline import node_differences
from lab.environment.databases import PUBLICATION, Databases
from lab.environment.estate_file import write_estate
from lab.environment.load_balancers.registry import load_balancer
from lab.environment.machines import Machines, prepare
from lab.environment.replication_command import write_program
from lab.environment.situation import BASELINE, Situation
from lab.environment.storage import Storage
from lab.layout import (
    DATABASE_PORT,
    HTTPS_PORT,
    SFTP_PORT,
    SHELL_PORT,
    USUAL_DRIVERS,
    Drivers,
    Layout,
)
from lab.networks import BLOCK, separate
from lab.node import installation, options
from lab.node.windows import toolchain
from lab.simulation_options import SimulationOptions

BLOCKS = tuple(f"127.{x}.{y}" for x in range(10, 100) for y in range(1, 10))
"""Blocks for labs: several run side by side, each on its own. All have one length, so that
what is sent has the same length in every lab."""


class Lab:
    """A simulated estate that runs."""

    def __init__(self, layout: Layout, postgresql: Path | None = None) -> None:
        self.layout = layout
        self.databases = Databases(layout, postgresql)
        self.load_balancer = load_balancer(layout)
        self.storage = Storage(layout)
        self.machines = Machines(layout)

    @classmethod
    @asynccontextmanager
    async def open(  # noqa: PLR0913 - what a lab may differ in
        cls,
        directory: Path,
        servers: int = 2,
        edges: int = 2,
        postgresql: Path | None = None,
        *,
        drivers: Drivers = USUAL_DRIVERS,
        separate_networks: bool = False,
    ) -> AsyncIterator[Self]:
        """Start a lab in its baseline; the content of *directory* is replaced.

        *postgresql* is a directory of PostgreSQL's programs, in place of the wheel's. For
        *separate_networks* this process must have left the machine's network.

        Raises:
            NoNetworks: there can be no separate networks here.
        """
        with ExitStack() as stack:
            block = BLOCK if separate_networks else stack.enter_context(claimed_block())
            layout = Layout(_absolute(directory), block, servers, edges, drivers)
            layout.root.mkdir(parents=True, exist_ok=True)
            layout.networks.unlink(missing_ok=True)
            if separate_networks:
                stack.enter_context(separate(layout))
            lab = cls(layout, postgresql)
            try:
                await lab._start()
                yield lab
            finally:
                await lab._stop()

    async def reset(self, situation: Situation = BASELINE) -> None:
        """Put everything back to the baseline, or into another situation, in place."""
        await asyncio.to_thread(self.machines.halt)
        self.layout.simulation.unlink(missing_ok=True)
        await asyncio.gather(
            self.databases.reset(replicates=not situation.drained),
            self.storage.reset(),
            self.load_balancer.reset(situation.active),
        )
        self.forget_records()
        self.layout.ways.unlink(missing_ok=True)
        await asyncio.to_thread(prepare, self.layout, situation)
        await asyncio.to_thread(self.machines.boot, situation)
        await self.load_balancer.until_serving()

    async def at_baseline(self) -> list[str]:
        """Everything in which the lab differs from its baseline."""
        found = [f"{file.name} is not empty" for file in self._records() if any(records.read(file))]
        if SimulationOptions.read(self.layout.simulation) != SimulationOptions():
            found.append("a simulation option is changed")
        for node in self.layout.nodes:
            found += node_differences(node)
            found += installation.differences(node)
            if node.ledger.exists() and any(node.ledger.iterdir()):
                found.append(f"{node.name}: has a ledger")
        for cluster in self.layout.clusters:
            if options.changed(self.layout, cluster.name):
                found.append(f"{cluster.name}: an option was changed")
        found += self.load_balancer.differences() + self.storage.differences()
        return found + await self.databases.differences()

    async def _start(self) -> None:
        layout = self.layout
        # As on a server: a ledger is refused below a directory that a group may write to.
        os.umask(os.umask(0) | 0o022)
        for part in ("machines", "storage", "estates", "keys"):
            shutil.rmtree(layout.root / part, ignore_errors=True)
        layout.simulation.unlink(missing_ok=True)
        layout.ways.unlink(missing_ok=True)
        self.forget_records()
        await asyncio.gather(self.databases.start(), asyncio.to_thread(self._prepare))
        self.storage.start()
        await self.load_balancer.start()
        if layout.drivers.replication == "commands":
            write_program(layout, PUBLICATION)
        write_estate(layout, links=self.databases.links)
        await asyncio.to_thread(self.machines.start)
        await self.load_balancer.until_serving()

    def _prepare(self) -> None:
        if self.layout.drivers.windows:
            toolchain.install(self.layout.windows)
        prepare(self.layout)

    async def _stop(self) -> None:
        await asyncio.to_thread(self.machines.stop)
        await asyncio.gather(self.load_balancer.stop(), self.storage.stop(), self.databases.stop())

    def _records(self) -> tuple[Path, ...]:
        """What must be empty; ``work`` is not listed, since the Scheduler always works."""
        layout = self.layout
        return layout.effects, layout.sessions, layout.traffic, layout.samples

    def forget_records(self) -> None:
        """Remove everything that the lab has recorded."""
        layout = self.layout
        for file in (*self._records(), layout.work, layout.logins, layout.injected_faults):
            file.unlink(missing_ok=True)


@contextmanager
def claimed_block() -> Iterator[str]:
    """Own a block of loopback addresses that no other lab on this machine uses."""
    for block in BLOCKS:
        file = _lock(block)
        try:
            claim = file.open("a")
        except PermissionError:  # another user's
            continue
        with claim:
            if _owned(claim.fileno(), file) and _free(block):
                try:
                    yield block
                finally:
                    file.unlink(missing_ok=True)
                return
    raise RuntimeError(f"none of the {len(BLOCKS)} loopback blocks for labs is free")


def is_running(layout: Layout) -> bool:
    """Whether a process serves the lab now."""
    if not _lock(layout.block).exists():
        return False
    try:
        with _lock(layout.block).open("a") as claim:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _lock(block: str) -> Path:
    return Path(tempfile.gettempdir()) / f"switchover-lab-{block}.lock"


def _owned(claim: int, file: Path) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    # Its last owner may have removed it between our opening and locking it.
    return file.exists() and file.stat().st_ino == os.fstat(claim).st_ino


def _free(block: str) -> bool:
    """Whether nothing of a lab that was killed a moment ago still listens there."""
    layout = Layout(Path("/"), block)
    places = [(layout.load_balancer, port) for port in (SFTP_PORT, HTTPS_PORT, SHELL_PORT)]
    places += [(cluster.database_address, DATABASE_PORT) for cluster in layout.clusters]
    for place in places:
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(place)
            except OSError:
                return False
    return True


def _absolute(directory: Path) -> Path:
    return directory.absolute()
