"""Pages of records: in the sequence of time, each record once, whatever happens meanwhile."""

from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest

from activities.logs import pages
from activities.securetransport.admin_requests import BASE
from tests.activities.logs.conftest import NOON, Sides
from workflows.errors import BadInput
from workflows.model.logs import MAX_TAIL, RecordKind

SECOND = timedelta(seconds=1)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> int:
    """Ask for a few records at a time."""
    monkeypatch.setattr(pages, "PAGE_SIZE", 10)
    return 10


async def test_transfers_come_by_time_with_account_file_and_status(sides: Sides) -> None:
    """The API has no sequence of its own: it is asked for."""
    logs = sides.apis["cluster1-server1"].logs
    logs.add_transfer(2, NOON + 2 * SECOND, incoming=False, status="Failed")
    logs.add_transfer(1, NOON + SECOND)
    records = await sides.read()
    assert [(r.at, r.side, r.kind, r.who, r.what, r.state) for r in records] == [
        (NOON + s * SECOND, "cluster1", "transfer", "partner001", f"/in/{s}.dat", state)
        for s, state in ((1, "incoming ssh: Processed"), (2, "outgoing ssh: Failed"))
    ]


async def test_audit_entries_come_by_time_with_user_object_and_operation(sides: Sides) -> None:
    """The API shows the newest first."""
    logs = sides.apis["cluster2-server1"].logs
    for number in (1, 2):
        logs.add_audit(number, NOON + number * SECOND)
    records = await sides.read(side=2, kind="audit")
    assert [(r.at, r.side, r.kind, r.who, r.what, r.state) for r in records] == [
        (NOON + n * SECOND, "cluster2", "audit", "admin", "Account partner001", "UPDATE")
        for n in (1, 2)
    ]


