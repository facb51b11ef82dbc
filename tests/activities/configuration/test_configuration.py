"""What two clusters do not share is named; what no two clusters can share is no difference."""

import os
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from activities.configuration import lists
from activities.configuration.activities import shared
from activities.configuration.cluster import Queue, aged, parse_maintenance, unchanged_since
from activities.configuration.lists import RESOURCES, UNAVAILABLE, Resource, named
from tests.support import estates
from tests.support.configuration_site import Site
from tests.support.ssh_machines import make_cluster
from workflows.errors import OutcomeUnknown
from workflows.model.observations import Member

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_two_sides_that_are_alike(site: Site) -> None:
    """Names of machines, local and encrypted options, and ids are no difference."""
    reading = await site.compare()
    assert reading.findings == ()


async def test_an_option_that_differs_is_named(site: Site) -> None:
    """On the node that differs from the source's first; a missing one, too."""
    site.target.options[0] = {"name": "Ssh.Port", "values": ["22"]}
    del site.apis["cluster2-edge1"].options[0]
    found = (await site.compare()).findings
    assert [(one.name, one.place) for one in found] == [
        ("options_differ", "cluster2-server1"),
        ("options_differ", "cluster2-edge1"),
    ]
    assert found[0].seen.startswith("Ssh.Port: '22' instead of ")
    assert found[1].seen.startswith("Ssh.Port: nothing instead of ")


@pytest.mark.parametrize("resource", RESOURCES, ids=[one.path for one in RESOURCES])
async def test_a_list_that_differs_is_named(site: Site, resource: Resource) -> None:
    """By what is there on one side only."""
    site.target.lists[resource.path].append({"name": "new"})
    [found] = (await site.compare()).findings
    assert (found.name, found.place) == (resource.check.name, "cluster2")
    assert found.seen == "new: only on cluster2 instead of on both"
    assert found.expected
    assert found.advice


