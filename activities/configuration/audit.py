"""Read a node's audit log: who changed what since it was read last (section 8)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from activities.configuration.digests import digest
from activities.securetransport import admin_responses as answers
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import PAGE_SIZE
from workflows.model.configuration import AuditMark, Change
from workflows.model.estate import Node

PATH = "logs/audit"
OVERLAP = timedelta(seconds=60)
"""An entry is written a moment after what it is about: one may show up behind newer ones."""
ID_DIGITS = 8

_TIMES = ("dateModified", "timestamp", "date")
_KINDS = {
    "serverconfigurationparameter": "option",
    "configurationoption": "option",
    "account": "account",
    "businessunit": "business unit",
    "site": "site",
    "route": "route",
    "subscription": "subscription",
    "application": "application",
    "certificate": "certificate",
}
"""By the audit log's type of an object: the kind of item that a list or the options have."""
_WHATS: Mapping[str, Change] = {"create": "added", "delete": "removed"}


@dataclass(frozen=True)
class AuditEntry:
    """One change, as the audit log has it."""

    id: str
    at: datetime | None
    item: str
    what: Change
    by: str

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "AuditEntry":
        """Read one entry; what it does not say stays empty."""
        kind = _text(given, "objectType")
        name = _text(given, "objectName")
        return cls(
            id=digest(f"{given.get('id')}\0{given.get('dateModified')}\0{kind}\0{name}")[
                :ID_DIGITS
            ],
            at=next(filter(None, (answers.moment(given.get(key)) for key in _TIMES)), None),
            item=f"{_KINDS.get(kind.lower(), kind or 'something')} {name}".strip(),
            what=_WHATS.get(_text(given, "operationType").lower(), "changed"),
            by=_text(given, "userName"),
        )

    def is_about(self, item: str) -> bool:
        """Whether an item is its object; a list's items may have more than a name."""
        return item == self.item or item.startswith(f"{self.item} (")


@dataclass(frozen=True)
class AuditReading:
    """The entries that are new, and up to where the log is read now."""

    entries: tuple[AuditEntry, ...]
    mark: AuditMark


async def read_audit(admin: AdminClient, node: Node, mark: AuditMark | None) -> AuditReading | None:
    """Read what is new since *mark*, or only up to where the log is; None where there is none.

    The list is read at both ends: its sort direction is not relied on. More than two pages of
    entries between two readings are not all read; what they are about still shows by its digest.
    """
    query = {"limit": PAGE_SIZE, "offset": 0}
    reply = await admin.find(node, PATH, query)
    if reply is None:
        return None
    page = answers.read(answers.Page, reply.body, node.name)
    items = list(page.result)
    if page.total > PAGE_SIZE:
        query["offset"] = page.total - PAGE_SIZE
        rest = await admin.get(node, PATH, query)
        items.extend(answers.read(answers.Page, rest.body, node.name).result)
    entries = {entry.id: entry for entry in map(AuditEntry.of, items)}
    return AuditReading(
        tuple(_new(entries.values(), mark)) if mark is not None else (),
        _mark(entries.values(), reply.at, mark),
    )


def _new(entries: Iterable[AuditEntry], mark: AuditMark) -> Iterator[AuditEntry]:
    for entry in entries:
        recent = entry.at is None or entry.at >= mark.at - OVERLAP
        if recent and entry.id not in mark.ids:
            yield entry


def _mark(entries: Iterable[AuditEntry], now: datetime, mark: AuditMark | None) -> AuditMark:
    everything = tuple(entries)
    times = [entry.at for entry in everything if entry.at is not None]
    newest = max(times, default=now if mark is None else mark.at)
    near = (e.id for e in everything if e.at is None or e.at >= newest - OVERLAP)
    return AuditMark(at=newest, ids=tuple(sorted(near)))


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return answers.short(value) if isinstance(value, str) else ""
