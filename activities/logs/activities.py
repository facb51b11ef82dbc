"""Read records, count them, and find unfinished work, through the admin REST API."""

import asyncio
from collections.abc import Awaitable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from temporalio import activity

from activities.estate_files import read_estate
from activities.logs import unfinished
from activities.logs.counting import WORDS, count
from activities.logs.pages import PAGE_SIZE, PATHS, read_page
from activities.logs.unfinished import Left
from activities.runtime.heartbeat import heartbeating
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import Call
from activities.time_limits import LIMITS, Stopwatch, TimeLimits
from workflows.errors import OutcomeUnknown, SwitchoverError
from workflows.model import actions
from workflows.model.estate import Node
from workflows.model.findings import Finding
from workflows.model.logs import LogPage, LogQuery, LogSelection, RecordKind
from workflows.model.results import Report, seen
from workflows.model.text import listed
from workflows.ports.inputs import NodeInput
from workflows.ports.logs import LogsPort, RecordsInput

T = TypeVar("T")

MAX_SECONDS = 60.0
"""Of one reading, whatever the estate allows: who asked waits for it."""


class LogActivities(LogsPort):
    """Reads any Server of a cluster: the records are in the cluster's database."""

    def __init__(self, admin: AdminClient, estates: Path) -> None:
        self._admin = admin
        self._estates = estates

    @activity.defn
    async def read_records(self, query: LogQuery) -> LogPage:
        estate = await read_estate(self._estates, query.estate)
        LIMITS.set(TimeLimits.of(estate.timing))
        cluster = estate.clusters[query.side - 1]
        # The same Server as before, as long as it answers.
        asked, *others = sorted(
            cluster.servers, key=lambda server: server.name != query.after.server
        )
        async with heartbeating():
            pages = [await self._page(asked, cluster.name, query)]
            if pages[0].unread is not None:
                reading = (self._page(server, cluster.name, query) for server in others)
                pages += await asyncio.gather(*reading)
        whole = next((page for page in pages if page.unread is None), None)
        reasons = dict.fromkeys(page.unread or "" for page in pages)
        return whole or LogPage(side=cluster.name, unread=listed(reasons, between="; "))

    @activity.defn
    async def count_records(self, given: RecordsInput[actions.CountRecords]) -> Report:
        node, since, now = given.node, given.redirected_at, datetime.now(UTC)
        if since is None:
            message = f"no record of {given.action.cluster} was counted: there was no redirect"
            finding = unfinished.unread(node, "records since the redirect", "there was none")
            return seen(given.action, message, now, (finding,))
        counts, findings = list[str](), list[Finding]()
        async with heartbeating():
            for kind in RecordKind:
                # The redirect's time is another machine's, and may be in the future here.
                until = max(now, since + timedelta(seconds=1))
                wanted = LogSelection(kind=kind, since=since, until=until)
                counted = await _or_finding(count(self._admin, node, wanted), node, WORDS[kind][1])
                if isinstance(counted, Finding):
                    findings.append(counted)
                    counts.append(f"an unknown number of {WORDS[kind][1]}")
                else:
                    counts.append(str(counted))
        message = (
            f"{given.action.cluster} has recorded {' and '.join(counts)} since the redirect "
            f"({since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"
        )
        return seen(given.action, message, now, tuple(findings))

    @activity.defn
    async def find_unfinished_work(self, given: NodeInput[actions.FindUnfinishedWork]) -> Report:
        node, admin = given.node, self._admin
        async with heartbeating():
            events = await _or_finding(unfinished.events_left(admin, node), node, "events")
            transfers = await _or_finding(
                unfinished.open_transfers(admin, node), node, "open transfers"
            )
        parts = {"queued event": events, "open transfer": transfers}
        counts, findings = list[str](), list[Finding]()
        for what, found in parts.items():
            if isinstance(found, Left):
                counts.append(f"{found.total or 'no'} {what}{'s' * (found.total != 1)}")
                findings += found.findings
            else:
                counts.append(f"an unknown number of {what}s")
                findings.append(found)
        message = f"{' and '.join(counts)}, as {node.name} sees it"
        return seen(given.action, message, datetime.now(UTC), tuple(findings))

    def preview(self, given: NodeInput[Any]) -> Iterator[str]:
        """Yield the requests of an action that reads."""
        match given.action:
            case actions.CountRecords():
                for path in PATHS.values():
                    yield f"from the redirect on, {PAGE_SIZE} at a time: {Call('GET', path)}"
            case actions.FindUnfinishedWork():
                yield from map(str, (unfinished.EVENTS, unfinished.OPEN, unfinished.NEWEST))

    async def _page(self, server: Node, side: str, query: LogQuery) -> LogPage:
        try:
            return await _limited(read_page(self._admin, server, side, query), server)
        except SwitchoverError as failure:
            return LogPage(side=side, unread=str(failure))


async def _or_finding(reading: Awaitable[T], node: Node, what: str) -> T | Finding:
    """Return a reading, or the finding that it could not be made: it is only reported."""
    try:
        return await _limited(reading, node)
    except SwitchoverError as failure:
        return unfinished.unread(node, what, failure)


async def _limited(reading: Awaitable[T], node: Node) -> T:
    limit = min(MAX_SECONDS, LIMITS.get().reading)
    try:
        return await Stopwatch().time(reading, limit)
    except TimeoutError as slow:
        raise OutcomeUnknown(f"{node.name}: no whole answer within {limit:.0f} s") from slow
