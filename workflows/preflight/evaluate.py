"""Evaluate all checks on what was read."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from workflows.model.estate import Estate
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Reading
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import find_interrupted_run
from workflows.planning.plan import Plan
from workflows.preflight.catalogue import CHECKS, check_of
from workflows.preflight.context import CheckContext, EvaluatedCheck
from workflows.preflight.interrupted_run import findings_of


def evaluate(
    plan: Plan,
    readings: Sequence[Reading],
    now: datetime,
    begun: frozenset[StageName] = frozenset(),
    also: Iterable[Finding] = (),
) -> tuple[Finding, ...]:
    """Return every finding, given which stages have begun.

    *also* are findings of another origin, such as a reading that could not be made.
    """
    context = CheckContext(plan, tuple(readings), begun, now)
    found = chain(
        also,
        chain.from_iterable(reading.findings for reading in readings),
        *(check.evaluate(context) for check in CHECKS if isinstance(check, EvaluatedCheck)),
    )
    current = (finding for finding in found if check_of(finding.name).until not in begun)
    return tuple(dict.fromkeys(_with_site_severity(plan.estate, current)))


def evaluate_first(
    plan: Plan, readings: Sequence[Reading], now: datetime, also: tuple[Finding, ...]
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Evaluate as stage 0 does; return the readings of nodes that are up, and the findings.

    What an interrupted switchover has stopped is no finding.
    """
    run = find_interrupted_run(plan, readings)
    up = tuple(reading for reading in readings if reading.place not in run.stopped_nodes)
    return up, evaluate(plan, up, now, run.begun, also + findings_of(run, plan))


def blocking(findings: Iterable[Finding], accepted: Iterable[str] = ()) -> tuple[Finding, ...]:
    """Return the findings that stop a run, without those that an operator accepted."""
    names = set(accepted)
    return tuple(
        finding
        for finding in findings
        if finding.severity is Severity.BLOCKS
        and not (finding.name in names and check_of(finding.name).acceptable)
    )


def _with_site_severity(estate: Estate, findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        adjusted = estate.checks.get(finding.name)
        yield finding.model_copy(update={"severity": adjusted.severity}) if adjusted else finding
