"""What two clusters do not share is named; what no two clusters can share is no difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.configuration import activities as configurations
from activities.configuration.activities import LISTS, RestConfigurations, named, shared
from activities.configuration.cluster import (
    oldest,
    parse_edges,
    parse_members,
    switched_on,
    unchanged_since,
)
from activities.nodes.service_status import ServiceStatusReader
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.support.admin_api import Api, Certificate, serving
from tests.support.ssh_machines import QUICK, SECRETS, SshServer, make_node
from workflows.errors import OutcomeUnknown
from workflows.model.actions import CompareConfiguration, ObserveCluster
from workflows.model.estate import AdminAccess, Cluster, Database, Kind, Limits, Node
from workflows.model.observations import ClusterReading, Member, ParityReading
from workflows.model.results import Operation
from workflows.ports.configuration import ClusterInput
from workflows.ports.inputs import ClusterPairInput

ORDER = CompareConfiguration(source="cluster1", target="cluster2")
LIMITS = Limits()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def cluster(name: str, *nodes: Node) -> Cluster:
    """Return a cluster of these nodes."""
    database = Database(
        name=f"{name}-db", address="198.51.100.1", database="st", user="st", password="env:DATABASE"
    )
    return Cluster(name=name, nodes=nodes, database=database, storage=f"/shared/{name}")


@pytest.fixture
async def pair(ssh_server: SshServer, certificate: Certificate, tmp_path: Path) -> Any:  # noqa: ANN401 - a generator of two clusters with their APIs
    """Yield two clusters of one Server and one Edge each, and their APIs by node."""
    names = ("cluster1-server1", "cluster1-edge1", "cluster2-server1", "cluster2-edge1")
    apis: dict[str, Api] = {}
    nodes: dict[str, Node] = {}
    stack = [serving(certificate) for _ in names]
    for name, context in zip(names, stack, strict=True):
        apis[name] = api = await context.__aenter__()
        access = AdminAccess(
            user="admin",
            password="env:ADMIN",
            port=api.port,
            via="direct",
            fingerprint=certificate.fingerprint,
        )
        kind = Kind.SERVER if "server" in name else Kind.EDGE
        nodes[name] = make_node(ssh_server, tmp_path, name, kind=kind, admin=access)
        api.options = options(name)
        if kind is Kind.SERVER:
            api.lists = {resource: [{"name": f"{resource}1"}] for resource in LISTS}
            api.lists["subscriptions"] = [{"id": name, "account": "a", "folder": "/in"}]
    one, two = (
        cluster(c, *(n for n in nodes.values() if c in n.name)) for c in ("cluster1", "cluster2")
    )
    yield one, two, apis
    for context in reversed(stack):
        await context.__aexit__(None, None, None)


def options(name: str) -> list[dict[str, Any]]:
    """Return what a node of that name has set, as all do."""
    return [
        {"name": "Ssh.Port", "values": ["8022"]},
        {"name": "Url", "values": [f"https://{name}:8443/"]},
        {"name": "Own", "values": [name + "!"], "isLocal": True},
        {"name": "Secret", "values": [name * 2], "encrypted": True},
        *({"name": f"Other.{number}", "values": [str(number)]} for number in range(150)),
    ]


async def compare(pair: Any, shell: Shell) -> ParityReading:  # noqa: ANN401 - as above
    """Hold both sides against each other."""
    one, two, _ = pair
    given: ClusterPairInput[CompareConfiguration] = ClusterPairInput(
        operation=Operation(identity="run-1", stage="check", action=ORDER.key),
        action=ORDER,
        timing=QUICK,
        source=one,
        target=two,
        limits=LIMITS,
    )
    configurations_port = RestConfigurations(
        ServiceStatusReader(shell), AdminClient(shell, SECRETS)
    )
    return await ActivityEnvironment().run(configurations_port.compare_configuration, given)


async def test_two_sides_that_are_alike(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """Names of machines, local and encrypted options, and ids are no difference."""
    reading = await compare(pair, shell)
    assert reading.findings == ()


async def test_an_option_that_differs_is_named(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """On the node that differs from the source's first; a missing one, too."""
    apis = pair[2]
    apis["cluster2-server1"].options[0] = {"name": "Ssh.Port", "values": ["22"]}
    del apis["cluster2-edge1"].options[0]
    found = (await compare(pair, shell)).findings
    assert [(one.name, one.place) for one in found] == [
        ("options_differ", "cluster2-server1"),
        ("options_differ", "cluster2-edge1"),
    ]
    assert found[0].seen.startswith("Ssh.Port: '22' instead of ")
    assert found[1].seen.startswith("Ssh.Port: nothing instead of ")


