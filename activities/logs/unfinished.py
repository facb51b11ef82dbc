"""What a cluster leaves behind: events that are still queued, and transfers that have not ended."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activities.logs import records
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import Call, first
from activities.securetransport.admin_responses import Page
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node
from workflows.model.findings import Finding, Severity

MAX_NAMED = 20
"""Events or transfers that are a finding each; one more says how many there are besides."""
LATEST = 100
"""Transfers that are looked at whatever their status."""

EVENTS = first("events", MAX_NAMED)
OPEN = Call("GET", "logs/transfers", {"status": records.IN_PROGRESS, "limit": MAX_NAMED})
NEWEST = Call("GET", "logs/transfers", {"sortByStartTime": "descending", "limit": LATEST})
"""Which values the filter takes is not documented, so the newest transfers are read without it."""


@dataclass(frozen=True)
class Left:
    """How much is left of one kind of work, and a finding for each of the first of it."""

    total: int
    findings: tuple[Finding, ...]


async def events_left(admin: AdminClient, node: Node) -> Left:
    """Return the events that are still queued."""
    page = await _page(admin, node, EVENTS)
    findings = (
        _finding(
            "event_left",
            node,
            seen,
            "no queued event",
            "a Transaction Manager of this cluster works on it once one runs; find out whether "
            "its file must be processed before, by hand or on the other side",
        )
        for seen in _named(page.result, page.total, "events")
    )
    return Left(page.total, tuple(findings))


async def open_transfers(admin: AdminClient, node: Node) -> Left:
    """Return the transfers that are still in progress, as far as the log says.

    Raises:
        OutcomeUnknown: the API does not list them alone, so nobody can say which there are.
    """
    listed, newest = await _page(admin, node, OPEN), await _page(admin, node, NEWEST)
    if not all(map(records.in_progress, listed.result)):
        raise OutcomeUnknown(
            f"{node.name}: the admin API does not list transfers by their status; see which are "
            f"{records.IN_PROGRESS} in File Tracking"
        )
    besides = [item for item in newest.result if records.in_progress(item)]
    found = {records.key_of(item): item for item in (*listed.result, *besides)}
    total = max(listed.total, len(found))
    findings = (
        _finding(
            "transfer_open",
            node,
            seen,
            "no transfer in progress",
            "where no Transaction Manager runs, it stays so for ever: find out with the partner "
            "whether the file has arrived, and have it sent again if not",
        )
        for seen in _named(list(found.values()), total, "transfers")
    )
    return Left(total, tuple(findings))


def unread(node: Node, what: str, why: object) -> Finding:
    """Return the finding that something could not be read: nobody may take it for nothing."""
    return _finding(
        "records_unread",
        node,
        f"{what} could not be read: {str(why).removeprefix(f'{node.name}: ')}",
        "an answer of the admin API",
        "look at them in the Administration Tool",
    )


def _named(items: Sequence[Mapping[str, Any]], total: int, what: str) -> Iterable[str]:
    yield from (answers.described(dict(item)) for item in items[:MAX_NAMED])
    if (more := total - min(len(items), MAX_NAMED)) > 0:
        yield f"{more} more {what}"


def _finding(name: str, node: Node, seen: str, expected: str, advice: str) -> Finding:
    return Finding(
        name=name,
        place=node.name,
        seen=seen,
        expected=expected,
        advice=advice,
        severity=Severity.WARNS,
    )


async def _page(admin: AdminClient, node: Node, call: Call) -> Page:
    return answers.read(Page, (await admin.read(node, call)).body, node.name)
