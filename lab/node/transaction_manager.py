"""The Transaction Manager: streams, the event queue and graceful stops."""

import asyncio
import os
import traceback
from pathlib import Path
from uuid import UUID

import psycopg

from lab import records
from lab.forking import Message
from lab.layout import STREAMING_PORT
from lab.node.database import Database, Row
from lab.node.draining import Draining
from lab.node.files import POST_PROCESSING, Visit
from lab.node.scheduling import FolderMonitor, Scheduler
from lab.node.service import Context, Line
from lab.node.streaming import receive, send

_BATCH = 10
_READS_EVERY = 0.25
"""Seconds between two readings of the queue, which other Servers write to as well."""


class TransactionManager(Draining):
    """Serves streams, works off EVENT rows, hosts Scheduler and Folder Monitor."""

    def __init__(self, context: Context, line: Line) -> None:
        super().__init__(context, line)
        self.database = Database(context.cluster.dsn)
        self._queue = Database(context.cluster.dsn)
        self._new_events = asyncio.Event()
        self.scheduled = context.scheduled
        line.on("scheduling", self._reschedule)
        self._tasks = [
            asyncio.ensure_future(work)
            for work in (self._work(), FolderMonitor(self).run(), Scheduler(self).run())
        ]
        for task in self._tasks:
            task.add_done_callback(_end_loudly)

    async def serve(self) -> None:
        """Serve, with the folders on the storage that it needs."""
        for folder in ("accounts", "inbox", "done"):
            (self.context.cluster.storage / folder).mkdir(parents=True, exist_ok=True)
        await super().serve()

    async def open(self) -> None:
        """Listen for streams."""
        self.listener = await asyncio.start_server(
            self._stream, self.context.node.address, STREAMING_PORT, limit=1 << 20
        )

    def disconnect(self) -> None:
        """What was being processed stays In Progress."""

    def schedules(self, name: str) -> bool:
        """Whether Scheduler or FolderMonitor may begin something now."""
        option = self.context.simulation.scheduling_option.get(self.context.cluster.name, True)
        return self.admits and self.scheduled[name] and option

    def record(self, kind: str, key: str) -> None:
        """Write down a piece of work that must be done once."""
        node = self.context.node
        records.append(
            self.context.layout.work, cluster=node.cluster, node=node.name, kind=kind, key=key
        )

    def _reschedule(self, message: Message) -> None:
        self.scheduled = message.body

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(self, self.database, self._new_events.set)
        try:
            while True:
                await send(writer, await visit.answer(await receive(reader)))
        except (EOFError, OSError):
            await visit.abandon()
        finally:
            writer.close()

    async def _work(self) -> None:
        while True:
            self._new_events.clear()
            try:
                busy = self.admits and await self._take_some()
            except psycopg.Error:  # the database is away: the rows wait there
                busy = False
            if not busy:
                await self._wait_for_events()

    async def _wait_for_events(self) -> None:
        try:
            async with asyncio.timeout(_READS_EVERY):
                await self._new_events.wait()
        except TimeoutError:
            return

    async def _take_some(self) -> bool:
        async with self._queue.transaction() as connection:
            cursor = await connection.execute(
                "SELECT id, account FROM event WHERE kind = %s ORDER BY created LIMIT %s "
                "FOR UPDATE SKIP LOCKED",
                (POST_PROCESSING, _BATCH),
            )
            if not (rows := await cursor.fetchall()):
                return False
            self.begin(batch := object())
            markers = await self._process(rows)
            ids = [row[0] for row in rows]
            await connection.execute("DELETE FROM event WHERE id = ANY(%s)", (ids,))
            await connection.execute(
                "UPDATE transferdata SET status = 'Processed' WHERE id = ANY(%s)", (ids,)
            )
        for marker in markers:
            marker.unlink(missing_ok=True)
        self.finish(batch)
        return True

    async def _process(self, rows: list[Row]) -> list[Path]:
        markers = [self._marker(event, account) for event, account in rows]
        for marker in markers:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
        # Outside the queue's transaction, so that an abrupt end leaves it visible.
        await self.database.run(
            "UPDATE transferdata SET status = 'In Progress' WHERE id = ANY(%s)",
            [row[0] for row in rows],
        )
        await asyncio.sleep(self.context.simulation.event_seconds)
        for event, _ in rows:
            self.record("event", str(event))
        return markers

    def _marker(self, event: UUID, account: str) -> Path:
        return self.context.cluster.storage / f"accounts/{account}/.{event.hex}.m_inproc"


def _end_loudly(task: asyncio.Task[None]) -> None:
    """None of them may end: without one the TM would be alive and do nothing."""
    traceback.print_exception(task.exception())
    os._exit(1)
