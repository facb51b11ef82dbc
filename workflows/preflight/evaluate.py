"""Evaluate all checks on what was read."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from workflows.model.checks import Check
from workflows.model.estate import Estate
from workflows.model.findings import Finding, Severity
from workflows.model.observations import NodeReading, Reading
from workflows.model.stages import Procedure, StageName
from workflows.planning.plan import Plan
from workflows.planning.procedures import find_earlier_run
from workflows.preflight.access import node_unreachable_admin
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
    current = (finding for finding in found if _applies(check_of(finding.name), plan, begun))
    return tuple(dict.fromkeys(_with_site_severity(plan.estate, current)))


def evaluate_first(
    plan: Plan, readings: Sequence[Reading], now: datetime, also: tuple[Finding, ...]
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Evaluate as stage 0 does; return the readings of nodes that are up, and the findings.

    What an interrupted switchover has stopped is no finding, nor that a returning node is down.
    """
    run = find_earlier_run(plan, readings)
    up = without_down(plan, readings, run.stopped_nodes)
    return up, evaluate(plan, up, now, run.begun, also + findings_of(run, plan))


def without_down(
    plan: Plan, readings: Sequence[Reading], down: Collection[str]
) -> tuple[Reading, ...]:
    """Return the readings without what nodes that are down cannot say.

    A switchover needs nothing of them any more; a rejoin starts them, so what their machines say
    counts.
    """
    if plan.procedure == "switchover":
        return tuple(reading for reading in readings if reading.place not in down)
    return tuple(_of_machine(reading) if reading.place in down else reading for reading in readings)


def _of_machine(reading: Reading) -> Reading:
    if not isinstance(reading, NodeReading):
        return reading
    silent: dict[str, object] = {
        "services": {},
        "texts": {},
        "not_read": {},
        "sessions": None,
        "silent_ports": (),
    }
    found = tuple(one for one in reading.findings if one.name != node_unreachable_admin.name)
    return reading.model_copy(update={**silent, "findings": found})


def _applies(check: Check, plan: Plan, begun: Collection[StageName]) -> bool:
    return check.only in (None, plan.procedure) and check.until not in begun


def blocking(
    findings: Iterable[Finding], accepted: Iterable[str] = (), procedure: Procedure = "switchover"
) -> tuple[Finding, ...]:
    """Return the findings that stop a run, without those that an operator accepted."""
    names = set(accepted)
    return tuple(
        finding
        for finding in findings
        if finding.severity is Severity.BLOCKS
        and not (finding.name in names and check_of(finding.name).may_be_accepted(procedure))
    )


def _with_site_severity(estate: Estate, findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        adjusted = estate.checks.get(finding.name)
        yield finding.model_copy(update={"severity": adjusted.severity}) if adjusted else finding
