"""Count the records that a cluster has made in a span of time."""

from dataclasses import dataclass
from datetime import datetime

from activities.logs.pages import read_page
from activities.securetransport.admin_client import AdminClient
from workflows.model.estate import Node
from workflows.model.logs import LogSelection, RecordKind

MAX_COUNTED = 20_000
"""Records that are counted: a source that has made more since the redirect still serves."""
WORDS = {
    RecordKind.TRANSFER: ("transfer", "transfers"),
    RecordKind.AUDIT: ("audit entry", "audit entries"),
}


@dataclass(frozen=True)
class Count:
    """How many records of one kind there are, and when the first and the last of them began."""

    kind: RecordKind
    records: int = 0
    first: datetime | None = None
    last: datetime | None = None
    more: bool = False
    """Whether there are more, which were not counted."""

    def __str__(self) -> str:
        one, many = WORDS[self.kind]
        if self.first is None or self.last is None:
            return f"no {many}"
        least = "at least " * self.more
        named = one if self.records == 1 else many
        return f"{least}{self.records} {named} ({span(self.first, self.last)})"


def span(first: datetime, last: datetime) -> str:
    """Return two moments in words, the day of the second only where it is another."""
    same = first.date() == last.date()
    until = f"{last:%H:%M:%S}" if same else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"{first:%Y-%m-%d %H:%M:%S} to {until} UTC"


async def count(admin: AdminClient, node: Node, wanted: LogSelection) -> Count:
    """Count the wanted records; OutcomeUnknown where not all of them can be read."""
    counted = Count(wanted.kind)
    while True:
        page = await read_page(admin, node, "", wanted)
        times = [record.at for record in page.records]
        counted = Count(
            wanted.kind,
            counted.records + len(times),
            counted.first or min(times, default=None),
            max(times, default=counted.last),
            page.next is not None,
        )
        if page.next is None or counted.records >= MAX_COUNTED:
            return counted
        wanted = wanted.model_copy(update={"after": page.next})
