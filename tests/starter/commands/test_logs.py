"""`switchover logs`: both sides by time, whole or said not to be."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.worker import Worker

from starter.commands.logs import moment
from tests.support.console import Operator
from tests.support.fake_activities import FakeActivities
from workflows.model.logs import LogRecord, RecordKind

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
FROM = ("--from", "2026-11-27T11:00:00Z")
SPAN = (*FROM, "--to", "2026-11-27T13:00:00+00:00")


@pytest.fixture
def records(fakes: FakeActivities) -> list[LogRecord]:
    """Records of all four lists, by time; several in the same second."""
    fakes.records = [
        LogRecord(
            at=NOON + timedelta(seconds=number // 3),
            side=f"cluster{1 + number % 2}",
            kind=RecordKind.AUDIT if number % 5 == 0 else RecordKind.TRANSFER,
            who="partner001",
            what=f"/in/{number}.dat",
            state="incoming ssh: Processed",
        )
        for number in range(31)
    ]
    return fakes.records


async def test_json_lines_are_all_records_by_time(
    operator: Operator, name: str, records: list[LogRecord], worker: Worker
) -> None:
    """Both clusters and both kinds, page after page, each record once and with its side."""
    seen = await operator.types("logs", name, *SPAN, "--format", "json")
    assert (seen.code, seen.err) == (0, "")
    shown = [LogRecord.model_validate_json(line) for line in seen.out.splitlines()]
    assert [record.at for record in shown] == [record.at for record in records]
    assert sorted(shown, key=repr) == sorted(records, key=repr)


async def test_csv_has_a_head_and_every_record(
    operator: Operator, name: str, records: list[LogRecord], worker: Worker
) -> None:
    """A name with a comma or a quote is one field."""
    records[2] = records[2].model_copy(update={"what": 'a "file", 1.dat'})
    seen = await operator.types("logs", name, *SPAN, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(seen.out)))
    assert len(rows) == len(records)
    assert rows[0] == {
        "at": "2026-11-27T12:00:00Z",
        "side": "cluster1",
        "kind": "transfer",
        "who": "partner001",
        "what": 'a "file", 1.dat',
        "state": "incoming ssh: Processed",
    }


async def test_a_table_has_one_head_and_the_side_of_each_record(
    operator: Operator, name: str, records: list[LogRecord], worker: Worker
) -> None:
    """One line each."""
    seen = await operator.types("logs", name, *SPAN)
    head, *lines = seen.out.splitlines()
    assert head.split() == ["time", "(UTC)", "side", "kind", "who", "what", "state"]
    assert len(lines) == len(records)
    assert lines[0].split()[:4] == ["2026-11-27", "12:00:00", "cluster1", "transfer"]


async def test_the_query_is_what_was_typed(
    operator: Operator, name: str, fakes: FakeActivities, worker: Worker
) -> None:
    """Account and file are passed on; without --to, everything up to now is shown."""
    before = datetime.now(UTC)
    seen = await operator.types("logs", name, *FROM, "--account", "a*", "--file", "x.dat")
    assert seen.code == 0, seen.message
    assert {(q.side, q.kind.value) for q in fakes.queries} == {
        (side, kind) for side in (1, 2) for kind in ("transfer", "audit")
    }
    for query in fakes.queries:
        assert (query.account, query.file) == ("a*", "x.dat")
        assert query.since == NOON - timedelta(hours=1)
        assert before <= query.until <= datetime.now(UTC)


async def test_a_side_that_could_not_be_read_is_said_and_the_exit_code_is_not_zero(
    operator: Operator, name: str, records: list[LogRecord], fakes: FakeActivities, worker: Worker
) -> None:
    """The other side is shown; nobody may take half a view for the whole."""
    fakes.unread["cluster2"] = "cluster2-server1: HTTPS does not answer"
    fakes.records = [record for record in records if record.side == "cluster1"]
    seen = await operator.types("logs", name, *SPAN, "--format", "json")
    assert seen.code == 1
    assert [json.loads(line)["side"] for line in seen.out.splitlines()] == ["cluster1"] * 16
    assert seen.err.startswith("this is not complete; cluster2, audit records: cluster2-server1")
    assert "cluster2, transfer records: cluster2-server1: HTTPS does not answer" in seen.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--from", "noon"), 2, "--from noon: write a time such as 2026-11-27T02:00:00Z, or"),
        ((*FROM, "--to", "2026-13-01"), 2, "--to 2026-13-01: write a time such as"),
        ((*FROM, "--to", "2026-11-27T11:00:00Z"), 2, "since must be earlier than until"),
        ((*FROM, "--format", "xml"), 2, "xml"),
        ((), 2, "--from"),
    ],
)
async def test_wrong_input(
    operator: Operator, name: str, words: tuple[str, ...], code: int, said: str
) -> None:
    """It is one sentence, before any worker is asked."""
    seen = await operator.types("logs", name, *words)
    assert seen.code == code
    assert said in seen.message


async def test_an_unknown_estate(operator: Operator, worker: Worker) -> None:
    """The worker names those that it has."""
    seen = await operator.types("logs", "elsewhere", *SPAN)
    assert (seen.code, seen.out) == (2, "")
    assert "there is no estate elsewhere" in seen.err


async def test_without_a_worker_it_does_not_hang(operator: Operator, name: str) -> None:
    """It says so."""
    seen = await operator.types("logs", name, *SPAN)
    assert seen.code == 1
    assert "no worker answers" in seen.err


def test_a_time_without_a_zone_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator reads it on the wall."""
    local = datetime(2026, 11, 27, 2).astimezone()
    assert moment("2026-11-27 02:00", "--from") == local
    assert moment(" 2026-11-27T02:00:00Z ", "--from") == datetime(2026, 11, 27, 2, tzinfo=UTC)
