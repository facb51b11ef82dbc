"""Whatever is changed while replication is suspended is reported: what, where, and by whom."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.configuration import watch
from activities.configuration.digests import ItemMemory, bucket_count, digested
from activities.configuration.state import shared_options
from tests.support import estates
from tests.support.configuration_site import Site
from tests.support.ssh_machines import QUICK
from workflows.model.configuration import (
    MAX_CHANGES,
    ConfigurationChange,
    ConfigurationRecord,
    ConfigurationReport,
)
from workflows.model.estate import Timing
from workflows.ports.configuration import WatchInput

SERVER, EDGE = "cluster1-server1", "cluster1-edge1"
REPLICATION = estates.estate().replication
ALLOWED = timedelta(seconds=60)
READINGS = 3
GROWS_AT = 10
IDS = count()
EMPTY = ConfigurationRecord()


@dataclass
class Watch:
    """A watch over a site, with what it has recorded."""

    site: Site
    record: ConfigurationRecord = EMPTY
    dark: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def input(self) -> WatchInput:
        """What the activity is given."""
        interval = {"configuration_interval": timedelta(seconds=0.05)}
        return WatchInput(
            clusters=(self.site.one, self.site.two),
            replication=REPLICATION,
            timing=QUICK.model_copy(update=interval),
            ignored_changes=self.ignored,
            dark=self.dark,
            record=self.record,
        )

    async def news(self) -> ConfigurationReport:
        """Wait until the watch returns, and record what it has seen."""
        running = ActivityEnvironment().run(self.site.port.watch_configuration, self.input)
        report: ConfigurationReport = await asyncio.wait_for(running, 30)
        self.record = self.record.after(report)
        return report

    async def changes(self) -> set[str]:
        """Read once, and return what changed, in words."""
        report: ConfigurationReport = await ActivityEnvironment().run(
            self.site.port.read_configuration_changes, self.input
        )
        self.record = self.record.after(report)
        return set(map(str, report.changes))

    async def stays_quiet(self) -> None:
        """Let the watch read several times without a word."""
        environment, read_at = ActivityEnvironment(), set[datetime]()
        environment.on_heartbeat = lambda *details: read_at.update(one.at for one in details)
        running = asyncio.ensure_future(
            environment.run(self.site.port.watch_configuration, self.input)
        )
        while len(read_at) < READINGS:
            assert not running.done(), running.result()
            await asyncio.sleep(0.02)  # between two looks
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def watching(site: Site) -> Watch:
    """A watch that has recorded how everything is."""
    for cluster in (site.one, site.two):
        for node in cluster.nodes:
            conf = Path(node.filedrivehome) / "conf"
            conf.mkdir()
            for number in range(5):
                (conf / f"{number}.xml").write_text("as it was")
    site.tables.digests = {c: {f"public.t{n}": "1" for n in range(10)} for c in _CLUSTERS}
    for api in (site.api, site.target):
        for path in api.lists:
            api.lists[path] = [{"id": f"{path}-{n}", **_item(path, n)} for n in range(10)]
    watched = Watch(site)
    await watched.news()
    return watched


_CLUSTERS = ("cluster1", "cluster2")


def _item(path: str, number: int) -> dict[str, Any]:
    name = f"{path}{number}"
    if path == "subscriptions":
        return {"account": "a", "folder": f"/{name}"}
    if path == "routes":
        return {"type": "SIMPLE", "name": name, "note": "as it was"}
    return {"name": name, "note": "as it was"}


def audited(kind: str, name: str, verb: str = "UPDATE", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an entry of the audit log, made now."""
    made = {"dateModified": format_datetime(datetime.now(UTC)), "userName": "eve"}
    named = {"operationType": verb, "objectType": kind, "objectName": name}
    return {"id": f"entry-{next(IDS)}", **made, **named, **changes}


