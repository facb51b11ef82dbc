"""Nodes show everything in which clusters must be alike (docs/securetransport.md, section 9)."""

from email.utils import parsedate_to_datetime
from typing import Any

import asyncssh
import httpx
import pytest

from lab.environment.seed_data import CONFIGURED
from lab.layout import SFTP_PORT
from lab.node.api_objects import LISTINGS
from tests.support.node_clients import PARTNER, Lab

EDGE = "cluster1-edge1"
SERVERS = ("cluster1-server1", "cluster2-server2")


async def options(lab: Lab, name: str) -> dict[str, list[str]]:
    """The options of a node that are neither local nor encrypted."""
    listed = (await lab.ask(name, "configurations/options?limit=1000"))["result"]
    return {o["name"]: o["values"] for o in listed if not o["isLocal"] and not o["encrypted"]}


def without_own_names(lab: Lab, name: str, values: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same options without the node's own name and address."""
    return {
        option: [each.replace(name, "HOST").replace(lab.address(name), "ADDRESS") for each in value]
        for option, value in values.items()
    }


async def test_servers_list_what_is_configured(lab: Lab) -> None:
    """Both clusters list the same things, in pages; an Edge has no such list."""
    for resource in LISTINGS:
        one, two = [await lab.ask(name, f"{resource}?limit=1000") for name in SERVERS]
        assert one == two
        assert one["resultSet"]["returnCount"] == one["resultSet"]["totalCount"] > 2
        first, *_ = one["result"][0]
        page = await lab.ask(SERVERS[0], f"{resource}?limit=1&offset=1&fields={first}")
        assert page["result"] == [{first: one["result"][1][first]}]
        async with lab.admin(EDGE) as client:
            assert (await client.get(resource)).status_code == 404


async def test_lists_show_rows_of_the_database(lab: Lab) -> None:
    """Names, types and what belongs to what are the database's."""
    accounts = await lab.ask(SERVERS[0], "accounts?limit=1000")
    names = {(each["name"], each["type"]) for each in accounts["result"]}
    assert names == {(row[0], "user") for row in CONFIGURED["account"]}
    subscriptions = (await lab.ask(SERVERS[0], "subscriptions?limit=1"))["result"]
    assert [(s["account"], s["folder"], s["application"]) for s in subscriptions] == [
        (PARTNER, "inbox", "Routing")
    ]
    (certificate,) = (await lab.ask(SERVERS[0], "certificates?limit=1"))["result"]
    assert (certificate["name"], certificate["usage"]) == ("admind", "local")
    assert parsedate_to_datetime(certificate["expirationTime"]).year == 2040


async def test_options_are_alike_but_for_the_nodes_own_names(lab: Lab) -> None:
    """Some of the many options hold the node's own name or address, although not local."""
    one, two = [await options(lab, name) for name in SERVERS]
    assert len(one) > 150
    assert one != two
    assert without_own_names(lab, SERVERS[0], one) == without_own_names(lab, SERVERS[1], two)


async def test_the_oldest_event_comes_first(lab: Lab) -> None:
    """An event says when it arrived, in milliseconds, how often it was tried, and whose it is."""
    for minutes in (5, 90, 30):
        await lab.sql(
            "cluster1",
            "INSERT INTO event (id, kind, account, created) "
            "VALUES (gen_random_uuid(), 'unreachable', %s, now() - make_interval(mins => %s))",
            PARTNER,
            minutes,
        )
    fields = "fields=status,accountName,arrivalTime,retryCount,lastHeartbeat"
    events: list[dict[str, Any]] = (await lab.ask(SERVERS[0], f"events?{fields}"))["result"]
    arrived = [event.pop("arrivalTime") for event in events]
    assert arrived == sorted(arrived)
    # Each row has the time of its own transaction.
    assert round((arrived[-1] - arrived[0]) / 60_000) == 85
    ready = {"status": "ready", "accountName": PARTNER, "retryCount": 0, "lastHeartbeat": None}
    assert events == [ready] * 3


async def test_installations_of_a_kind_are_alike(lab: Lab) -> None:
    """Conf/ is the same on all nodes of a kind; every script can be run by its owner."""
    for kind in ("server", "edge"):
        nodes = [node for node in lab.layout.nodes if node.kind == kind]
        listed = [
            (await lab.run(node.name, f"cd {node.home}/conf && sha256sum *")).text for node in nodes
        ]
        assert len(set(listed)) == 1
        assert len(listed[0].splitlines()) >= 5
        for node in nodes:
            text = (await lab.run(node.name, f"cat {node.home}/conf/*")).text
            assert node.name not in text
            assert node.address not in text
    owned = f"[ -O {lab.home(EDGE)} ] && [ -x {lab.home(EDGE)}/bin/stop_sshd ]"
    assert (await lab.run(EDGE, owned)).status == 0


async def test_a_protocol_server_is_reached_through_the_shell(lab: Lab) -> None:
    """The shell forwards to every port of the node's own address, so that a probe can log in."""
    shell = await lab.shell(EDGE)
    reader, writer = await shell.open_connection(lab.address(EDGE), SFTP_PORT)
    assert (await reader.readline()).startswith(b"SSH-2.0-")
    writer.close()


async def test_who_is_refused_ends_the_connections_of_others(lab: Lab) -> None:
    """A key that is accepted no longer is of no use inside either."""
    shell = await lab.shell(EDGE)
    lab.turn(faults={EDGE: {"refuses_login": "yes"}})
    with pytest.raises(asyncssh.PermissionDenied):
        await lab.shell(EDGE)
    await shell.wait_closed()


async def test_an_admin_api_can_be_silent(lab: Lab) -> None:
    """It answers no request, and the status scripts still answer."""
    lab.turn(faults={EDGE: {"admin_silent": "yes"}})
    async with lab.admin(EDGE) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("daemons")
    assert await lab.status(EDGE, "sshd") == "sshd is alive"
