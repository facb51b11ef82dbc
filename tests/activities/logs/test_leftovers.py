"""What a source has recorded since the redirect, and what it leaves behind; nothing is guessed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.logs import counting, pages, unfinished
from activities.logs.activities import LogActivities
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.support.admin_api import Api
from tests.support.ssh_machines import SECRETS, Attempt, Executor, input_for
from workflows.model import actions
from workflows.model.estate import Node
from workflows.model.findings import Severity
from workflows.model.results import Report
from workflows.ports.logs import RecordsInput

COUNT = actions.CountRecords(node="server1", cluster="cluster1")
FIND = actions.FindUnfinishedWork(node="server1")
SECOND = timedelta(seconds=1)
NOW = datetime.now(UTC).replace(microsecond=0)
REDIRECT = NOW - timedelta(minutes=10)


@pytest.fixture
def activities(shell: Shell) -> LogActivities:
    """The activities; they need no estate file here."""
    return LogActivities(AdminClient(shell, SECRETS), Path("/nowhere"))


@pytest.fixture
def execute(activities: LogActivities, server: Node) -> Executor:
    """Execute actions on the Server."""
    return Executor(activities, server)


async def counted(
    activities: LogActivities, node: Node, redirected_at: datetime | None = REDIRECT
) -> Report:
    """Count what was recorded since the redirect."""
    given: RecordsInput[actions.CountRecords] = RecordsInput(
        **dict(input_for(node, COUNT)), redirected_at=redirected_at
    )
    return await Attempt().run(activities.count_records, given)


async def test_records_since_the_redirect_are_counted_by_kind(
    activities: LogActivities, server: Node, api: Api
) -> None:
    """With the first and the last of each; what was recorded before does not count."""
    for number, seconds in enumerate((-60, 0, 20, 300)):
        api.logs.add_transfer(number, REDIRECT + seconds * SECOND)
    api.logs.add_audit(1, REDIRECT + 5 * SECOND)
    report = await counted(activities, server)
    at = f"{REDIRECT:%Y-%m-%d %H:%M:%S}"
    last, audit = (f"{REDIRECT + s * SECOND:%Y-%m-%d %H:%M:%S}" for s in (300, 5))
    first = audit[:10] if audit[:10] == last[:10] else ""
    until = last.removeprefix(f"{first} ")
    assert report.outcome == "seen"
    assert report.findings == ()
    assert report.message == (
        f"cluster1 has recorded 3 transfers ({at} to {until} UTC) and 1 audit entry "
        f"({audit} to {audit[11:]} UTC) since the redirect ({at} UTC)"
    )


async def test_nothing_recorded_is_said(activities: LogActivities, server: Node, api: Api) -> None:
    """An empty list that was read is nothing."""
    report = await counted(activities, server)
    assert "has recorded no transfers and no audit entries since" in report.message
    assert api.asked == ["GET /logs/transfers", "GET /logs/audit"]


async def test_what_cannot_be_counted_is_a_warning_and_not_nothing(
    activities: LogActivities, server: Node, api: Api
) -> None:
    """The other kind is counted all the same."""
    api.fails = [403]
    api.logs.add_audit(1, NOW - SECOND)
    report = await counted(activities, server)
    assert "an unknown number of transfers and 1 audit entry" in report.message
    [finding] = report.findings
    assert (finding.name, finding.severity) == ("records_unread", Severity.WARNS)
    assert finding.seen.startswith("transfers could not be read: the admin API refused")


async def test_an_api_that_sorts_wrongly_gives_no_count(
    activities: LogActivities, server: Node, api: Api
) -> None:
    """What lies before the redirect could not be told from what lies behind it."""
    api.logs.ignored = {"sortByStartTime"}
    for number in (2, 1):
        api.logs.add_transfer(number, REDIRECT + number * SECOND)
    report = await counted(activities, server)
    assert [finding.name for finding in report.findings] == ["records_unread"]
    assert "an unknown number of transfers" in report.message


async def test_very_many_records_are_not_counted_to_the_end(
    activities: LogActivities, server: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that was not reached is not stated as if it were."""
    monkeypatch.setattr(pages, "PAGE_SIZE", 5)
    monkeypatch.setattr(counting, "MAX_COUNTED", 8)
    for number in range(30):
        api.logs.add_transfer(number, REDIRECT + number * SECOND)
    report = await counted(activities, server)
    assert "at least 10 transfers (" in report.message


async def test_without_a_redirect_nothing_is_counted(
    activities: LogActivities, server: Node, api: Api
) -> None:
    """An operator may have skipped it; then nobody knows since when to count."""
    report = await counted(activities, server, None)
    assert [finding.name for finding in report.findings] == ["records_unread"]
    assert api.asked == []


async def test_nothing_unfinished(execute: Executor, api: Api) -> None:
    """A queue that was read and is empty, and transfers that have all ended."""
    api.logs.add_transfer(1, NOW)
    report = await execute(FIND)
    assert report.findings == ()
    assert report.message == "no queued events and no open transfers, as server1 sees it"
    assert sorted(api.asked) == ["GET /events", "GET /logs/transfers", "GET /logs/transfers"]


async def test_queued_events_and_open_transfers_are_findings_that_warn(
    execute: Executor, api: Api
) -> None:
    """Each is named, so that someone can look for it."""
    api.events = [{"id": "0x1", "accountName": "partner001", "fullTarget": "/in/1.dat"}]
    api.logs.add_transfer(1, NOW - 900 * SECOND, status="In Progress")
    api.logs.add_transfer(2, NOW)
    report = await execute(FIND)
    assert report.message == "1 queued event and 1 open transfer, as server1 sees it"
    assert [(f.name, f.place, f.severity) for f in report.findings] == [
        ("event_left", "server1", Severity.WARNS),
        ("transfer_open", "server1", Severity.WARNS),
    ]
    event, transfer = report.findings
    assert "partner001" in event.seen
    assert "/in/1.dat" in event.seen
    assert "filename /in/1.dat" in transfer.seen
    assert "startTime" in transfer.seen


async def test_an_open_transfer_is_found_without_the_filter(execute: Executor, api: Api) -> None:
    """The API may take another word for this status, and then finds nothing at all."""
    api.logs.add_transfer(1, NOW, status="IN PROGRESS")
    report = await execute(FIND)
    assert [finding.name for finding in report.findings] == ["transfer_open"]


async def test_an_api_that_ignores_the_filter_leaves_open_transfers_unknown(
    execute: Executor, api: Api
) -> None:
    """An old transfer may be open far down in a list that cannot be read whole."""
    api.logs.ignored = {"status"}
    api.logs.add_transfer(1, NOW)
    report = await execute(FIND)
    assert report.message == (
        "no queued events and an unknown number of open transfers, as server1 sees it"
    )
    assert [finding.name for finding in report.findings] == ["records_unread"]


async def test_of_very_many_the_first_are_named_and_all_are_counted(
    execute: Executor, api: Api
) -> None:
    """A report goes into history."""
    api.events = [f"0x{number}" for number in range(150)]
    report = await execute(FIND)
    assert report.message.startswith("150 queued events")
    assert len(report.findings) == unfinished.MAX_NAMED + 1
    assert report.findings[-1].seen == "130 more events"


async def test_what_cannot_be_read_does_not_fail_the_run(execute: Executor, api: Api) -> None:
    """At this point of a switchover nobody is asked for a list."""
    api.fails = [403, 403]
    report = await execute(FIND)
    assert [finding.name for finding in report.findings] == ["records_unread"] * 2
    assert report.message.startswith("an unknown number of queued events and an unknown number")
