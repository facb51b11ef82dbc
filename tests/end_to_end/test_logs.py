"""What both clusters of the whole lab have recorded, before and after a switchover."""

import json
import uuid
from datetime import UTC, datetime, timedelta

import psycopg

from lab.layout import ESTATE
from tests.support.console import Operator
from tests.support.whole_lab import House
from workflows.model.outcome import Outcome
from workflows.model.results import Report


def report_of(outcome: Outcome, kind: str) -> Report:
    """Return the one report of an action of this kind."""
    reports = [report for stage in outcome.stages for report in stage.reports]
    [found] = [report for report in reports if report.action.startswith(f"{kind}.")]
    return found


async def test_both_sides_are_shown_while_they_are_up_and_a_dark_one_is_said(house: House) -> None:
    """The report counts what the source recorded last; later, only the target can be read."""
    operator = Operator(house.address)
    begun = datetime.now(UTC) - timedelta(minutes=1)
    span = ("logs", ESTATE, "--from", begun.isoformat(), "--format", "json")
    for cluster in house.lab.layout.clusters:
        async with await psycopg.AsyncConnection.connect(cluster.dsn) as connection:
            await connection.execute(
                "INSERT INTO transferdata (id, account, path, protocol, direction, status, started)"
                " VALUES (%s, 'partner001', %s, 'ssh', 'upload', 'Processed', now())",
                (uuid.uuid4(), f"{cluster.name}.dat"),
            )
    async with house.worker() as worker:
        await worker.says("ready: worker on task queue switchover")
        seen = await operator.types(*span, "--file", "cluster*.dat")
        assert (seen.code, seen.err) == (0, "")
        shown = [json.loads(line) for line in seen.out.splitlines()]
        assert sorted((one["side"], one["what"], one["state"]) for one in shown) == [
            (side, f"{side}.dat", "incoming ssh: Processed") for side in ("cluster1", "cluster2")
        ]
        await house.start(reason="a test")
        outcome = await house.outcome()
        dark = await operator.types(*span)
    assert outcome.outcome == "completed"
    counted, left = (report_of(outcome, k) for k in ("count_records", "find_unfinished_work"))
    assert counted.message.startswith("cluster1 has recorded no transfers and no audit entries")
    assert left.message.startswith("no queued events and no open transfers, as cluster1-server1")
    assert counted.findings == left.findings == outcome.findings == ()
    assert dark.code == 1
    assert "this is not complete; cluster1, audit records: cluster1-server1: " in dark.err
    assert {json.loads(line)["side"] for line in dark.out.splitlines()} == {"cluster2"}
