"""Records that the two clusters keep of their own work: which to read, and one page of them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from workflows.errors import BadInput
from workflows.model.base import OneLine, Value
from workflows.model.machines import Name
from workflows.model.request import parse_object

EXAMPLE = (
    '{"estate": "lab", "side": 1, "kind": "transfer", '
    '"since": "2026-11-27T02:00:00Z", "until": "2026-11-27T03:00:00Z"}'
)

EARLIEST, LATEST = 1970, 2200
"""Years in which a record may be."""
MAX_TAIL = 20
"""Records at the end of a page by which the next page finds its place again."""

Pattern = Annotated[str, StringConstraints(max_length=1000), OneLine]
"""A name; ``*`` stands for any characters."""


class RecordKind(StrEnum):
    """Of a record: each kind has its own list in the admin API."""

    TRANSFER = "transfer"
    AUDIT = "audit"


class LogRecord(Value):
    """One record of file tracking, or one entry of the audit log."""

    at: datetime
    """When the transfer began, or when the object was changed; by the cluster's own clock."""
    side: str
    """The cluster whose database holds it."""
    kind: RecordKind
    who: str = ""
    """The account of a transfer; the user of an audit entry."""
    what: str = ""
    """The file of a transfer; the type and name of the object of an audit entry."""
    state: str = ""
    """Direction, protocol and status of a transfer; the operation of an audit entry."""


class LogPlace(Value):
    """How far a list has been read."""

    position: int = Field(default=0, ge=0, le=10**9)
    """How many of its records, the oldest first."""
    tail: tuple[Annotated[str, StringConstraints(max_length=64)], ...] = Field(
        default=(), max_length=MAX_TAIL
    )
    """The last of them, by their ids."""
    server: str = Field(default="", max_length=100)
    """The Server that showed them; empty before the first page."""


class LogSelection(Value):
    """Which records of one list are wanted."""

    kind: RecordKind
    since: AwareDatetime
    until: AwareDatetime
    """Both moments are included."""
    account: Pattern = ""
    """Only records of this account; without regard to case."""
    file: Pattern = ""
    """Only transfers of this file: its whole path, or its name."""
    after: LogPlace = LogPlace()
    """Where the page before ended."""

    @model_validator(mode="after")
    def _is_a_span(self) -> Self:
        if self.since >= self.until:
            raise ValueError("since must be earlier than until")
        if self.since.year < EARLIEST or self.until.year > LATEST:
            raise ValueError(f"since and until must lie between {EARLIEST} and {LATEST}")
        return self


class LogQuery(LogSelection):
    """The input of the workflow Logs: the next page of one list of one cluster."""

    estate: Name
    side: int = Field(ge=1, le=2)
    """The first or the second cluster of the estate file."""


class LogPage(Value):
    """Records of one list, the oldest first."""

    side: str
    """The cluster's name."""
    records: tuple[LogRecord, ...] = ()
    next: LogPlace | None = None
    """Where the next page begins; None behind the last one."""
    unread: str | None = None
    """Why there is no more, although there may be records that were not read."""


def parse_query(given: Sequence[Any]) -> LogQuery:
    """Return the query in a workflow's input; BadInput with one readable sentence."""
    if len(given) != 1:
        raise BadInput(f"Logs needs exactly one input: one JSON object such as {EXAMPLE}")
    return parse_object(LogQuery, given[0], "the input", EXAMPLE)
