"""What speaks against going on: every prerequisite held against what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from workflows.model.checks import check_of
from workflows.model.estate import Estate
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Reading
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import recognise
from workflows.planning.plan import Plan
from workflows.preflight.context import Seen
from workflows.preflight.nodes import MACHINES
from workflows.preflight.parity import PARITY
from workflows.preflight.replication import DATABASES
from workflows.preflight.services import SERVICES
from workflows.preflight.surroundings import SURROUNDINGS, cooled_down

PREREQUISITES: tuple[Callable[[Seen], Iterable[Finding]], ...] = (
    *SERVICES,
    *MACHINES,
    *PARITY,
    *DATABASES,
    *SURROUNDINGS,
)


def objections(
    plan: Plan,
    readings: Sequence[Reading],
    now: datetime,
    begun: frozenset[StageName] = frozenset(),
    also: Iterable[Finding] = (),
) -> tuple[Finding, ...]:
    """Everything that speaks against going on, given which stages have begun.

    Also what was found elsewhere, such as a place that nobody could look at.
    """
    seen = Seen(plan, tuple(readings), begun)
    found = chain(
        also,
        chain.from_iterable(reading.findings for reading in readings),
        chain.from_iterable(objects(seen) for objects in PREREQUISITES),
        cooled_down(seen, now),
    )
    standing = (one for one in found if check_of(one.name).until not in begun)
    return tuple(dict.fromkeys(_adjusted(plan.estate, standing)))


def first_look(
    plan: Plan, readings: Sequence[Reading], now: datetime, found: tuple[Finding, ...]
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Judge as stage 0 does; return also what was read of places that are still there.

    An interrupted switchover may have left the estate: what it stopped is no finding.
    """
    half = recognise(plan, readings)
    living = tuple(reading for reading in readings if reading.place not in half.gone)
    return living, objections(plan, living, now, half.begun, found + half.findings(plan))


def blocking(findings: Iterable[Finding], accepted: Iterable[str] = ()) -> tuple[Finding, ...]:
    """The findings that stop a run, less those that someone accepted with a reason."""
    standing = set(accepted)
    return tuple(
        finding
        for finding in findings
        if finding.severity is Severity.BLOCKS
        and not (finding.name in standing and check_of(finding.name).acceptable)
    )


def _adjusted(estate: Estate, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Give each finding the severity that the estate wants it to have."""
    for finding in findings:
        adjusted = estate.checks.get(finding.name)
        yield finding.model_copy(update={"severity": adjusted.severity}) if adjusted else finding
