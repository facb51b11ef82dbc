"""How every reading of stage 0 is brought: side by side, wave by wave; none of them is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio.exceptions import ActivityError

from workflows.execution.action_executor import fault_of
from workflows.execution.dispatch import Dispatcher
from workflows.model.actions import Action
from workflows.model.findings import Finding
from workflows.model.observations import Reading
from workflows.model.stages import StageName
from workflows.planning.plan import Wave
from workflows.preflight.access import no_reading

SIDE_BY_SIDE = 8
"""Places that are looked at together: a worker that asks all at once finds each of them slow."""


async def observe(
    dispatcher: Dispatcher, waves: Sequence[Wave]
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Bring every reading; one that could not be made at all is a finding."""
    readings: list[Reading] = []
    found: list[Finding] = []
    room = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(action: Action) -> Reading:
        async with room:
            return await dispatcher.observe(action, StageName.CHECK_PREREQUISITES)

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
    failure = fault_of(action, error)
    return no_reading.unread(action.place, f"{failure.kind}: {failure.message}")
