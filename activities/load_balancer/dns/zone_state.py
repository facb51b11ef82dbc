"""Read what one server says of a zone: serial, addresses, and the record of operations."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.serial
from dns.rdatatype import RdataType

from activities.load_balancer.dns.exchange import ask
from activities.load_balancer.dns.record import Entry, entries
from workflows.errors import OutcomeUnknown
from workflows.model.load_balancers.dns import DnsLoadBalancer, DnsServer
from workflows.model.results import UNDO

FAMILIES = (RdataType.A, RdataType.AAAA)
KNOWN = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)


@dataclass(frozen=True)
class NameState:
    """What a name has in the zone."""

    rrsets: Mapping[RdataType, dns.rrset.RRset]
    """Those of its addresses that there are."""
    alias: str | None = None
    """The name that its CNAME record leads to."""
    delegated: bool = False
    """Whether the server says that the name belongs to another zone."""

    @property
    def addresses(self) -> frozenset[str]:
        """Its addresses of both families."""
        return frozenset(rdata.address for rrset in self.rrsets.values() for rdata in rrset)

    @property
    def ttl(self) -> int:
        """How many seconds a resolver may keep what is there."""
        return max((rrset.ttl for rrset in self.rrsets.values()), default=0)

    def __str__(self) -> str:
        if self.alias is not None:
            return f"an alias of {self.alias}"
        if self.delegated:
            return "a name of another zone"
        return ", ".join(sorted(self.addresses)) or "no address"


@dataclass(frozen=True)
class ZoneState:
    """What one server answered."""

    serial: int
    negative_ttl: int
    """How many seconds a resolver may remember that there is no address (RFC 2308)."""
    names: Mapping[str, NameState]
    """By name of the estate."""
    record: dns.rrset.RRset | None = None
    """The TXT records in which the zone remembers operations."""

    def entry(self, operation: str) -> Entry | None:
        """Return what the zone remembers of an operation."""
        return next((one for one in entries(self.record) if one.operation == operation), None)

    def changed_by(self, identity: str) -> bool:
        """Return whether the zone remembers that a run changed it."""
        return any(one.changed for one in self._of(identity))

    def undone_by(self, identity: str) -> bool:
        """Return whether the zone remembers an undo of a run."""
        return any(f"{UNDO}." in one.operation for one in self._of(identity))

    def is_at_least(self, serial: int) -> bool:
        """Return whether this serial is that one, or a later one (RFC 1982)."""
        return bool(dns.serial.Serial(self.serial) >= dns.serial.Serial(serial))

    def leads_to(self, load_balancer: DnsLoadBalancer, cluster: str) -> bool:
        """Return whether every name has exactly the addresses of a cluster."""
        return all(
            load_balancer.cluster_with(name, state.addresses) == cluster and state.alias is None
            for name, state in self.names.items()
        )

    def _of(self, identity: str) -> Iterator[Entry]:
        found = entries(self.record)
        return (one for one in found if one.operation.startswith(f"{identity}."))

    def slowest(self, load_balancer: DnsLoadBalancer) -> tuple[timedelta, str]:
        """Return how long a resolver may keep what a redirect or its undo replaces, and why."""
        found = [
            (state.ttl, f"{name} has a TTL of {state.ttl} s") for name, state in self.names.items()
        ]
        for name, given in load_balancer.names.items():
            for family in FAMILIES:
                if len({bool(of_family(one, family)) for one in given.values()}) > 1:
                    reason = (
                        f"that {name} has no {family.name} record is remembered for "
                        f"{self.negative_ttl} s, as the SOA record says"
                    )
                    found.append((self.negative_ttl, reason))
        seconds, reason = max(found)
        return timedelta(seconds=seconds), reason


def of_family(addresses: tuple[str, ...], family: RdataType) -> tuple[str, ...]:
    """Return the addresses that have records of this type."""
    return tuple(one for one in addresses if (":" in one) is (family is RdataType.AAAA))


async def read_zone(server: DnsServer, load_balancer: DnsLoadBalancer) -> ZoneState:
    """Ask one server for everything.

    Raises:
        Unreachable: it does not answer.
        OutcomeUnknown: it is no authoritative server of the zone, or its answers cannot be used.
    """
    zone = dns.name.from_text(load_balancer.zone)
    soa = await _rrset(server, zone, RdataType.SOA)
    if soa is None:
        raise OutcomeUnknown(f"{server} has no zone {load_balancer.zone}")
    record = await _rrset(server, dns.name.from_text(load_balancer.record_name), RdataType.TXT)
    names = {name: await _name(server, name) for name in load_balancer.names}
    return ZoneState(soa[0].serial, min(soa.ttl, soa[0].minimum), names, record)


async def has_any(server: DnsServer, name: dns.name.Name, rdtypes: Iterable[RdataType]) -> bool:
    """Return whether a name has records of any of these types, perhaps by a wildcard."""
    return any([await _rrset(server, name, rdtype) is not None for rdtype in rdtypes])


async def _name(server: DnsServer, name: str) -> NameState:
    rrsets = dict[RdataType, dns.rrset.RRset]()
    for family in FAMILIES:
        asked = dns.name.from_text(name)
        answer = await _answer(server, asked, family)
        alias = answer.get_rrset(answer.answer, asked, dns.rdataclass.IN, RdataType.CNAME)
        if alias is not None:
            return NameState({}, alias=alias[0].target.to_text(omit_final_dot=True))
        if not answer.flags & dns.flags.AA:
            return NameState({}, delegated=True)
        rrset = answer.get_rrset(answer.answer, asked, dns.rdataclass.IN, family)
        if rrset:
            rrsets[family] = rrset
    return NameState(rrsets)


async def _rrset(
    server: DnsServer, name: dns.name.Name, rdtype: RdataType
) -> dns.rrset.RRset | None:
    answer = await _answer(server, name, rdtype)
    if not answer.flags & dns.flags.AA:
        raise OutcomeUnknown(f"{server} is no authoritative server of {name}")
    return answer.get_rrset(answer.answer, name, dns.rdataclass.IN, rdtype)


async def _answer(server: DnsServer, name: dns.name.Name, rdtype: RdataType) -> dns.message.Message:
    question = dns.message.make_query(name, rdtype)
    question.flags &= ~dns.flags.RD  # the server's own knowledge is asked for, no other's
    answer = await ask(server, question)
    if answer.rcode() not in KNOWN:
        rcode = dns.rcode.to_text(answer.rcode())
        raise OutcomeUnknown(f"{server} answers {rcode} to {rdtype.name} {name}")
    return answer
