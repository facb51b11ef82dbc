"""The parts of the round trips: what is compared in the end, and which results are bad."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from lab.access import shell
from lab.campaigns.results import NUMBERS
from lab.campaigns.round_trips import writes
from lab.campaigns.round_trips.campaign import RoundTrips, TripsState
from lab.campaigns.round_trips.comparison import Comparison, compare
from lab.campaigns.round_trips.footprint import Growth, measure
from lab.campaigns.round_trips.trip import LegResult, TripResult
from lab.campaigns.state import StateFile
from lab.checker.legs import LEGS, ROUND_TRIP
from lab.environment.lab import Lab
from lab.environment.situation import BASELINE, SWITCHED_OUT
from lab.layout import USUAL_DRIVERS

NO_GROWTH = Growth((), 0, (), 40, 9000, 10**6)


def leg_results() -> list[LegResult]:
    """Four runs without a problem."""
    numbers = dict.fromkeys(NUMBERS, 1)
    return [LegResult(str(leg), leg.procedure, "completed", 9.0, numbers, []) for leg in ROUND_TRIP]


def trip(number: int = 1) -> TripResult:
    """A round trip without a problem."""
    return TripResult(
        number, leg_results(), 12, 12, comparison=Comparison(8, 600, [], 90), growth=NO_GROWTH
    )


def test_each_leg_begins_where_the_last_one_ended() -> None:
    """And the last one ends at the baseline."""
    assert ROUND_TRIP[0].before == BASELINE
    assert [leg.after for leg in ROUND_TRIP[:-1]] == [leg.before for leg in ROUND_TRIP[1:]]
    assert ROUND_TRIP[-1].after == BASELINE
    assert LEGS["rejoin"].before == SWITCHED_OUT


WRONG: dict[str, Callable[[TripResult], TripResult]] = {
    "switchover from cluster1 to cluster2: traffic: 1 failed": lambda t: replace(
        t, legs=[replace(t.legs[0], problems=["traffic: 1 failed"]), *t.legs[1:]]
    ),
    "1 runs were not made": lambda t: replace(t, legs=t.legs[:3]),
    "11 of 12 rows were brought over": lambda t: replace(t, brought_over=11),
    "no row was written": lambda t: replace(t, written=0, brought_over=0),
    "Freeze freeze-lab is still open": lambda t: replace(t, open_runs=["Freeze freeze-lab"]),
    "cluster1-edge1: runs nothing": lambda t: replace(
        t, differences=["cluster1-edge1: runs nothing"]
    ),
    "1 rows differ: account: (x)": lambda t: replace(
        t, comparison=Comparison(8, 600, ["account: (x)"], 90)
    ),
    "1 files differ": lambda t: replace(t, comparison=Comparison(8, 600, [], 90, ["done/a"])),
    "rows: none was compared": lambda t: replace(t, comparison=Comparison(8, 0, [], 90)),
    "tables: none was compared": lambda t: replace(t, comparison=Comparison(0, 600, [], 90)),
    "files: none was compared": lambda t: replace(t, comparison=Comparison(8, 600, [], 0)),
    "the estate was not compared": lambda t: replace(t, comparison=None),
    "replication slots are left: x": lambda t: replace(t, growth=replace(NO_GROWTH, slots=("x",))),
    "2 processes more": lambda t: replace(t, growth=replace(NO_GROWTH, processes=2)),
    "1 files are left": lambda t: replace(t, growth=replace(NO_GROWTH, files=("tmp/x",))),
}


@pytest.mark.parametrize("problem", WRONG)
def test_what_is_wrong_with_a_round_trip_is_a_problem(problem: str) -> None:
    """Whatever was not equal, not done, left behind or not measured."""
    assert trip().problems() == []
    assert any(problem in one for one in WRONG[problem](trip()).problems())


def test_an_interrupted_campaign_makes_the_round_trips_that_remain(tmp_path: Path) -> None:
    """Those of another option begin anew; one that was not made is a problem."""
    result = tmp_path / "r.json"
    StateFile[TripsState](result, (3, "if_started", False, USUAL_DRIVERS)).save(
        TripsState(20.0, [trip(1)])
    )

    resumed = RoundTrips(3, 2, result)
    assert resumed.labs == 2
    assert resumed.next_case() == 2
    assert list(resumed.problems()) == ["1 of 3 round trips were made"]
    assert resumed.as_json()["completed"] == 4
    assert RoundTrips(3, 2, result, "always").next_case() == 1
    assert RoundTrips(3, 2, result, proven=True).next_case() == 1


async def test_a_baseline_is_equal_on_both_sides_and_a_difference_is_found(whole_lab: Lab) -> None:
    """Row by row, and byte by byte."""
    one, two = whole_lab.layout.clusters
    for cluster in (one, two):
        (cluster.storage / "done/file").write_text("whole")
    equal = await compare(whole_lab.layout)
    assert equal.different_rows == equal.different_files == list(equal.problems()) == []
    assert equal.rows > 400

    await whole_lab.reset(SWITCHED_OUT)
    await whole_lab.storage.stop()
    written = await writes.write(two, "test")
    (one.storage / "done/file").write_text("whole")
    found = await compare(whole_lab.layout)
    assert any("housekeeping test" in row for row in found.different_rows)
    assert found.different_files == ["done/file"]
    assert len(written) == 1 + writes.INSERTED
    assert await writes.brought_over(two, written) == len(written)
    assert await writes.brought_over(one, written) == 0


async def test_what_is_left_behind_is_found(whole_lab: Lab) -> None:
    """A slot, a process of a machine, and a file on it; the ledger is measured by itself."""
    start = await measure(whole_lab)
    node = whole_lab.layout.nodes[0]
    (node.ledger / "claims").mkdir(parents=True)
    (node.ledger / "claims/one").write_text("claimed")
    (node.root / "run/left").write_text("x")
    async with shell(whole_lab.layout, node.name) as connection:
        await connection.run("setsid sleep 600 >/dev/null 2>&1 </dev/null &", check=True)
    dsn = whole_lab.layout.clusters[0].dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as database:
        await database.execute("SELECT pg_create_physical_replication_slot('left')")
        growth = Growth.between(start, await measure(whole_lab, start.processes + 1))
        await database.execute("SELECT pg_drop_replication_slot('left')")

    assert growth.slots == ("database1 left",)
    assert growth.files == (f"machines/{node.name}/run/left",)
    assert growth.processes == 1
    assert (growth.ledger_files, growth.ledger_bytes) == (1, len("claimed"))
    assert len(list(growth.problems())) == 3
