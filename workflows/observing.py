"""How a workflow has the estate read: every observation side by side, none of them in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from temporalio.exceptions import ActivityError

from workflows.carrying import fault_of
from workflows.errands import Errands
from workflows.orders import Order
from workflows.reports import Finding, Reading
from workflows.stages import Slug


async def observe(
    errands: Errands, orders: Sequence[Order]
) -> tuple[tuple[Reading, ...], tuple[Finding, ...]]:
    """Bring every reading; one that could not be made at all is a finding."""
    results = await asyncio.gather(
        *(errands.observe(order, Slug.CHECK_PREREQUISITES) for order in orders),
        return_exceptions=True,
    )
    readings: list[Reading] = []
    found: list[Finding] = []
    for order, result in zip(orders, results, strict=True):
        if isinstance(result, ActivityError):
            found.append(_no_reading(order, result))
        elif isinstance(result, BaseException):
            raise result
        else:
            readings.append(result)
    return tuple(readings), tuple(found)


def _no_reading(order: Order, error: ActivityError) -> Finding:
    fault = fault_of(order, error)
    return Finding(
        name="no_reading",
        place=order.place,
        seen=f"{fault.kind}: {fault.words}",
        expected="a reading",
        advice="look at the worker's log",
    )