async def test_long_lists_are_compared_by_number(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a hundred thousand names takes longer than a check may; numbers prove little."""
    monkeypatch.setattr(lists, "MAX_NAMES", 1)
    names = [{"name": str(number)} for number in range(150)]
    for number, node in ((150, "cluster1-server1"), (149, "cluster2-server1")):
        site.apis[node].lists["accounts"] = names[:number]
    [found] = (await site.compare()).findings
    assert found.seen == "number: 149 instead of 150"
    site.target.lists["accounts"] = [{"name": f"other{number}"} for number in range(150)]
    reading = await site.compare()
    assert reading.findings == ()
    assert list(reading.not_read) == ["accounts_differ"]
    assert reading.not_read["accounts_differ"].startswith("only the numbers were compared, 150 ")


async def test_many_differences_are_counted(site: Site) -> None:
    """Five are shown, and the number of the rest."""
    site.target.lists["sites"] += [{"name": f"x{n:02}"} for n in range(25)]
    [found] = (await site.compare()).findings
    assert found.seen.count("only on cluster2") == 5
    assert found.seen.endswith("and 20 more")


async def test_a_list_on_one_side_only_differs(site: Site) -> None:
    """Where neither version has it, there is nothing to compare: that is no equality."""
    del site.target.lists["routes"]
    [found] = (await site.compare()).findings
    assert (found.name, found.seen) == (
        "routes_differ",
        "list: only on cluster1 instead of on both",
    )
    del site.api.lists["routes"]
    reading = await site.compare()
    assert reading.findings == ()
    assert reading.not_available == {"routes_differ": UNAVAILABLE}


async def test_sites_are_told_apart_by_their_account(site: Site) -> None:
    """Two accounts may each have a site of one name; a third that differs is still found."""
    for api in (site.api, site.target):
        api.lists["sites"] = [{"account": one, "name": "SFTP"} for one in "ab"]
    assert (await site.compare()).findings == ()
    site.target.lists["sites"][1] = {"account": "c", "name": "SFTP"}
    [found] = (await site.compare()).findings
    assert found.seen == (
        "SFTP (account b): only on cluster1 instead of on both, "
        "SFTP (account c): only on cluster2 instead of on both"
    )


async def test_routes_of_one_name_are_counted(site: Site) -> None:
    """Two simple routes may have one name, and then have ids that differ."""
    twice = [{"id": n, "type": "SIMPLE", "name": "Virus scan"} for n in (1, 2)]
    site.api.lists["routes"], site.target.lists["routes"] = twice, twice[:1]
    [found] = (await site.compare()).findings
    assert found.seen == "Virus scan (type SIMPLE): 1 of this name instead of 2 of this name"


async def test_a_list_that_grows_complete_is_compared(site: Site) -> None:
    """One that showed less than it counts is read again, and compared then."""
    for api in (site.api, site.target):
        api.lists["sites"] = [{"name": str(number)} for number in range(70)]
    site.target.lists["sites"][3] = {"name": "other"}
    site.target.lists["sites"][4] = {"name": "5"}
    reading = await site.compare()
    assert "sites_differ" in reading.not_read
    site.target.lists["sites"][4] = {"name": "4"}
    [found] = (await site.compare()).findings
    assert "3: only on cluster1" in found.seen


async def test_what_differs_once_is_no_difference(site: Site) -> None:
    """An account that is being replicated is there at the second reading."""
    api = site.target
    accounts = api.lists.pop("accounts")
    api.lists_later = {"accounts": accounts}
    assert (await site.compare()).findings == ()


async def test_no_options_at_all_are_no_answer(site: Site) -> None:
    """Every SecureTransport has some: two empty lists are not alike."""
    for api in site.apis.values():
        api.options = []
    [unread] = (await site.compare()).findings
    assert "lists no options" in unread.seen


@pytest.mark.parametrize("most", [1, 30, 100])
async def test_a_list_is_read_to_its_end(site: Site, most: int) -> None:
    """Also from an API whose pages are shorter than was asked for."""
    node, api = site.one.servers[0], site.api
    api.page_size = most
    api.lists["sites"] = [{"name": str(number)} for number in range(70)]
    items = await site.admin.items(node, "sites")
    assert {item["name"] for item in items} == {str(number) for number in range(70)}


async def test_a_list_that_shows_less_than_it_counts_is_unknown(site: Site) -> None:
    """The rest of the list is unknown."""
    site.api.page_size = 0
    with pytest.raises(OutcomeUnknown, match="shows 0 of 154"):
        await site.admin.items(site.one.servers[0], "configurations/options")


async def test_what_cannot_be_compared_is_a_finding(site: Site) -> None:
    """An answer that cannot be read is never equal to another."""
    site.target.options = [{"name": "a", "values": "none"}]
    reading = await site.compare()
    assert [(f.name, f.place) for f in reading.findings] == [
        ("configuration_unreadable", "cluster2")
    ]


async def test_a_cluster_is_read_whole(site: Site, tmp_path: Path) -> None:
    """Members, Edges, queue, maintenance and what lies on the storage."""
    api = site.api
    api.events = [
        {"id": str(n), "arrivalTime": (time.time() - n * 3600) * 1000, "lastHeartbeat": None}
        for n in (1, 3, 2)
    ]
    api.maintenance = "enabled"
    storage = tmp_path / "storage"
    storage.mkdir()
    (storage / "old.m_inproc").write_text("half")
    two_hours_ago = time.time() - 7200
    os.utime(storage / "old.m_inproc", (two_hours_ago, two_hours_ago))
    reading = await site.observe(storage)
    assert reading.findings == ()
    assert reading.servers == (Member(name="127.0.0.1", address="127.0.0.1"),)
    gateway = Member(name="Gateway 1", address="192.0.2.1", further=("2001:DB8::1",))
    assert reading.edges == (gateway,)
    assert reading.events == 3
    assert reading.oldest_event is not None
    assert timedelta(hours=3) - timedelta(minutes=1) < reading.oldest_event < timedelta(hours=4)
    assert reading.maintenance == ("enabled",)
    assert reading.not_read == reading.not_available == {}
    assert reading.orphans == (str(storage / "old.m_inproc"),)


@pytest.mark.parametrize(("hidden", "known"), [(2, 1), (9, None)])
async def test_a_queue_that_is_counted_and_not_shown_is_read_again(
    site: Site, tmp_path: Path, hidden: int, known: int | None
) -> None:
    """It may be emptying; one that never shows anything is unknown."""
    site.api.events = ["1"]
    site.api.hides_events = hidden
    reading = await site.observe(tmp_path)
    assert reading.events == known
    assert bool(reading.findings) is (known is None)


async def test_a_cluster_that_says_nothing_is_trouble(site: Site) -> None:
    """Neither an empty list of nodes nor a storage that is not there is taken for fine."""
    site.api.members = []
    reading = await site.observe(Path("/not/mounted"))
    assert {f.name for f in reading.findings} == {"reading_unusable"}
    assert reading.servers is None


def test_names_of_machines_are_left_out_whole() -> None:
    """A longer address that begins alike is another one."""
    values = ["203.0.113.1 and 203.0.113.10", "node-1.example.com", "ST-node-1", "node-12"]
    names = {"name": "a", "values": values}
    named_node = {"name": "node-1", "address": "203.0.113.1"}
    node = estates.estate().node("cluster1-server1").model_copy(update=named_node)
    known = shared([names], make_cluster("cluster1", node), node)
    assert known == {"a": "<own> and 203.0.113.10, <own>.example.com, ST-<own>, node-12"}


@pytest.mark.parametrize(
    ("item", "keys", "name"),
    [
        ({"name": "a", "id": 1}, ("name",), "a"),
        ({"alias": "cert", "usage": "local"}, ("usage", "account", "name"), "cert (usage local)"),
        (
            {"account": "a", "folder": "/in", "application": "x", "id": "9"},
            ("account", "application", "folder"),
            "/in (application x, account a)",
        ),
        ({"accountName": "a", "name": "SFTP"}, ("account", "name"), "SFTP (account a)"),
        ({"name": "SFTP", "account": None}, ("account", "name"), "SFTP"),
        ({"title": "one"}, ("account", "folder"), "one"),
    ],
)
def test_items_are_told_apart_by_what_is_theirs(
    item: dict[str, Any], keys: tuple[str, ...], name: str
) -> None:
    """Their ids are generated, and differ between both sides."""
    assert named(item, keys, "node") == name


def test_an_item_without_any_name_is_unknown() -> None:
    """Nothing can be held against it."""
    with pytest.raises(OutcomeUnknown):
        named({"note": "x", "id": 7}, ("account", "name"), "node")


async def test_what_a_queue_and_a_version_do_not_tell_is_said(site: Site, tmp_path: Path) -> None:
    """An age that cannot be read is unknown, and a missing maintenance mode is none."""
    site.api.events = [{"id": "0x1", "arrivalTime": "yesterday", "retryCount": 5}, "0x2"]
    site.api.maintenance = None
    reading = await site.observe(tmp_path)
    assert (reading.findings, reading.events, reading.oldest_event) == ((), 2, None)
    assert reading.not_read == {"events_stuck": "2 queued, and the age of 2 cannot be read"}
    assert list(reading.not_available) == ["maintenance_mode"]


def test_the_oldest_event_says_how_old_it_is() -> None:
    """In any format of a time; what cannot be read is counted, never taken for young."""
    milliseconds = round((NOW - timedelta(hours=3)).timestamp() * 1000)
    events: list[dict[str, Any]] = [
        {"creationTime": format_datetime(NOW - timedelta(hours=1))},
        {"created": (NOW - timedelta(hours=5)).isoformat()},
        {"arrivalTime": milliseconds},
        {"arrivalTime": str(milliseconds)},
        {"arrivalTime": "yesterday"},
        {"arrivalTime": None},
    ]
    assert aged(6, events, NOW) == Queue(6, timedelta(hours=5), ageless=2)
    assert aged(6, events[2:4], NOW) == Queue(6, timedelta(hours=3))
    assert aged(0, [], NOW) == Queue(0)


@pytest.mark.parametrize("body", [None, [], {}, {"zduMaintenanceMode": None}, {"mode": "disabled"}])
def test_a_mode_that_is_not_said_is_unknown(body: object) -> None:
    """It is never taken for disabled."""
    assert parse_maintenance({"zduMaintenanceMode": "disabled"}, "node") == "disabled"
    with pytest.raises(OutcomeUnknown):
        parse_maintenance(body, "node")


def test_files_that_are_still_written_are_no_orphans() -> None:
    """By the time of their last change; a time that cannot be read is unknown."""
    files = (("/old.m_inproc", "5.1000.5"), ("/new.m_inproc", f"5.{NOW.timestamp()}"))
    assert unchanged_since(files, NOW - timedelta(hours=1)) == ("/old.m_inproc",)
    with pytest.raises(OutcomeUnknown):
        unchanged_since((("/a", "5.x"),), NOW)
