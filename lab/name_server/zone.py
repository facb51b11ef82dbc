"""The records of a zone, and what a dynamic update makes of them (RFC 2136); pure.

An independent reading of the RFC, in its own order: prerequisites (3.2), the scan of the update
section (3.4.1), then all changes or none (3.4.2).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.update
from dns.rcode import Rcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

Key = tuple[dns.name.Name, RdataType]
Records = dict[Key, dns.rrset.RRset]

APEX_TYPES = (RdataType.SOA, RdataType.NS)
META_TYPES = (RdataType.ANY, RdataType.AXFR, RdataType.MAILA, RdataType.MAILB)
SERIALS = 2**32


class Refused(Exception):
    """The update changes nothing; its argument is the answer."""

    def __init__(self, rcode: Rcode) -> None:
        super().__init__(dns.rcode.to_text(rcode))
        self.rcode = rcode


class Zone:
    """Every record below one name."""

    def __init__(self, origin: str, lines: Iterable[str]) -> None:
        """Take records as ``NAME TTL TYPE DATA``; one of them is the SOA record."""
        self.origin = dns.name.from_text(origin)
        self._records: Records = {}
        for line in lines:
            name, ttl, kind, data = line.split(maxsplit=3)
            rdtype = dns.rdatatype.from_text(kind)
            rdata = dns.rdata.from_text(RdataClass.IN, rdtype, data, self.origin, relativize=False)
            _add(self._records, self._absolute(name), int(ttl), rdata)
        self._soa()  # a zone has one

    @classmethod
    def from_json(cls, text: str) -> Zone:
        """Return the zone that was saved."""
        saved = json.loads(text)
        return cls(saved["origin"], saved["records"])

    def to_json(self) -> str:
        """Return it as a text to be saved."""
        return json.dumps({"origin": self.origin.to_text(), "records": list(self._lines())})

    @property
    def serial(self) -> int:
        """The serial of the SOA record."""
        return int(self._soa()[0].serial)

    def contains(self, name: dns.name.Name) -> bool:
        """Whether a name is the zone's own, or below it."""
        return name.is_subdomain(self.origin)

    def exists(self, name: dns.name.Name) -> bool:
        """Whether the name has any record."""
        return any(owner == name for owner, _ in self._records)

    def rrset(self, name: dns.name.Name, rdtype: RdataType) -> dns.rrset.RRset | None:
        """Return the records of one type that a name has."""
        return self._records.get((name, rdtype))

    def addresses(self, name: str) -> list[str]:
        """Return the addresses of a whole name, as texts in their order."""
        owner = dns.name.from_text(name)
        found = (self.rrset(owner, kind) for kind in (RdataType.A, RdataType.AAAA))
        return sorted(rdata.address for rrset in found for rdata in rrset or ())

    @property
    def soa(self) -> dns.rrset.RRset:
        """The SOA record."""
        return self._soa()

    def update(self, message: dns.update.UpdateMessage) -> bool:
        """Make the whole update, and return whether it changed anything.

        Raises:
            Refused: nothing was changed.
        """
        if message.zone[0].name != self.origin:
            raise Refused(Rcode.NOTAUTH)
        self._require(message.prerequisite)
        self._scan(message.update)
        records: Records = {}
        for (name, _), rrset in self._records.items():
            for rdata in rrset:
                _add(records, name, rrset.ttl, rdata)
        for one in message.update:
            self._apply(records, one)
        if records == self._records and _ttls(records) == _ttls(self._records):
            return False
        self._records = records
        self._raise_serial()
        return True

    def _require(self, prerequisites: Iterable[dns.rrset.RRset]) -> None:
        required: dict[Key, set[dns.rdata.Rdata]] = {}
        for one in prerequisites:
            if one.ttl != 0:
                raise Refused(Rcode.FORMERR)
            if not self.contains(one.name):
                raise Refused(Rcode.NOTZONE)
            if one.deleting is None:
                required.setdefault((one.name, one.rdtype), set()).update(one)
            elif one.rdtype is RdataType.ANY:
                self._require_name(one)
            else:
                self._require_rrset(one)
        for key, rdatas in required.items():
            if set(self._records.get(key) or ()) != rdatas:
                raise Refused(Rcode.NXRRSET)

    def _require_name(self, one: dns.rrset.RRset) -> None:
        if one.deleting is RdataClass.ANY and not self.exists(one.name):
            raise Refused(Rcode.NXDOMAIN)
        if one.deleting is RdataClass.NONE and self.exists(one.name):
            raise Refused(Rcode.YXDOMAIN)

    def _require_rrset(self, one: dns.rrset.RRset) -> None:
        there = self.rrset(one.name, one.rdtype) is not None
        if one.deleting is RdataClass.ANY and not there:
            raise Refused(Rcode.NXRRSET)
        if one.deleting is RdataClass.NONE and there:
            raise Refused(Rcode.YXRRSET)

    def _scan(self, changes: Iterable[dns.rrset.RRset]) -> None:
        for one in changes:
            if not self.contains(one.name):
                raise Refused(Rcode.NOTZONE)
            deletes_all = one.deleting is RdataClass.ANY and one.rdtype is RdataType.ANY
            if one.rdtype in META_TYPES and not deletes_all:
                raise Refused(Rcode.FORMERR)
            if one.deleting is not None and one.ttl != 0:
                raise Refused(Rcode.FORMERR)

    def _apply(self, records: Records, one: dns.rrset.RRset) -> None:
        at_apex = one.name == self.origin
        if one.deleting is None:
            if one.rdtype is RdataType.SOA or self._hides(records, one):
                return
            for rdata in one:
                _add(records, one.name, one.ttl, rdata)
            return
        kinds = [kind for name, kind in records if name == one.name]
        if one.rdtype is not RdataType.ANY:
            kinds = [kind for kind in kinds if kind is one.rdtype]
        for kind in kinds:
            if at_apex and kind in APEX_TYPES:
                continue
            if one.deleting is RdataClass.ANY:
                del records[one.name, kind]
            else:
                _remove(records, (one.name, kind), one)

    @staticmethod
    def _hides(records: Records, one: dns.rrset.RRset) -> bool:
        """Whether an alias and other records would stand beside each other: then it is ignored."""
        others = {kind for name, kind in records if name == one.name} - {one.rdtype}
        return bool(others) if one.rdtype is RdataType.CNAME else RdataType.CNAME in others

    def _raise_serial(self) -> None:
        soa = self._soa()
        raised = soa[0].replace(serial=(self.serial + 1) % SERIALS or 1)
        self._records[self.origin, RdataType.SOA] = dns.rrset.from_rdata(
            self.origin, soa.ttl, raised
        )

    def _soa(self) -> dns.rrset.RRset:
        return self._records[self.origin, RdataType.SOA]

    def _absolute(self, name: str) -> dns.name.Name:
        return dns.name.from_text(name, self.origin)

    def _lines(self) -> Iterator[str]:
        for (name, kind), rrset in self._records.items():
            for rdata in rrset:
                yield f"{name} {rrset.ttl} {kind.name} {rdata.to_text()}"


def _add(records: Records, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
    """Add one record; the TTL of the last one is that of all of its kind."""
    rrset = records.setdefault(
        (name, rdata.rdtype), dns.rrset.RRset(name, rdata.rdclass, rdata.rdtype)
    )
    rrset.add(rdata)
    rrset.ttl = ttl


def _remove(records: Records, key: Key, rdatas: Iterable[dns.rdata.Rdata]) -> None:
    remaining = records[key]
    for rdata in rdatas:
        remaining.discard(rdata)  # type: ignore[no-untyped-call]
    if not remaining:
        del records[key]


def _ttls(records: Records) -> dict[Key, int]:
    return {key: rrset.ttl for key, rrset in records.items()}
