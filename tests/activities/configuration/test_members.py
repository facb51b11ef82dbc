"""Which machines a cluster knows is read in every shape that public examples show."""

from typing import Any

import pytest

from activities.configuration.members import parse_edges, parse_members
from tests.support import estates
from workflows.errors import OutcomeUnknown
from workflows.model.observations import Member

NODE = estates.estate().node("cluster1-server1")


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        ([{"serverAddress": "192.0.2.21"}], ("192.0.2.21", "192.0.2.21")),
        (["st1.example.com"], ("st1.example.com", "st1.example.com")),
        (["192.0.2.21:444"], ("192.0.2.21", "192.0.2.21")),
        (["[2001:db8::21]:444"], ("2001:db8::21", "2001:db8::21")),
        (["2001:db8::21"], ("2001:db8::21", "2001:db8::21")),
        ([{"nodeName": "st1", "nodeIp": "192.0.2.21"}], ("st1", "192.0.2.21")),
    ],
)
def test_a_node_of_a_cluster_is_read_in_any_shape(nodes: object, found: tuple[str, str]) -> None:
    """As an object or as plain text, with a port or without."""
    name, address = found
    members = parse_members({"isCluster": True, "clusterNodes": nodes}, NODE)
    assert members == (Member(name=name, address=address),)


@pytest.mark.parametrize("nodes", [None, []])
def test_a_server_without_a_cluster_is_its_only_node(nodes: object) -> None:
    """A standalone Server lists no nodes; that is no missing answer."""
    body = {"isCluster": False, "clusterMode": None, "clusterNodes": nodes}
    assert parse_members(body, NODE) == (Member(name=NODE.name, address=NODE.address),)


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], {}, {"clusterNodes": None}, {"clusterNodes": [{}]}),
        {"isCluster": True, "clusterNodes": None},
        {"isCluster": "false", "clusterNodes": None},
        {"isCluster": False, "clusterNodes": "st1"},
    ],
)
def test_no_members_are_no_answer(body: object) -> None:
    """A cluster has nodes, and only the word false says that there is no cluster."""
    with pytest.raises(OutcomeUnknown):
        parse_members(body, NODE)


def edge(title: str, *addresses: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an entry of a zone."""
    return {"title": title, "ipAddresses": [{"ipAddress": one} for one in addresses], **more}


def test_every_address_of_every_zone_is_read() -> None:
    """The title is what an administrator typed; an Edge of two zones is read once."""
    gateway = edge("Frankfurt, rack 7", "192.0.2.61", "2001:db8::61", deploymentSite="Prod")
    private: dict[str, Any] = {"name": "Private", "edges": None}
    zones = [private, {"edges": [gateway]}, {"edges": [gateway]}]
    assert parse_edges(zones, "node") == (
        Member(name="Frankfurt, rack 7", address="192.0.2.61", further=("2001:db8::61",)),
    )


def test_the_server_itself_is_no_edge() -> None:
    """The zone Private lists it as Host, or under a loopback address; another may be an Edge."""
    own = [edge("Host", "192.0.2.21"), edge("local", "127.0.0.1")]
    assert parse_edges([{"name": "Private", "edges": own}], "node") == ()
    [kept] = parse_edges([{"name": "Private", "edges": [edge("other", "192.0.2.62")]}], "node")
    assert kept.address == "192.0.2.62"
    [kept] = parse_edges([{"name": "Perimeter", "edges": own[:1]}], "node")
    assert kept.address == "192.0.2.21"


@pytest.mark.parametrize(
    "zones",
    [[], [{"edges": "none"}], [{"edges": [{"title": ""}]}], [{"edges": [{"ipAddresses": [7]}]}]],
)
def test_strange_zones_are_no_answer(zones: list[dict[str, Any]]) -> None:
    """Zones without Edges are fine; no zone at all, or an Edge without a name, is not."""
    assert parse_edges([{"name": "empty"}], "node") == ()
    with pytest.raises(OutcomeUnknown):
        parse_edges(zones, "node")
