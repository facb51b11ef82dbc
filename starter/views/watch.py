"""Watching a run until it ends: a live table on a terminal, a line per transition elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from starter.client.connection import Run
from starter.client.errors import NoAnswer
from starter.client.operations import outcome_of
from starter.client.snapshot import Snapshot, look
from starter.views.status import RunView
from starter.views.text import clock
from starter.views.transitions import transitions
from workflows.model.outcome import Outcome

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
                view = RunView(sight, datetime.now(UTC), console.size.height)
                live.update(view, refresh=True)
    else:
        async for line in _lines(run):
            console.print(line, markup=False, soft_wrap=True)
    return await outcome_of(run)


async def _sights(run: Run) -> AsyncIterator[Snapshot]:
    """Look until the run is over; what was seen last stays, while nobody answers."""
    last = Snapshot(progress=None)
    while not last.over:
        try:
            sight = await look(run)
        except NoAnswer as silence:
            sight = replace(last, error=str(silence))
        last = replace(sight, progress=sight.progress or last.progress)
        yield last
        if not last.over:
            await asyncio.sleep(GLANCE)


async def _lines(run: Run) -> AsyncIterator[str]:
    last = Snapshot(progress=None)
    async for sight in _sights(run):
        if sight.error and sight.error != last.error:
            yield sight.error
        if sight.progress is not None:
            now = clock(datetime.now(UTC))
            for words in transitions(last.progress, sight.progress):
                yield f"{now} {words}"
        last = sight
