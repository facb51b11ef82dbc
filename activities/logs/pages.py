"""Read one list of records of a Server, page by page, the oldest record first.

Records are added while the list is read, and the oldest may be removed. So each page begins with
the last records of the one before: where they are not there any more, the list has changed too much
to be read on, and that is said. Transfers have no sequence of their own, and are asked for in this
one; audit entries come newest first, so their pages are read from the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

from activities.logs import records
from activities.logs.records import Item
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import Call, Query, counting
from activities.securetransport.admin_responses import Page
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node
from workflows.model.logs import MAX_TAIL, LogPage, LogPlace, LogRecord, LogSelection, RecordKind

PAGE_SIZE = 1000
"""Items that a request asks for."""
MAX_PAGE_BYTES = 200 * 1024
"""Of the records of one page, as JSON: it goes into history."""
MAX_TRIES = 5
"""Of finding one page in a list that grows."""
WHOLE_SECONDS = timedelta(seconds=1)
"""A date of the API counts them, so it is asked for a little more, and the rest is left out."""

PATHS = {RecordKind.TRANSFER: "logs/transfers", RecordKind.AUDIT: "logs/audit"}


@dataclass(frozen=True)
class _Window:
    """Items of neighbouring positions, the oldest first, and how many the list has in all."""

    items: Sequence[Item]
    total: int


def query_of(wanted: LogSelection) -> Query:
    """Return which records a list shall have, and in which sequence."""
    begin = _date(wanted.since - WHOLE_SECONDS)
    if wanted.kind is RecordKind.AUDIT:
        return {"fromDate": begin, "endDate": _date(wanted.until + 2 * WHOLE_SECONDS)}
    mine = {"account": wanted.account} if wanted.account else {}
    return {"sortByStartTime": "ascending", "startTimeAfter": begin, **mine}


async def read_page(admin: AdminClient, node: Node, side: str, wanted: LogSelection) -> LogPage:
    """Read the page that follows ``wanted.after``.

    Raises:
        OutcomeUnknown: what the API shows cannot be read, or the list has changed too much.
    """
    reader = _Reader(admin, node, wanted)
    tail, position = wanted.after.tail, wanted.after.position
    known = min(len(tail), position)
    window = await reader.window(position - known, known + PAGE_SIZE)
    keys = [records.key_of(item) for item in window.items]
    begin = reader.behind(keys, tail)
    found, end = _select(window.items[begin:], reader.times(window.items)[begin:], wanted, side)
    if end is None or (reached := position - known + begin + end) >= window.total:
        return LogPage(side=side, records=found)
    if end == 0:
        raise reader.unknown(f"shows {reached} of {window.total}")
    # Where the API shows few at a time, at least half of them must be new.
    last = keys[: begin + end][-max(1, min(MAX_TAIL, len(keys) // 2)) :]
    place = LogPlace(position=reached, tail=tuple(last), server=node.name)
    return LogPage(side=side, records=found, next=place)


def _select(
    items: Sequence[Item], times: Sequence[datetime], wanted: LogSelection, side: str
) -> tuple[tuple[LogRecord, ...], int | None]:
    """Return the wanted records of a page, and how many items were looked at.

    None instead where the list has nothing more that is wanted.
    """
    found: list[LogRecord] = []
    size = 0
    for number, (at, item) in enumerate(zip(times, items, strict=True)):
        if at > wanted.until and wanted.kind is RecordKind.TRANSFER:
            return tuple(found), None
        if wanted.since <= at <= wanted.until and records.concerns(wanted, item):
            one = records.record(wanted.kind, item, at, side)
            size += len(one.model_dump_json().encode())
            if size > MAX_PAGE_BYTES and found:
                return tuple(found), number
            found.append(one)
    return tuple(found), len(items)


class _Reader:
    """Reads items of one list of one Server."""

    def __init__(self, admin: AdminClient, node: Node, wanted: LogSelection) -> None:
        self._admin, self._node = admin, node
        self._kind, self._path = wanted.kind, PATHS[wanted.kind]
        self._query = query_of(wanted)

    async def window(self, first: int, most: int) -> _Window:
        """Return the items from position *first* on, *most* of them or fewer."""
        if self._kind is RecordKind.TRANSFER:
            page = await self._page(first, most)
            return _Window(page.result[:most], page.total)
        total = await self._total()
        for _ in range(MAX_TRIES):
            size = min(most, total - first)
            if size <= 0:
                return _Window((), total)
            page = await self._page(total - first - size, size)
            shown = len(page.result)
            if page.total == total and shown >= size:
                return _Window(page.result[:size][::-1], total)
            total, most = page.total, min(size, shown or size)
        raise self.unknown("changes faster than it can be read")

    def behind(self, keys: Sequence[str], tail: Sequence[str]) -> int:
        """Return where the records begin that were not read before."""
        if not tail:
            return 0
        if tail[-1] not in keys:
            raise self.unknown(
                "changed while it was read: the last records that were read are not in their "
                "place any more; ask again for a shorter time"
            )
        begin = len(keys) - list(reversed(keys)).index(tail[-1])
        if not set(tail).isdisjoint(keys[begin:]):
            raise self.unknown("comes in another sequence each time")
        return begin

    def times(self, items: Sequence[Item]) -> list[datetime]:
        """Return the time of each item; they must come in the sequence that was asked for."""
        times = [records.time_of(self._kind, item) for item in items]
        known = [at for at in times if at is not None]
        if len(known) < len(times):
            raise self.unknown("has records whose time cannot be read")
        if any(later < earlier for earlier, later in pairwise(known)):
            raise self.unknown("does not come in the sequence of time")
        return known

    def unknown(self, what: str) -> OutcomeUnknown:
        """Return the error that says what is the matter with the list."""
        return OutcomeUnknown(f"{self._node.name}: the admin API's list {self._path} {what}")

    async def _page(self, offset: int, limit: int) -> Page:
        call = Call("GET", self._path, {**self._query, "limit": limit, "offset": offset})
        return answers.read(Page, (await self._admin.read(self._node, call)).body, self._node.name)

    async def _total(self) -> int:
        call = counting(self._path, self._query)
        reply = await self._admin.read(self._node, call)
        return answers.read(Page, reply.body, self._node.name).total


def _date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC).replace(microsecond=0))
