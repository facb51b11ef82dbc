"""Build updates of a zone (RFC 2136), each with everything that was read as its prerequisite; pure.

An update is one: the server makes it whole, or not at all.
"""

from collections.abc import Iterator

import dns.name
import dns.rcode
import dns.rrset
import dns.tsig
from dns.rdatatype import RdataType
from dns.update import UpdateMessage

from activities.load_balancer.dns.record import Entry, surplus
from activities.load_balancer.dns.zone_state import FAMILIES, ZoneState, of_family
from workflows.model.load_balancers.dns import DnsLoadBalancer

RECORD_TTL = 60
CHANGED_MEANWHILE = (dns.rcode.YXDOMAIN, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.NXRRSET)
"""What a server answers where a prerequisite does not hold: nothing was changed."""


def redirecting(
    load_balancer: DnsLoadBalancer, state: ZoneState, cluster: str, entry: Entry, key: dns.tsig.Key
) -> UpdateMessage:
    """Return the update that gives every name its addresses on a cluster, and records it."""
    update = _requiring(load_balancer, state, key)
    for name, given in load_balancer.names.items():
        now = state.names[name]
        for family in FAMILIES:
            wanted, rrset = of_family(given[cluster], family), now.rrsets.get(family)
            if frozenset(wanted) == frozenset(one.address for one in rrset or ()):
                continue
            owner = dns.name.from_text(name)
            update.delete(owner, family)
            for address in wanted:
                update.add(owner, rrset.ttl if rrset else now.ttl, family, address)
    record = dns.name.from_text(load_balancer.record_name)
    for old in surplus(state.record):
        update.delete(record, old)
    update.add(record, state.record.ttl if state.record else RECORD_TTL, entry.to_rdata())
    return update


def without_effect(
    load_balancer: DnsLoadBalancer, state: ZoneState, key: dns.tsig.Key
) -> UpdateMessage:
    """Return an update that changes nothing, and needs every right that a redirect needs.

    It adds the records that are there and deletes those that are not, which a server ignores
    (RFC 2136, section 3.4.2). An update with prerequisites alone needs no right to change a name,
    and a prerequisite that cannot hold may be looked at before the rights (section 3.2, 3.3).
    """
    update = _requiring(load_balancer, state, key)
    for name, rdtype, rrset in _rrsets(load_balancer, state):
        if rrset is None:
            update.delete(name, rdtype)
        else:
            update.add(name, rrset)
    return update


def preview(load_balancer: DnsLoadBalancer, cluster: str) -> Iterator[str]:
    """Yield the records that a redirect leaves, as far as they are known beforehand."""
    for name, given in load_balancer.names.items():
        for family in FAMILIES:
            addresses = of_family(given[cluster], family)
            if addresses:
                yield from (f"{name} {family.name} {address}" for address in addresses)
            elif any(of_family(one, family) for one in given.values()):
                yield f"{name} {family.name}: no record"
    yield f"{load_balancer.record_name} TXT: the operation and its time"


def _requiring(
    load_balancer: DnsLoadBalancer, state: ZoneState, key: dns.tsig.Key
) -> UpdateMessage:
    """Return an update that the server refuses if anything that was read is different by then."""
    update = UpdateMessage(load_balancer.zone, keyring=key)
    for name, rdtype, rrset in _rrsets(load_balancer, state):
        if rrset is None:
            update.absent(name, rdtype)
        else:
            for rdata in rrset:
                update.present(name, rdata)
    return update


def _rrsets(
    load_balancer: DnsLoadBalancer, state: ZoneState
) -> Iterator[tuple[dns.name.Name, RdataType, dns.rrset.RRset | None]]:
    for name, now in state.names.items():
        for family in FAMILIES:
            yield dns.name.from_text(name), family, now.rrsets.get(family)
    yield dns.name.from_text(load_balancer.record_name), RdataType.TXT, state.record
