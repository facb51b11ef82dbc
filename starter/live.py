"""Watching a run until it ends: a live table on a terminal, a line per transition elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

from rich.console import Console
from rich.live import Live

from starter.connection import Run
from starter.exits import Silence, translated
from starter.sight import Sight, look
from starter.tables import SYMBOLS, answers, clean, clock, run_view, said_line
from workflows.progress import OrderProgress, Outcome, Progress, Step

GLANCE = 0.5
"""Seconds between two looks."""


async def watch(run: Run, console: Console) -> Outcome:
    """Show a run until it ends, and return its outcome.

    Raises:
        Stop: the run failed, or there is none.
    """
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            async for sight in _sights(run):
                live.update(run_view(sight, datetime.now(UTC)), refresh=True)
    else:
        async for line in _lines(run):
            console.print(line, markup=False, soft_wrap=True)
    return await outcome_of(run)


async def outcome_of(run: Run) -> Outcome:
    """Return what a run that has ended came to; Stop where it failed."""
    with translated():
        return await run.result()


def transitions(before: Progress | None, after: Progress) -> Iterator[str]:
    """Say what has happened between two looks, in the order an operator would tell it."""
    known = {stage.stage: stage.step for stage in before.stages} if before else {}
    for said in after.said[len(before.said) if before else 0 :]:
        yield said_line(said)
    for stage in after.stages:
        if stage.step not in (known.get(stage.stage, Step.PENDING), Step.LEFT_OUT):
            took = "" if stage.seconds is None else f", {stage.seconds:.1f} s"
            yield f"{SYMBOLS[stage.step][0]} {stage.number} {stage.stage}: {stage.step}{took}"
    yield from _faults(before, after)
    for finding in after.findings[len(before.findings) if before else 0 :]:
        yield f"{finding.severity}: {clean(str(finding))}"
    waited = before.waiting if before else None
    if after.waiting is not None and (waited is None or waited.since != after.waiting.since):
        yield f"waits: {clean(after.waiting.words)}"
        yield from (f"  answer: {answer}" for answer in answers(after))


def _faults(before: Progress | None, after: Progress) -> Iterator[str]:
    known = {order.key for order in _orders(before) if order.step is Step.FAULT}
    for order in _orders(after):
        if order.step is Step.FAULT and order.fault is not None and order.key not in known:
            yield f"✖ {order.words}: {order.fault.kind}: {clean(order.fault.words)}"


def _orders(progress: Progress | None) -> Iterator[OrderProgress]:
    stages = progress.stages if progress else ()
    return chain.from_iterable(stage.orders for stage in stages)


async def _sights(run: Run) -> AsyncIterator[Sight]:
    """Look until the run is over; what was seen last stays, while nobody answers."""
    last = Sight(progress=None)
    while not last.over:
        try:
            sight = await look(run)
        except Silence as silence:
            sight = replace(last, trouble=str(silence))
        last = replace(sight, progress=sight.progress or last.progress)
        yield last
        if not last.over:
            await asyncio.sleep(GLANCE)


async def _lines(run: Run) -> AsyncIterator[str]:
    last = Sight(progress=None)
    async for sight in _sights(run):
        if sight.trouble and sight.trouble != last.trouble:
            yield sight.trouble
        if sight.progress is not None:
            now = clock(datetime.now(UTC))
            for words in transitions(last.progress, sight.progress):
                yield f"{now} {words}"
        last = sight
