"""The zone's own record of the operations that changed it: TXT records beside the names; pure.

No machine with a ledger stands behind a zone. So each redirect adds, in the same update, a record
with its operation and time, and requires that the records are exactly as they were read. An attempt
that finds its operation there sends nothing, and gives the report of the attempt that did it. An
update that is late, from a frozen worker or a slow network, finds other records than it requires,
also after an undo has put the old addresses back: it is refused as a whole. So an undo leaves a
record also where it finds the old addresses: an update without an answer may still be under way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dns.rdataclass
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.TXT import TXT

MARK = "switchover"
"""The first string of each of our records; others at this name stay as they are."""
CHANGED, KEPT = "changed", "kept"
MAX_STRING = 255
MAX_ENTRIES = 16
"""A redirect and its undo are two, and each retry one more; the oldest ones make room."""
FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Entry:
    """An operation that changed the zone."""

    operation: str
    at: datetime
    changed: bool = True
    """Whether the addresses were others before."""
    rdata: TXT | None = None
    """As the zone has it."""

    @property
    def strings(self) -> tuple[str, ...]:
        """The strings of its TXT record."""
        parts = range(0, len(self.operation), MAX_STRING)
        written = self.at.astimezone(UTC).strftime(FORMAT)
        outcome = CHANGED if self.changed else KEPT
        return (MARK, written, outcome, *(self.operation[at : at + MAX_STRING] for at in parts))

    def to_rdata(self) -> TXT:
        """Return its TXT record."""
        return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, self.strings)


def entries(rrset: dns.rrset.RRset | None) -> tuple[Entry, ...]:
    """Return our entries, the oldest first; what is none of ours is left out."""
    return tuple(sorted(_entries(rrset), key=lambda one: (one.at, one.operation)))


def surplus(rrset: dns.rrset.RRset | None) -> tuple[TXT, ...]:
    """Return the records that make room for one more."""
    found = entries(rrset)
    too_many = max(0, len(found) + 1 - MAX_ENTRIES)
    return tuple(one.rdata for one in found[:too_many] if one.rdata)


def _entries(rrset: dns.rrset.RRset | None) -> Iterator[Entry]:
    for rdata in rrset or ():
        try:
            mark, written, outcome, *operation = [one.decode("ascii") for one in rdata.strings]
            at = datetime.strptime(written, FORMAT).replace(tzinfo=UTC)
        except ValueError:  # another's, perhaps of another kind
            continue
        if mark == MARK and operation:
            yield Entry("".join(operation), at, outcome == CHANGED, rdata)
