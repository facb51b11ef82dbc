"""Checks of the clusters' file storages."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Heading, Scope
from workflows.model.findings import Finding
from workflows.model.observations import StorageReading
from workflows.model.stages import StageName
from workflows.model.text import duration, listed
from workflows.preflight.context import CheckContext, declare

check = partial(declare, heading=Heading.STORAGE)


@check(Scope.CLUSTERS, until=StageName.REDIRECT_TRAFFIC)
def storage_differs(context: CheckContext) -> Iterator[Finding]:
    """Files are equal on both clusters."""
    for reading in context.each(StorageReading):
        places: dict[str, list[str]] = defaultdict(list)
        for one in reading.differences:
            places[one.place].append(f"{one.item} {one.seen} instead of {one.expected}")
        for place, differences in places.items():
            yield storage_differs.finding(
                place,
                seen=f"of {reading.sampled} files compared: {listed(differences)}",
                expected="the same files on both clusters",
                advice="check that the synchronisation of the storages runs and has caught up",
            )


@check(Scope.MARKED_CLUSTERS, until=StageName.REDIRECT_TRAFFIC, acceptable=True)
def storage_delay_exceeded(context: CheckContext) -> Iterator[Finding]:
    """What one cluster writes, the other reads in time."""
    limit = context.estate.timing.storage_delay
    for reading in context.each(StorageReading):
        for cluster, delay in reading.delays.items():
            if delay is None or delay > limit:
                after = "not in time" if delay is None else f"after {duration(delay)}"
                yield storage_delay_exceeded.finding(
                    cluster,
                    seen=f"a file written here was read on the other cluster {after}",
                    expected=f"within {duration(limit)}",
                    advice="check the synchronisation, or correct timing.storage_delay",
                )
