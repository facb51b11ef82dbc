"""Ask workers for the records of both clusters, page by page, and merge them by time."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from itertools import product
from uuid import uuid4

from starter.client.connection import Temporal
from starter.client.operations import result_of_short_run
from workflows.logs import Logs
from workflows.model.logs import LogPage, LogQuery, LogRecord, RecordKind
from workflows.model.task_queues import TASK_QUEUE

PAGE_TIMEOUT = timedelta(minutes=12)
"""Longer than a worker tries to read one page."""
SIDES = (1, 2)


def queries(**selection: object) -> tuple[LogQuery, ...]:
    """Return the query for each list of both clusters; ValidationError if they are wrong."""
    return tuple(
        LogQuery.model_validate({**selection, "side": side, "kind": kind})
        for side, kind in product(SIDES, RecordKind)
    )


class MergedLists:
    """All lists as one, by time; of each, two pages at most are in memory."""

    def __init__(self, temporal: Temporal, asked: Sequence[LogQuery]) -> None:
        self._temporal, self._asked = temporal, asked
        self.unread: list[str] = []
        """What could not be read, and why; whole once all records were taken."""

    async def records(self) -> AsyncGenerator[LogRecord, None]:
        """Yield every record, the oldest first; CommandError where no worker answers."""
        lists = [self._list(query) for query in self._asked]
        try:
            heap = await _heads(lists)
            heapq.heapify(heap)
            while heap:
                _, number, record = heap[0]
                yield record
                following = await anext(lists[number], None)
                if following is None:
                    heapq.heappop(heap)
                else:
                    heapq.heapreplace(heap, (following.at, number, following))
        finally:
            await asyncio.gather(*(one.aclose() for one in lists))

    async def _list(self, query: LogQuery) -> AsyncGenerator[LogRecord, None]:
        """Yield the records of one list."""
        async with aclosing(self._pages(query)) as pages:
            async for page in pages:
                for record in page.records:
                    yield record
                if page.unread is not None:
                    self.unread.append(f"{page.side}, {query.kind} records: {page.unread}")

    async def _pages(self, query: LogQuery) -> AsyncGenerator[LogPage, None]:
        """Yield the pages of one list; the next one is read while one is shown."""
        reading = asyncio.create_task(self._read(query))
        try:
            while True:
                page = await reading
                if page.next is None:
                    yield page
                    return
                following = query.model_copy(update={"after": page.next})
                reading = asyncio.create_task(self._read(following))
                yield page
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, query: LogQuery) -> LogPage:
        return await result_of_short_run(
            lambda: self._temporal.client.start_workflow(
                Logs.run,
                query.model_dump(mode="json", exclude_defaults=True),
                id=f"logs-{query.estate}-{uuid4().hex}",
                task_queue=TASK_QUEUE,
                execution_timeout=PAGE_TIMEOUT,
            )
        )


async def _heads(
    lists: Sequence[AsyncGenerator[LogRecord, None]],
) -> list[tuple[datetime, int, LogRecord]]:
    """Return the first record of each list that has one, and the number of its list.

    All are waited for before the first error is raised: a list that is being read cannot be closed.
    """
    reading = (anext(one, None) for one in lists)
    heads = await asyncio.gather(*reading, return_exceptions=True)
    found = []
    for number, head in enumerate(heads):
        if isinstance(head, BaseException):
            raise head
        if head is not None:
            found.append((head.at, number, head))
    return found
