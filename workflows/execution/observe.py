"""Read everything that stage 0 observes, wave by wave."""

import asyncio
from collections.abc import Sequence

from temporalio.exceptions import ActivityError

from workflows.execution.action_executor import failure_of
from workflows.execution.dispatch import Dispatcher
from workflows.model.actions import Action
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
    """Return every reading, and a finding for each that could not be made."""
    readings: list[Reading] = []
    found: list[Finding] = []
    room = asyncio.Semaphore(MAX_CONCURRENT_READINGS)

    async def one(action: Action) -> Reading:
        async with room:
            return await dispatcher.observe(action, stage)

    for wave in waves:
        results = await asyncio.gather(*map(one, wave), return_exceptions=True)
        for action, result in zip(wave, results, strict=True):
            if isinstance(result, ActivityError):
                found.append(_no_reading(action, result))
            elif isinstance(result, BaseException):
                raise result
            else:
                readings.append(result)
    return tuple(readings), tuple(found)


def _no_reading(action: Action, error: ActivityError) -> Finding:
    failure = failure_of(action, error)
    return no_reading.unread(action.place, f"{failure.kind}: {failure.message}")
