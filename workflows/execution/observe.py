"""Read everything that stage 0 observes, wave by wave."""

import asyncio
from collections.abc import Iterator, Sequence

from temporalio.exceptions import ActivityError

from workflows.execution.action_executor import failure_of
from workflows.execution.dispatch import Dispatcher
from workflows.model.actions import Action, ObserveTemporal
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.stages import StageName
from workflows.planning.waves import Wave
from workflows.preflight.access import no_reading

MAX_CONCURRENT_READINGS = 8
"""Places that are read at once: more at a time make each of them slow."""


async def observe(
    dispatcher: Dispatcher, waves: Sequence[Wave], stage: StageName = StageName.CHECK_PREREQUISITES
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Return every reading, and a finding for each that could not be made.

    What no worker could make is one finding for each task queue, and takes no time.
    """
    readings: list[Reading] = []
    found: list[Finding] = []
    room = asyncio.Semaphore(MAX_CONCURRENT_READINGS)

    async def one(action: Action) -> Reading:
        async with room:
            return await dispatcher.observe(action, stage)

    for wave in _queues_first(waves):
        possible = [action for action in wave if dispatcher.no_worker_for(action) is None]
        results = await asyncio.gather(*map(one, possible), return_exceptions=True)
        for action, result in zip(possible, results, strict=True):
            if isinstance(result, ActivityError):
                if dispatcher.no_worker_for(action) is None:
                    found.append(_no_reading(action, result))
            elif isinstance(result, BaseException):
                raise result
            else:
                readings.append(result)
        found += filter(None, map(dispatcher.no_worker_for, wave))
    return tuple(readings), tuple(dict.fromkeys(found))


def _queues_first(waves: Sequence[Wave]) -> Iterator[Wave]:
    """Yield the waves, and before all else who polls the clusters' own task queues."""
    for wave in waves:
        asks = tuple(a for a in wave if isinstance(a, ObserveTemporal) and a.task_queues)
        yield from filter(None, (asks, tuple(action for action in wave if action not in asks)))


def _no_reading(action: Action, error: ActivityError) -> Finding:
    failure = failure_of(action, error)
    return no_reading.unread(action.place, f"{failure.kind}: {failure.message}")