def planted(site: Site) -> dict[tuple[str, str], Callable[[], object]]:
    """Return fifty changes of every kind on both sides, each by what is to be reported of it."""
    plants: dict[tuple[str, str], Callable[[], object]] = {}
    for cluster, api in (("cluster1", site.api), ("cluster2", site.target)):
        server, edge = f"{cluster}-server1", f"{cluster}-edge1"
        for node in (server, edge):
            options = site.apis[node].options
            for at in range(4, 8):
                new = {"name": options[at]["name"], "values": ["planted"]}
                plants[node, f"option {new['name']}"] = partial(options.__setitem__, at, new)
            file = Path(site.node(node).filedrivehome) / "conf/3.xml"
            plants[node, "file conf/3.xml"] = partial(file.write_text, "planted")
        for path, called in _LISTS.items():
            items, new = api.lists[path], _item(path, 20)
            changed = partial(items[3].update, note="planted")
            plants[server, f"{called} {_called(items[3])}"] = changed
            plants[server, f"{called} {_called(new)}"] = partial(items.append, new)
        tables = site.tables.digests[cluster]
        plants[f"database-{cluster}", "table public.t3"] = partial(
            tables.update, {"public.t3": "2"}
        )
    return plants


_LISTS = {
    "accounts": "account",
    "businessUnits": "business unit",
    "sites": "site",
    "routes": "route",
    "applications": "application",
    "certificates": "certificate",
    "subscriptions": "subscription",
}


def _called(item: dict[str, Any]) -> str:
    if "name" not in item:
        return f"{item['folder']} (account a)"
    return f"{item['name']} (type SIMPLE)" if "type" in item else str(item["name"])


async def test_fifty_of_fifty_changes_are_reported_within_a_minute(watching: Watch) -> None:
    """Options, lists, files and tables, on both sides; each once, where it is, by its name."""
    plants = planted(watching.site)
    assert len(plants) == 50
    expected = list(plants)
    for wave in range(0, 50, 10):
        begun = datetime.now(UTC)
        for place in expected[wave : wave + 10]:
            plants[place]()
        missing = set(expected[wave : wave + 10])
        while missing:
            report = await watching.news()
            missing -= {change.key for change in report.changes}
        late = datetime.now(UTC) - begun
        assert late + Timing().configuration_interval < ALLOWED
    assert sorted(change.key for change in watching.record.changes) == sorted(expected)
    assert len(watching.record.model_dump_json()) < 100_000
    await watching.stays_quiet()


async def test_the_audit_log_says_who_and_when(watching: Watch) -> None:
    """Of what differs, and of what no list shows; older entries are no news."""
    api = watching.site.api
    api.audit = [audited("Account", "accounts1", userName="earlier")]
    await watching.changes()
    watching.record = watching.record.model_copy(update={"changes": ()})
    api.options[0] = {"name": "Ssh.Port", "values": ["22"]}
    api.audit[:0] = [
        audited("ServerConfigurationParameter", "Ssh.Port"),
        audited("MailTemplate", "welcome", "CREATE", userName="mallory"),
    ]
    report = await watching.news()
    found = {(c.place, c.item): (c.what, c.by, c.at is not None) for c in report.changes}
    assert found == {
        (SERVER, "option Ssh.Port"): ("changed", "eve", True),
        (SERVER, "MailTemplate welcome"): ("added", "mallory", True),
    }
    await watching.stays_quiet()


async def test_an_author_that_is_known_later_is_added(watching: Watch) -> None:
    """The log is written a moment after the change: the change is listed once."""
    watching.site.api.lists["routes"][3]["note"] = "planted"
    await watching.news()
    found = [(c.item, c.by) for c in watching.record.changes]
    assert found == [("route routes3 (type SIMPLE)", "")]
    watching.site.api.audit = [audited("Route", "routes3")]
    await watching.news()
    found = [(c.item, c.by) for c in watching.record.changes]
    assert found == [("route routes3 (type SIMPLE)", "eve")]