@pytest.mark.parametrize("kind", RecordKind)
@pytest.mark.parametrize("api_page", [100, 7])
async def test_all_pages_together_are_the_list(
    sides: Sides, small_pages: int, kind: RecordKind, api_page: int
) -> None:
    """Each record once, also where many have the same second, or the API shows fewer than asked."""
    api = sides.apis["cluster1-server1"]
    api.page_size = api_page
    for number in range(5 * small_pages + 3):
        at = NOON + (number // 20) * SECOND
        (api.logs.add_transfer if kind is RecordKind.TRANSFER else api.logs.add_audit)(number, at)
    records = await sides.read(kind=kind)
    assert len(records) == 5 * small_pages + 3
    assert [r.at for r in records] == sorted(r.at for r in records)
    if kind is RecordKind.TRANSFER:
        assert len({r.what for r in records}) == len(records)


async def test_both_moments_are_included_and_nothing_besides(sides: Sides) -> None:
    """Also where the API ignores the filters of this version, and where it counts in seconds."""
    for name, ignored in (("cluster1-server1", set()), ("cluster2-server1", {"startTimeAfter"})):
        logs = sides.apis[name].logs
        logs.ignored = {*ignored, "fromDate", "endDate"} if ignored else set()
        for number in (-2, -1, 0, 1, 2, 3):
            logs.add_transfer(number, NOON + number * SECOND)
            logs.add_audit(number, NOON + number * SECOND)
    for side in (1, 2):
        for kind in RecordKind:
            found = await sides.read(
                side=side, kind=kind, since=NOON - SECOND, until=NOON + 2 * SECOND
            )
            assert [r.at for r in found] == [NOON + n * SECOND for n in (-1, 0, 1, 2)]


@pytest.mark.parametrize("kind", RecordKind)
async def test_records_that_are_added_meanwhile_shift_nothing(
    sides: Sides, small_pages: int, kind: RecordKind
) -> None:
    """Neither new ones nor a late one with an earlier time; old ones that go are no harm either."""
    logs = sides.apis["cluster1-server1"].logs
    add = logs.add_transfer if kind is RecordKind.TRANSFER else logs.add_audit
    for number in range(3 * small_pages):
        add(number, NOON + number * SECOND)
    first = await sides.page(kind=kind)
    add(100, NOON)
    add(101, NOON + 100 * SECOND)
    rest = await sides.read(kind=kind, after=first.next)
    seconds = [(r.at - NOON).seconds for r in (*first.records, *rest)]
    assert seconds == [*range(3 * small_pages), 100]
    del (logs.transfers if kind is RecordKind.TRANSFER else logs.audit)[:3]
    assert await sides.read(kind=kind, after=first.next) == rest


@pytest.mark.parametrize("kind", RecordKind)
async def test_a_list_that_lost_its_place_is_not_read_on(
    sides: Sides, small_pages: int, kind: RecordKind
) -> None:
    """A page more or less would go unnoticed: so it is said that the rest was not read."""
    logs = sides.apis["cluster1-server1"].logs
    for number in range(60):
        logs.add_transfer(number, NOON + number * SECOND)
        logs.add_audit(number, NOON + number * SECOND)
    first = await sides.page(kind=kind)
    del logs.transfers[: small_pages + MAX_TAIL], logs.audit[: small_pages + MAX_TAIL]
    sides.apis["cluster1-server2"].logs = logs
    page = await sides.page(kind=kind, after=first.next)
    assert page.records == ()
    assert page.next is None
    assert page.unread is not None
    assert "changed while it was read" in page.unread


async def test_a_list_in_another_sequence_is_refused(sides: Sides) -> None:
    """An API that does not sort would give an order that is none."""
    for name in ("cluster1-server1", "cluster1-server2"):
        logs = sides.apis[name].logs
        logs.ignored = {"sortByStartTime"}
        for number in (2, 1):
            logs.add_transfer(number, NOON + number * SECOND)
    page = await sides.page()
    assert "does not come in the sequence of time" in str(page.unread)


async def test_a_list_that_comes_in_another_sequence_each_time_is_refused(
    sides: Sides, small_pages: int
) -> None:
    """Records of one second that change places would be read twice, and others never."""
    logs = sides.apis["cluster1-server1"].logs
    sides.apis["cluster1-server2"].logs = logs
    for number in range(3 * small_pages):
        logs.add_transfer(number, NOON)
    first = await sides.page()
    logs.transfers[7], logs.transfers[15] = logs.transfers[15], logs.transfers[7]
    page = await sides.page(after=first.next)
    assert "in another sequence each time" in str(page.unread)


async def test_a_record_without_a_time_is_not_passed_over(sides: Sides) -> None:
    """Nobody knows where it belongs."""
    for name in ("cluster1-server1", "cluster1-server2"):
        sides.apis[name].lists = {"logs/transfers": [{"id": "1", "startTime": "yesterday"}]}
    assert "time cannot be read" in str((await sides.page()).unread)


async def test_a_list_that_shows_less_than_it_counts_is_not_complete(sides: Sides) -> None:
    """An empty page is no end."""
    for name in ("cluster1-server1", "cluster1-server2"):
        sides.apis[name].page_size = 0
        sides.apis[name].logs.add_transfer(1, NOON)
        sides.apis[name].logs.add_audit(1, NOON)
    assert "shows 0 of 1" in str((await sides.page()).unread)
    assert "changes faster" in str((await sides.page(kind="audit")).unread)


async def test_a_long_page_is_cut_and_read_on(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes into history, so it is bounded in bytes, too."""
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 2000)
    logs = sides.apis["cluster1-server1"].logs
    for number in range(20):
        logs.add_transfer(number, NOON, filename=f"/{'long/' * 100}{number}")
    page = await sides.page()
    assert len(page.model_dump_json()) < 2500
    assert 0 < len(page.records) < 20
    assert len(await sides.read()) == 20


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"account": "PARTNER001"}, {"t1", "t3", "a1", "a3"}),
        ({"account": "partner*"}, {"t1", "t2", "t3", "a1", "a2", "a3"}),
        ({"account": "admin"}, {"a1", "a2"}),
        ({"file": "3.dat"}, {"t3"}),
        ({"file": "/in/*"}, {"t1", "t2", "t3"}),
        ({"file": "*.DAT"}, set()),
        ({"file": "1.dat", "account": "partner002"}, set()),
    ],
)
@pytest.mark.parametrize("ignored", [set(), {"account"}])
async def test_records_of_an_account_or_a_file(
    sides: Sides, wanted: dict[str, str], found: set[str], ignored: set[str]
) -> None:
    """The same whether the API filters or not; an audit entry is of who made it, and of whom."""
    logs = sides.apis["cluster1-server1"].logs
    logs.ignored = ignored
    for number, account in ((1, "partner001"), (2, "partner002"), (3, "Partner001")):
        logs.add_transfer(number, NOON + number * SECOND, account=account)
        user = account if number == 3 else "admin"
        logs.add_audit(number, NOON + number * SECOND, objectName=account, userName=user)
    seen = {
        f"{kind[0]}{(record.at - NOON).seconds}"
        for kind in RecordKind
        for record in await sides.read(kind=kind, **wanted)
    }
    assert seen == found


async def test_what_is_asked(sides: Sides) -> None:
    """Dates as the API reads them, wide enough for its whole seconds; an account by its filter."""
    api = sides.apis["cluster1-server1"]
    await sides.read(account="partner 1", since=NOON + SECOND / 2)
    await sides.read(kind="audit")
    begin = quote(format_datetime(NOON - SECOND), safe=",")
    end = quote(format_datetime(NOON + timedelta(hours=1, seconds=2)), safe=",")
    sequence = f"sortByStartTime=ascending&startTimeAfter={begin}&account=partner%201"
    assert api.targets == [
        f"GET {BASE}/logs/transfers?{sequence}&limit=1000&offset=0",
        f"GET {BASE}/logs/audit?fromDate={begin}&endDate={end}&limit=1&fields=id",
    ]


async def test_a_server_that_does_not_answer_is_replaced_by_another(sides: Sides) -> None:
    """Both read the same database; the page says who answered, and that one is asked next."""
    sides.apis["cluster1-server1"].fails = [403]
    sides.apis["cluster1-server2"].logs.add_transfer(1, NOON)
    [record] = await sides.read()
    assert record.what == "/in/1.dat"
    assert sides.apis["cluster1-server2"].asked == ["GET /logs/transfers"]


async def test_the_server_that_answered_is_asked_again(sides: Sides, small_pages: int) -> None:
    """Another one might list records of one second in another sequence."""
    sides.apis["cluster1-server1"].fails = [403]
    for number in range(3 * small_pages):
        sides.apis["cluster1-server2"].logs.add_transfer(number, NOON)
    assert len(await sides.read()) == 3 * small_pages
    assert sides.apis["cluster1-server1"].asked == ["GET /logs/transfers"]


async def test_a_dark_cluster_is_said_not_taken_for_an_empty_one(sides: Sides) -> None:
    """Every Server is named with what is the matter."""
    for name in ("cluster2-server1", "cluster2-server2"):
        sides.apis[name].fails = [403] * 9
    page = await sides.page(side=2)
    assert page.side == "cluster2"
    assert page.records == ()
    assert "cluster2-server1: the admin API refused" in str(page.unread)
    assert "cluster2-server2: the admin API refused" in str(page.unread)


async def test_only_estates_of_this_worker_are_read(sides: Sides) -> None:
    """A query names an estate, and no address."""
    with pytest.raises(BadInput, match="there is no estate elsewhere"):
        await sides.page(estate="elsewhere")