@pytest.mark.parametrize("resource", LISTS)
async def test_a_list_that_differs_is_named(
    pair: Any,  # noqa: ANN401
    shell: Shell,
    resource: str,
) -> None:
    """By what is there on one side only."""
    pair[2]["cluster2-server1"].lists[resource].append({"name": "new"})
    [found] = (await compare(pair, shell)).findings
    assert (found.name, found.place) == (LISTS[resource].name, "cluster2")
    assert found.seen == "new: only on cluster2 instead of on both"
    assert found.expected
    assert found.advice


async def test_long_lists_are_compared_by_number(
    pair: Any,  # noqa: ANN401
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading a hundred thousand names takes longer than a check may."""
    monkeypatch.setattr(configurations, "MAX_NAMES", 1)
    names = [{"name": str(number)} for number in range(3)]
    for number, node in ((3, "cluster1-server1"), (2, "cluster2-server1")):
        pair[2][node].lists["accounts"] = names[:number]
    [found] = (await compare(pair, shell)).findings
    assert found.seen == "number: 2 instead of 3"


async def test_many_differences_are_counted(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """Five are shown, and the number of the rest."""
    pair[2]["cluster2-server1"].lists["sites"] += [{"name": f"x{n:02}"} for n in range(25)]
    [found] = (await compare(pair, shell)).findings
    assert found.seen.count("only on cluster2") == 5
    assert found.seen.endswith("and 20 more")


async def test_a_list_on_one_side_only_differs(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """Where neither version has it, nothing does."""
    del pair[2]["cluster2-server1"].lists["routes"]
    assert [one.name for one in (await compare(pair, shell)).findings] == ["routes_differ"]
    del pair[2]["cluster1-server1"].lists["routes"]
    assert (await compare(pair, shell)).findings == ()


async def test_what_differs_once_is_no_difference(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """An account that is being replicated is there at the second reading."""
    api = pair[2]["cluster2-server1"]
    accounts = api.lists.pop("accounts")
    api.lists_later = {"accounts": accounts}
    assert (await compare(pair, shell)).findings == ()


async def test_no_options_at_all_are_no_answer(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """Every SecureTransport has some: two empty lists are not alike."""
    for api in pair[2].values():
        api.options = []
    [trouble] = (await compare(pair, shell)).findings
    assert "lists no options" in trouble.seen


@pytest.mark.parametrize("most", [1, 30, 100])
async def test_a_list_is_read_to_its_end(
    pair: Any,  # noqa: ANN401
    shell: Shell,
    most: int,
) -> None:
    """Also from an API whose pages are shorter than was asked for."""
    node, api = pair[0].servers[0], pair[2]["cluster1-server1"]
    api.most = most
    api.lists["sites"] = [{"name": str(number)} for number in range(70)]
    items = await AdminClient(shell, SECRETS).items(node, "sites")
    assert {item["name"] for item in items} == {str(number) for number in range(70)}


async def test_a_list_that_shows_less_than_it_counts_is_unknown(
    pair: Any,  # noqa: ANN401
    shell: Shell,
) -> None:
    """The rest of the list is unknown."""
    pair[2]["cluster1-server1"].most = 0
    with pytest.raises(OutcomeUnknown, match="shows 0 of 154"):
        await AdminClient(shell, SECRETS).items(pair[0].servers[0], "configurations/options")


async def test_what_cannot_be_compared_is_a_finding(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """An answer that cannot be read is never equal to another."""
    pair[2]["cluster2-server1"].options = [{"name": "a", "values": "none"}]
    reading = await compare(pair, shell)
    assert [(f.name, f.place) for f in reading.findings] == [
        ("configuration_unreadable", "cluster2")
    ]


async def test_a_cluster_is_read_whole(pair: Any, shell: Shell, tmp_path: Path) -> None:  # noqa: ANN401
    """Members, Edges, queue, maintenance and what lies on the storage."""
    one, _, apis = pair
    api = apis["cluster1-server1"]
    api.events = [
        {"id": str(n), "creationTime": format_datetime(datetime.now(UTC) - timedelta(hours=n))}
        for n in (1, 3, 2)
    ]
    api.options.append({"name": "Server.MaintenanceMode.enabled", "values": ["True"]})
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "old.m_inproc").write_text("half")
    configurations_port = RestConfigurations(
        ServiceStatusReader(shell), AdminClient(shell, SECRETS)
    )
    given: ClusterInput[ObserveCluster] = ClusterInput(
        operation=Operation(identity="run-1", stage="check", action="observe"),
        action=ObserveCluster(node="cluster1-server1"),
        timing=QUICK,
        node=one.nodes[0],
        storage=str(storage),
        limits=Limits(orphan_age=timedelta(seconds=-5)),
    )
    reading: ClusterReading = await ActivityEnvironment().run(
        configurations_port.observe_cluster, given
    )
    assert reading.findings == ()
    assert reading.servers == (Member(name="cluster1-server1", address="127.0.0.1"),)
    assert reading.edges == (Member(name="edge", address="192.0.2.1"),)
    assert reading.events == 3
    assert reading.oldest_event is not None
    assert timedelta(hours=3) - timedelta(minutes=1) < reading.oldest_event < timedelta(hours=4)
    assert reading.maintenance == ("Server.MaintenanceMode.enabled",)
    assert reading.orphans == (str(storage / "old.m_inproc"),)


@pytest.mark.parametrize(("hidden", "known"), [(2, 1), (9, None)])
async def test_a_queue_that_is_counted_and_not_shown_is_looked_at_again(
    pair: Any,  # noqa: ANN401 - as above
    shell: Shell,
    tmp_path: Path,
    hidden: int,
    known: int | None,
) -> None:
    """It may be emptying; one that never shows anything is unknown."""
    one, _, apis = pair
    apis["cluster1-server1"].events = ["1"]
    apis["cluster1-server1"].hides_events = hidden
    configurations_port = RestConfigurations(
        ServiceStatusReader(shell), AdminClient(shell, SECRETS)
    )
    given: ClusterInput[ObserveCluster] = ClusterInput(
        operation=Operation(identity="run-1", stage="check", action="observe"),
        action=ObserveCluster(node="cluster1-server1"),
        timing=QUICK,
        node=one.nodes[0],
        storage=str(tmp_path),
        limits=LIMITS,
    )
    reading: ClusterReading = await ActivityEnvironment().run(
        configurations_port.observe_cluster, given
    )
    assert reading.events == known
    assert bool(reading.findings) is (known is None)


async def test_a_cluster_that_says_nothing_is_trouble(pair: Any, shell: Shell) -> None:  # noqa: ANN401
    """Neither an empty list of nodes nor a storage that is not there is taken for fine."""
    one, _, apis = pair
    apis["cluster1-server1"].members = []
    configurations_port = RestConfigurations(
        ServiceStatusReader(shell), AdminClient(shell, SECRETS)
    )
    given: ClusterInput[ObserveCluster] = ClusterInput(
        operation=Operation(identity="run-1", stage="check", action="observe"),
        action=ObserveCluster(node="cluster1-server1"),
        timing=QUICK,
        node=one.nodes[0],
        storage="/not/mounted",
        limits=LIMITS,
    )
    reading: ClusterReading = await ActivityEnvironment().run(
        configurations_port.observe_cluster, given
    )
    assert {f.name for f in reading.findings} == {"reading_unusable"}
    assert reading.servers == ()


def test_names_of_machines_are_left_out_whole() -> None:
    """A longer address that begins alike is another one."""
    values = ["203.0.113.1 and 203.0.113.10", "node-1.example.com", "ST-node-1", "node-12"]
    names = {"name": "a", "values": values}
    node = make_paper_node("node-1", "203.0.113.1")
    known = shared([names], cluster("cluster1", node), node)
    assert known == {"a": "<own> and 203.0.113.10, <own>.example.com, ST-<own>, node-12"}


def make_paper_node(name: str, address: str) -> Node:
    """Return a node that cannot be reached."""
    return Node.model_validate(
        {
            "name": name,
            "address": address,
            "kind": "server",
            "ssh": {"user": "st", "key": "env:KEY", "known_hosts": "/dev/null"},
            "admin": {"user": "a", "password": "env:ADMIN", "fingerprint": "0" * 64},
            "protocols": {"ssh": [22]},
        }
    )


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"name": "a", "id": 1}, "a"),
        ({"alias": "cert"}, "cert"),
        ({"account": "a", "folder": "/in", "application": "x", "id": "9"}, "a /in x"),
        ({"id": 7}, "7"),
    ],
)
def test_items_are_told_apart_by_name(item: dict[str, Any], name: str) -> None:
    """Their ids are only the last resort."""
    assert named(item, "node") == name


def test_an_item_without_any_name_is_unknown() -> None:
    """Nothing can be held against it."""
    with pytest.raises(OutcomeUnknown):
        named({"note": "x"}, "node")


@pytest.mark.parametrize("body", [None, [], {}, {"clusterNodes": []}, {"clusterNodes": [{}]}])
def test_no_members_are_no_answer(body: object) -> None:
    """A cluster has nodes."""
    with pytest.raises(OutcomeUnknown):
        parse_members(body, "node")


@pytest.mark.parametrize("zones", [[{"edges": "none"}], [{"edges": [{"title": ""}]}]])
def test_strange_zones_are_no_answer(zones: list[dict[str, Any]]) -> None:
    """Zones without Edges are fine, Edges without a name are not."""
    assert parse_edges([{"name": "empty"}], "node") == ()
    with pytest.raises(OutcomeUnknown):
        parse_edges(zones, "node")


def test_the_oldest_event_says_how_old_it_is() -> None:
    """In any format of a time; if none can be read, the age is unknown."""
    events: list[dict[str, Any]] = [
        {"creationTime": format_datetime(NOW - timedelta(hours=1))},
        {"created": (NOW - timedelta(hours=5)).isoformat()},
        {"timestamp": (NOW - timedelta(hours=3)).timestamp() * 1000},
        {"creationTime": "yesterday"},
    ]
    assert oldest(events, NOW) == timedelta(hours=5)
    assert oldest(events[3:], NOW) is None


def test_maintenance_is_on_in_any_format() -> None:
    """Where it is off, or another option is on, nothing is said."""
    found = switched_on(
        [
            {"name": "MAINTENANCE.a", "values": ["ON"]},
            {"name": "x.maintenance", "values": ["false"]},
            {"name": "Other", "values": ["true"]},
        ],
        "maintenance",
        "node",
    )
    assert found == ("MAINTENANCE.a",)


def test_files_that_are_still_written_are_no_orphans() -> None:
    """By the time of their last change; a time that cannot be read is unknown."""
    files = (("/old.m_inproc", "5.1000.5"), ("/new.m_inproc", f"5.{NOW.timestamp()}"))
    assert unchanged_since(files, NOW - timedelta(hours=1)) == ("/old.m_inproc",)
    with pytest.raises(OutcomeUnknown):
        unchanged_since((("/a", "5.x"),), NOW)