async def test_what_a_login_changes_is_no_change(watching: Watch) -> None:
    """An account's last login, and what the estate says it ignores."""
    watching.ignored = ("table public.login*", "option Other.?")
    account = watching.site.api.lists["accounts"][0]
    account |= {"user": {"lastLogin": "today", "failedAuthAttempts": 3}}
    await watching.changes()
    watching.record = watching.record.model_copy(update={"changes": ()})
    account["user"] |= {"lastLogin": "tomorrow", "failedAuthAttempts": 0}
    watching.site.tables.digests["cluster1"] |= {"public.logins": "1"}
    watching.site.api.options[4] = {"name": "Other.0", "values": ["planted"]}
    await watching.stays_quiet()


def test_local_and_encrypted_options_are_left_out() -> None:
    """Local ones differ by design, and one secret may be encrypted anew."""
    given: list[dict[str, Any]] = [
        {"name": "a", "values": ["1"]},
        {"name": "own", "values": ["1"], "isLocal": True},
        {"name": "secret", "values": ["1"], "encrypted": True},
    ]
    assert list(shared_options(given, SERVER)) == ["a"]


async def test_a_dark_cluster_is_not_read(watching: Watch) -> None:
    """Nothing is asked there, and nothing is reported of it."""
    watching.dark = ("cluster1",)
    api, target = watching.site.api, watching.site.target
    api.asked.clear()
    for each in (api, target):
        each.options[0] = {"name": "Ssh.Port", "values": ["22"]}
    report = await watching.news()
    assert [change.place for change in report.changes] == ["cluster2-server1"]
    assert api.asked == []
    assert report.unread == {}


async def test_a_place_that_cannot_be_read_is_said_once(watching: Watch) -> None:
    """After several readings, once; what was changed meanwhile is reported when it answers."""
    site = watching.site
    site.tables.silent = True
    report = await watching.news()
    assert {place: "does not answer" in why for place, why in report.unread.items()} == {
        "database-cluster1": True,
        "database-cluster2": True,
    }
    assert report.changes == ()
    await watching.stays_quiet()
    site.tables.digests["cluster1"] |= {"public.t1": "2"}
    site.tables.silent = False
    report = await watching.news()
    assert list(map(str, report.changes)) == ["database-cluster1: table public.t1 changed"]
    assert report.unread == {}


async def test_a_single_dropout_is_no_news(watching: Watch) -> None:
    """The admin API drops out while services start or stop."""
    watching.site.api.fails = [500] * 4
    await watching.stays_quiet()


