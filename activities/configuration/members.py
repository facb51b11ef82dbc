"""Read which Servers and Edges a cluster's own configuration knows. Pure.

Public examples show only ``serverAddress`` of a cluster's nodes, so other keys are accepted, too
(docs/securetransport.md, section 8).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from activities.securetransport.admin_responses import short
from workflows.errors import OutcomeUnknown
from workflows.model.estate import Node
from workflows.model.observations import Member

PRIVATE_ZONE, OWN_MACHINE = "Private", "Host"
"""On a Server this entry of this zone is the Server itself."""
MAX_MEMBERS = 500
MAX_ADDRESSES = 50
"""Of one of them."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_NAMES = ("nodeName", "name", "title", "hostName")
_ADDRESSES = ("serverAddress", "nodeIp", "address", "ip", "host", "hostName")
_WITH_PORT = re.compile(r"\[([^\]]+)\](?::[0-9]+)?|([^:]+):[0-9]+")


def parse_members(body: object, node: Node) -> tuple[Member, ...]:
    """Read the Servers that a cluster knows; *node* alone where it says that it has no cluster.

    Raises:
        OutcomeUnknown: it says neither.
    """
    answer = body if isinstance(body, dict) else {}
    nodes = answer.get("clusterNodes")
    if answer.get("isCluster") is False and not nodes:
        return (Member(name=node.name, address=node.address),)
    if not isinstance(nodes, list) or not nodes:
        raise OutcomeUnknown(f"{node.name}: the admin API lists no nodes of the cluster")
    return _few((_member(item, node.name) for item in nodes), node.name)


def parse_edges(zones: Sequence[Mapping[str, Any]], place: str) -> tuple[Member, ...]:
    """Read the Edges of all zones, each once; the Server that answers is none of them.

    Raises:
        OutcomeUnknown: there is no zone at all, although ``Private`` always exists.
    """
    if not zones:
        raise OutcomeUnknown(f"{place}: the admin API lists no zones")
    return _few((edge for zone in zones for edge in _edges_of(zone, place)), place)


def _few(members: Iterable[Member], place: str) -> tuple[Member, ...]:
    """Return each once; OutcomeUnknown where there are more than a cluster can have."""
    found: dict[Member, None] = {}
    for member in members:
        found[member] = None
        if len(found) > MAX_MEMBERS:
            raise OutcomeUnknown(
                f"{place}: the admin API lists more than {MAX_MEMBERS} nodes of the cluster"
            )
    return tuple(found)


def _edges_of(zone: Mapping[str, Any], place: str) -> Iterator[Member]:
    edges = zone.get("edges") or []
    if not isinstance(edges, list):
        raise OutcomeUnknown(f"{place}: the Edges of a zone are no list")
    for edge in edges:
        member = _member(edge, place)
        itself = zone.get("name") == PRIVATE_ZONE and member.name == OWN_MACHINE
        if not itself and not set(member.addresses) <= LOOPBACK:
            yield member


def _member(item: object, place: str) -> Member:
    known = item if isinstance(item, dict) else {"address": item}
    name = next(_texts(known.get(key) for key in _NAMES), "")
    addresses = [_without_port(one) for one in islice(_addresses(known), MAX_ADDRESSES)]
    if not (name or addresses):
        raise OutcomeUnknown(f"{place}: a node of the cluster has neither name nor address")
    first, *further = dict.fromkeys(addresses or [name])
    return Member(name=name or first, address=first, further=tuple(further))


def _addresses(known: Mapping[str, Any]) -> Iterator[str]:
    listed = known.get("ipAddresses")
    for item in listed if isinstance(listed, list) else []:
        yield from _texts([item.get("ipAddress") if isinstance(item, dict) else item])
    yield from _texts(known.get(key) for key in _ADDRESSES)


def _texts(values: Iterable[object]) -> Iterator[str]:
    """Return what is a text, and not an empty one."""
    texts = (short(value) for value in values if isinstance(value, str))
    return filter(None, texts)


def _without_port(address: str) -> str:
    match = _WITH_PORT.fullmatch(address)
    return (match[1] or match[2]) if match else address
