"""The campaign that makes round trips, one after the other on the same estate."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from lab.campaigns.results import NUMBERS, Numbers, by_section, summary
from lab.campaigns.round_trips import writes
from lab.campaigns.round_trips.footprint import Footprint, measure
from lab.campaigns.round_trips.trip import COMPLETED, LegResult, TripResult, make_trip
from lab.campaigns.runner import Campaign, CampaignState
from lab.campaigns.testbed import Settings, TestBed
from lab.checker.legs import ROUND_TRIP
from lab.layout import USUAL_DRIVERS, Drivers
from lab.simulation_options import SchedulingReturns, SimulationOptions
from workflows.model.stages import Procedure

TIMING = {"grace": 4.0, "storage_delay": 0.5}


@dataclass
class TripsState(CampaignState):
    """The results so far."""

    trips: list[TripResult] = field(default_factory=list)

    @property
    def legs(self) -> list[LegResult]:
        """All runs so far."""
        return [leg for trip in self.trips for leg in trip.legs]

    def totals(self) -> Numbers:
        """The numbers of all verdicts together."""
        return Numbers({name: sum(leg.numbers[name] for leg in self.legs) for name in NUMBERS})

    def completed(self, procedure: Procedure) -> int:
        """How many runs of this procedure have completed."""
        return sum((leg.procedure, leg.outcome) == (procedure, COMPLETED) for leg in self.legs)


@dataclass
class TripBed:
    """A lab, and what it consisted of before the first run."""

    bed: TestBed
    start: Footprint


class RoundTrips(Campaign[TripBed, int, TripsState]):
    """One case for each round trip."""

    def __init__(  # noqa: PLR0913 - each is an option of the command line
        self,
        count: int,
        labs: int,
        json: Path | None,
        returns: SchedulingReturns = "if_started",
        *,
        proven: bool = False,
        drivers: Drivers = USUAL_DRIVERS,
    ) -> None:
        super().__init__(TripsState(), json, (count, returns, proven, drivers))
        done = {trip.trip for trip in self.state.trips}
        self._count = count
        self._remaining = [number for number in range(1, count + 1) if number not in done]
        self._labs = labs
        self._returns = returns
        options = SimulationOptions(
            transaction_manager_clock=10.0, storage_delay=0.2, scheduling_returns=returns
        )
        estate = {
            "scheduling_returns_with_tm": not proven,
            # What the application itself writes is no change of the configuration.
            "ignored_changes": [f"table public.{writes.TABLE}"],
        }
        self._settings = Settings(options, TIMING, estate, drivers)
        self._proven = proven

    @property
    def labs(self) -> int:
        """No more than there are round trips."""
        return min(self._labs, len(self._remaining))

    def open(self, directory: Path) -> AbstractAsyncContextManager[TripBed]:
        """Start a lab; its round trips follow one another without a reset."""
        return self._open(directory)

    def next_case(self) -> int | None:
        """Return the number of the next round trip."""
        return self._remaining.pop(0) if self._remaining else None

    async def run_case(self, bed: TripBed, case: int) -> None:
        """Make one round trip, and explain it if something was wrong."""

        def report(leg: LegResult) -> None:
            self.say(f"round trip {case}, {leg.leg}: {leg.outcome}, {leg.seconds} s")

        trip = await make_trip(bed.bed, bed.start, case, report)
        self.state.trips.append(trip)
        problems = trip.problems()
        if not problems:
            return
        lines = [f"  problem: {problem}" for problem in problems]
        lines += [
            f"  {leg.leg}, {kind}: {'; '.join(details[:5])}"
            for leg in trip.legs
            for kind, details in leg.details.items()
        ]
        for line in lines:
            self.say(line)
        if self.json:
            directory = self.json.with_suffix(".failures") / str(case)
            await bed.bed.save_evidence(directory, "\n".join(lines))
        await self._begin_anew(bed)  # so that the next round trip proves something of its own

    def table(self) -> Table:
        """One row for each round trip."""
        table = Table("round trip", *map(str, ROUND_TRIP), "problems", title="round trips")
        for trip in self._trips():
            cells = [f"{leg.outcome}, {leg.seconds} s" for leg in trip.legs]
            cells += [""] * (len(ROUND_TRIP) - len(cells))
            table.add_row(str(trip.trip), *cells, str(len(trip.problems())))
        totals = self.state.totals()
        table.caption = "\n".join(f"{name}: {summary(totals, name)}" for name in by_section(totals))
        return table

    def problems(self) -> Iterator[str]:
        """Everything that must not be."""
        for trip in self._trips():
            if found := trip.problems():
                yield f"round trip {trip.trip}: {'; '.join(found)}"
        if len(self.state.trips) < self._count:
            yield f"{len(self.state.trips)} of {self._count} round trips were made"

    def as_json(self) -> dict[str, Any]:
        """The result as ``lab round-trips --json`` writes it."""
        trips = self._trips()
        return {
            "round_trips": len(trips),
            "scheduling_returns": self._returns,
            "pauses": not self._proven,
            "runs": len(self.state.legs),
            "completed": sum(leg.outcome == COMPLETED for leg in self.state.legs),
            "switchovers": self.state.completed("switchover"),
            "rejoins": self.state.completed("rejoin"),
            "rows_written": sum(trip.written for trip in trips),
            "rows_brought_over": sum(trip.brought_over for trip in trips),
            **by_section(self.state.totals()),
            "trips": [asdict(trip) | {"problems": trip.problems()} for trip in trips],
        }

    @asynccontextmanager
    async def _open(self, directory: Path) -> AsyncIterator[TripBed]:
        async with TestBed.open(directory, self._settings) as bed:
            self._settings.simulation.write(bed.lab.layout.simulation)
            yield TripBed(bed, await measure(bed.lab))

    async def _begin_anew(self, bed: TripBed) -> None:
        await bed.bed.reset()
        bed.start = await measure(bed.bed.lab)

    def _trips(self) -> list[TripResult]:
        return sorted(self.state.trips, key=lambda trip: trip.trip)
