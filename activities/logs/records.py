"""Pure parsers of items of the lists of records (docs/securetransport.md, section 8)."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from activities.securetransport.admin_responses import moment
from workflows.model.logs import LogRecord, LogSelection, RecordKind
from workflows.model.text import printable

Item = Mapping[str, Any]

MAX_NAME = 1000
"""Characters of a name that are kept; a longer one ends with dots."""
ID_DIGITS = 16

_TIMES = {
    RecordKind.TRANSFER: ("startTime",),
    RecordKind.AUDIT: ("dateModified", "timestamp", "time"),
}
"""By kind: under which key an item has its time, the newest version of the API first."""


def key_of(item: Item) -> str:
    """Return what tells an item from all others: its id, of whatever shape, or all that it has."""
    identity = json.dumps(item.get("id") or item, sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:ID_DIGITS]


def time_of(kind: RecordKind, item: Item) -> datetime | None:
    """Return the time by which the list is sorted; None if it cannot be read."""
    return next((moment(item[name]) for name in _TIMES[kind] if item.get(name) is not None), None)


def record(kind: RecordKind, item: Item, at: datetime, side: str) -> LogRecord:
    """Return one item as a record."""
    if kind is RecordKind.TRANSFER:
        return LogRecord(
            at=at,
            side=side,
            kind=kind,
            who=_text(item, "account", "accountName", "login"),
            what=_text(item, "filename", "file"),
            state=_transfer_state(item),
        )
    return LogRecord(
        at=at,
        side=side,
        kind=kind,
        who=_text(item, "userName"),
        what=" ".join(filter(None, (_text(item, "objectType"), _text(item, "objectName")))),
        state=_text(item, "operationType"),
    )


def concerns(wanted: LogSelection, item: Item) -> bool:
    """Whether an item is of the account and the file that are wanted.

    An audit entry concerns an account that made the change, or that was changed; it has no file.
    """
    if wanted.file:
        path = _text(item, "filename", "file")
        name = path.rpartition("/")[2]
        if wanted.kind is RecordKind.AUDIT or not (
            fnmatchcase(path, wanted.file) or fnmatchcase(name, wanted.file)
        ):
            return False
    if not wanted.account:
        return True
    keys = ("account", "accountName", "login", "userName", "objectName")
    return any(
        fnmatchcase(_text(item, key).lower(), wanted.account.lower()) for key in keys if key in item
    )


def in_progress(item: Item) -> bool:
    """Whether a transfer has not ended."""
    return status(item).lower() == IN_PROGRESS.lower()


def status(item: Item) -> str:
    """Return the status of a transfer."""
    return _text(item, "status")


IN_PROGRESS = "In Progress"


def _transfer_state(item: Item) -> str:
    incoming = item.get("incoming")
    direction = (
        ("incoming" if incoming else "outgoing")
        if isinstance(incoming, bool)
        else _text(item, "direction")
    )
    way = " ".join(filter(None, (direction, _text(item, "protocol").lower())))
    return ": ".join(filter(None, (way, status(item))))


def _text(item: Item, *names: str) -> str:
    """Return the first of these fields that has a text."""
    for name in names:
        value = item.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value)
            shown = text if len(text) <= MAX_NAME else f"{text[:MAX_NAME]}..."
            return printable(shown).strip()
    return ""
