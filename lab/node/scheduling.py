"""The Scheduler and the Folder Monitor of one Transaction Manager.

One Server of a cluster holds the Folder Monitor: the one that last wrote the cluster's heartbeat.
It takes each file of ``inbox/`` for a while, with an EVENT row, then moves it to ``done/``. The
Scheduler runs one task every second, on one Server of the cluster.
"""

import asyncio
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psycopg

from lab.node.database import Database
from lab.node.service import Context

IN_FLIGHT = "folder_monitor"
"""The kind of EVENT row that stands for a file that is being moved."""
TASK = "task1"


class Host(Protocol):
    """What they need of their Transaction Manager."""

    context: Context
    database: Database

    def schedules(self, name: str) -> bool:
        """Whether the service of that name may begin something now."""

    def record(self, kind: str, key: str) -> None:
        """Write down a piece of work that must be done once."""

    def begin(self, work: object) -> None:
        """Count something that a graceful stop waits for."""

    def finish(self, work: object) -> None:
        """Count it no more."""


class FolderMonitor:
    """Takes files from ``inbox/`` while it holds the cluster's heartbeat."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._storage = host.context.cluster.storage
        self._node = host.context.node
        self._in_flight: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Process files until it is cancelled."""
        while True:
            await asyncio.sleep(min(0.25, self._heartbeat / 4))
            try:
                if self._host.schedules("FolderMonitor") and await self._holds():
                    await self._process_inbox()
            except psycopg.Error:  # without a database the holder is unknown
                continue

    @property
    def _heartbeat(self) -> float:
        return self._host.context.simulation.folder_monitor_heartbeat

    async def _holds(self) -> bool:
        """Write the heartbeat, unless another Server did within its interval."""
        return bool(
            await self._host.database.run(
                "INSERT INTO fm_heartbeat (cluster, node, beat) "
                "VALUES (%s, %s, clock_timestamp()) "
                "ON CONFLICT (cluster) DO UPDATE SET node = excluded.node, beat = excluded.beat "
                "WHERE fm_heartbeat.node = excluded.node "
                "OR fm_heartbeat.beat < clock_timestamp() - make_interval(secs => %s) "
                "RETURNING node",
                self._node.cluster,
                self._node.name,
                self._heartbeat,
            )
        )

    async def _process_inbox(self) -> None:
        for file in sorted((self._storage / "inbox").iterdir()):
            name = file.name
            if name.startswith(".") or name in self._in_flight or not await self._claim(name):
                continue
            if not file.exists():  # another Server has moved it before our claim
                await self._release(name)
                continue
            self._host.record("pickup", name)
            self._host.begin(name)
            self._in_flight[name] = asyncio.create_task(self._take(file))

    async def _claim(self, name: str) -> bool:
        """Whether no process here has claimed the file; the claim of a dead holder expires."""
        # On a busy machine a running holder may be seconds late.
        timeout = 2 * self._host.context.simulation.folder_monitor_seconds + 10
        return bool(
            await self._host.database.run(
                "INSERT INTO event (id, kind, path, node, created) "
                "VALUES (%s, %s, %s, %s, clock_timestamp()) "
                "ON CONFLICT (id) DO UPDATE SET node = excluded.node, created = excluded.created "
                "WHERE event.created < clock_timestamp() - make_interval(secs => %s) "
                "RETURNING id",
                _claim_id(name),
                IN_FLIGHT,
                f"inbox/{name}",
                self._node.name,
                timeout,
            )
        )

    async def _take(self, file: Path) -> None:
        await asyncio.sleep(self._host.context.simulation.folder_monitor_seconds)
        self._move(file)
        await self._release(file.name)
        del self._in_flight[file.name]
        self._host.finish(file.name)

    def _move(self, file: Path) -> None:
        # The other cluster may have moved it already, and the storages are in sync.
        with suppress(FileNotFoundError):
            file.replace(self._storage / "done" / file.name)

    async def _release(self, name: str) -> None:
        while True:
            try:
                await self._host.database.run("DELETE FROM event WHERE id = %s", _claim_id(name))
            except psycopg.Error:
                await asyncio.sleep(0.2)
            else:
                return


class Scheduler:
    """Runs a task once in every second, on one Server of the cluster."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._node = host.context.node

    async def run(self) -> None:
        """Run the task whenever its time has come."""
        while True:
            await asyncio.sleep(1 - time.time() % 1)
            slot = int(time.time())
            try:
                if self._host.schedules("Scheduler") and await self._wins(slot):
                    self._host.record("schedule", f"{TASK}@{slot}")
            except psycopg.Error:  # a gap delays a task; running it twice is worse
                continue

    async def _wins(self, slot: int) -> bool:
        return bool(
            await self._host.database.run(
                "INSERT INTO fm_heartbeat (cluster, node, beat) "
                "VALUES (%s, %s, to_timestamp(%s)) "
                "ON CONFLICT (cluster) DO UPDATE SET node = excluded.node, beat = excluded.beat "
                "WHERE fm_heartbeat.beat < excluded.beat RETURNING node",
                f"{self._node.cluster}:scheduler",
                self._node.name,
                slot,
            )
        )


def _claim_id(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, name)