async def test_another_worker_names_what_changed_before_it_came(
    watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the digests of the record alone, and the names of now."""
    monkeypatch.setattr(watching.site.port, "_memory", ItemMemory())
    watching.site.api.options[0] = {"name": "Ssh.Port", "values": ["22"]}
    (Path(watching.site.one.nodes[0].filedrivehome) / "conf/3.xml").write_text("planted")
    del watching.site.api.lists["sites"][4]
    found = await watching.changes()
    assert f"{SERVER}: file conf/3.xml changed" in found
    assert any("option " in one and "Ssh.Port" in one for one in found)
    assert any("site" in one for one in found)
    assert len(found) == 3


async def test_a_record_lists_so_many_changes_and_no_more(watching: Watch) -> None:
    """A record that is full stays as it is: the watch goes on, and says nothing more."""
    options = watching.site.api.options
    options[4:] = [{"name": f"Other.{n}", "values": ["planted"]} for n in range(150)]
    await watching.news()
    assert len(watching.record.changes) == MAX_CHANGES
    assert watching.record.is_full
    options[0] = {"name": "Ssh.Port", "values": ["22"]}
    await watching.stays_quiet()


async def test_a_long_list_is_watched_by_its_number(
    watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand accounts cannot be read every few seconds."""
    monkeypatch.setattr("activities.configuration.state.MAX_NAMES", 5)
    accounts = watching.site.api.lists["accounts"]
    accounts += [{"name": f"more{n}"} for n in range(150)]
    await watching.changes()
    watching.record = watching.record.model_copy(update={"changes": ()})
    accounts.append({"name": "one more"})
    assert await watching.changes() == {f"{SERVER}: account (their number) changed"}


async def test_a_list_that_becomes_too_long_has_lost_nothing(
    watching: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on its number is watched; that nobody has compared the names is said."""
    monkeypatch.setattr("activities.configuration.state.MAX_NAMES", 10)
    watching.site.api.page_size = 4
    accounts = watching.site.api.lists["accounts"]
    accounts.append({"name": "one more"})
    assert await watching.changes() == set()
    [gap] = watching.record.gaps
    assert gap.startswith(f"{SERVER}: account number not read before ")
    accounts.append({"name": "another"})
    assert await watching.changes() == {f"{SERVER}: account (their number) changed"}


async def test_an_item_that_is_added_while_its_list_is_read_is_named(watching: Watch) -> None:
    """A list's number and its pages are read one after the other; nothing else has changed."""

    class Growing(list[dict[str, Any]]):
        """Grows once a page was read."""

        def __iter__(self) -> Iterator[dict[str, Any]]:
            yield from tuple(super().__iter__())
            if len(self) == GROWS_AT:
                self.append({"id": "added", "name": "added"})

    watching.site.api.page_size = 4
    watching.site.api.lists["accounts"] = Growing(watching.site.api.lists["accounts"])
    assert await watching.changes() == {f"{SERVER}: account added added"}


async def test_a_version_without_an_audit_log_is_watched(watching: Watch) -> None:
    """Then nobody says by whom."""
    for api in watching.site.apis.values():
        api.audit = None
    watching.site.api.options[0] = {"name": "Ssh.Port", "values": ["22"]}
    report = await watching.news()
    assert list(map(str, report.changes)) == [f"{SERVER}: option Ssh.Port changed"]


def test_a_record_of_a_large_estate_fits_into_history() -> None:
    """Forty Servers and forty Edges a side, and a thousand options each."""
    items = {f"Option.{n}": "0" * 16 for n in range(1000)}
    parts = 2 * (41 + 7 + 80 + 1)
    part = digested(items, bucket_count(parts))
    whole = ConfigurationRecord(parts={f"cluster1-server{n} option": part for n in range(parts)})
    assert len(whole.model_dump_json()) < 80_000


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({"a": "1", "b": "1"}, ()),
        ({"a": "2", "b": "1"}, (("file a", "changed"),)),
        ({"b": "1"}, (("file a", "removed"),)),
        ({"a": "1", "b": "1", "c": "1"}, (("file c", "added"),)),
    ],
)
def test_items_that_are_remembered_are_named_exactly(
    now: dict[str, str], found: tuple[tuple[str, str], ...]
) -> None:
    """By the worker that has read them before."""
    before, memory = {"a": "1", "b": "1"}, ItemMemory()
    part = digested(before, 4)
    memory.remember(part, before)
    assert memory.differences(part, "file", now) == found


def test_a_change_is_listed_once_with_its_author() -> None:
    """A second report of the same thing only adds who made it."""
    first = ConfigurationChange(
        place=SERVER, item="option a", what="changed", seen_at=datetime.now(UTC)
    )
    again = first.model_copy(update={"by": "eve", "what": "removed"})
    at = datetime.now(UTC)
    record = ConfigurationRecord()
    for change in (first, again, again.model_copy(update={"by": "ann"})):
        record = record.after(ConfigurationReport(at=at, changes=(change,)))
    assert record.changes == (first.model_copy(update={"by": "eve"}),)


def test_a_watch_tolerates_as_many_failed_readings_as_a_restart_takes() -> None:
    """A place is said to be unread after a minute, as the promise is for changes."""
    assert watch.UNREAD_READINGS * Timing().configuration_interval <= ALLOWED
