"""Checks of Temporal: other runs, workers, search attributes."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.findings import Finding, Severity
from workflows.model.observations import TemporalReading
from workflows.model.stages import StageName
from workflows.model.text import duration, listed
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.TEMPORAL)


@check(Scope.ESTATE)
def switchover_running(context: CheckContext) -> Iterator[Finding]:
    """No other switchover is running."""
    for reading in context.each(TemporalReading):
        if reading.open_run is not None:
            yield switchover_running.finding(
                reading.place,
                seen=f"run {reading.open_run} is open",
                expected="no other switchover of this estate",
                advice=f"show its progress with `switchover status {reading.place}`",
            )


@check(Scope.ESTATE, until=StageName.STOP_MONITORS, acceptable=True, only="switchover")
def cooling_down(context: CheckContext) -> Iterator[Finding]:
    """The last switchover was long enough ago."""
    limit = context.estate.timing.cool_down
    for reading in context.each(TemporalReading):
        if reading.completed is not None and context.now - reading.completed < limit:
            yield cooling_down.finding(
                reading.place,
                seen=f"a switchover completed {duration(context.now - reading.completed)} ago",
                expected=f"{duration(limit)} between two switchovers",
                advice='wait, or accept it with a reason: --accept cooling_down="..."',
            )


@check(Scope.ESTATE)
def search_attributes_missing(context: CheckContext) -> Iterator[Finding]:
    """Temporal has the tool's search attributes."""
    # A run without them could not be found in the Web UI.
    for reading in context.each(TemporalReading):
        if reading.missing_attributes:
            yield search_attributes_missing.finding(
                reading.place,
                seen=f"Temporal does not have {listed(reading.missing_attributes)}",
                expected="all search attributes of a switchover",
                advice="start a worker that may register them, or run the command in README",
            )


@check(Scope.ESTATE, severity=Severity.WARNS)
def workers_differ(context: CheckContext) -> Iterator[Finding]:
    """All workers run the same build, with the same seal key."""
    # One run is driven by one version of the code.
    for reading in context.each(TemporalReading):
        if len(set(reading.builds.values())) > 1:
            builds = sorted(reading.builds.items())
            yield workers_differ.finding(
                reading.place,
                seen=listed(f"{worker} runs {build}" for worker, build in builds),
                expected="one build and one seal key on every worker",
                advice="stop the workers of the other version before a run begins; where only the "
                "last part differs, give all workers the same file of --seal-keys",
            )


@check(Scope.OWN_QUEUES, acceptable=True)
def own_worker_differs(context: CheckContext) -> Iterator[Finding]:
    """The workers of a cluster's own task queue run the main worker's build, with its seal key."""
    # A worker with another key refuses every action; one with other code may not know it.
    for reading in context.each(TemporalReading):
        main = sorted(set(reading.builds.values()))
        for queue, builds in reading.own_queues.items():
            others = sorted(worker for worker in builds.items() if worker[1] not in main)
            if main and others:
                yield own_worker_differs.finding(
                    queue,
                    seen=listed(f"{worker} runs {build}" for worker, build in others),
                    expected=f"the build and the seal key of the main worker: {listed(main)}",
                    advice="start these workers again with the main worker's version; where only "
                    "the last part differs, with its file of --seal-keys. A worker that has ended "
                    "is seen for 75 s: check again after that",
                )
