"""Show a run until it ends: a live view on a terminal, a line for each change elsewhere."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from starter.client.connection import Run
from starter.client.errors import NoAnswer
from starter.client.operations import outcome_of
from starter.client.snapshot import Snapshot, read_snapshot
from starter.views.status import RunView
from starter.views.text import clock
from starter.views.transitions import transitions
from workflows.model.outcome import Outcome

POLL_INTERVAL = 0.5
"""Seconds."""


async def watch(run: Run, console: Console) -> Outcome:
    """Show a run until it ends, and return its outcome.

    Raises:
        CommandError: the run failed, or there is none.
    """
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            async for snapshot in _snapshots(run):
                view = RunView(snapshot, datetime.now(UTC), console.size.height)
                live.update(view, refresh=True)
    else:
        async for line in _lines(run):
            console.print(line, markup=False, soft_wrap=True)
    return await outcome_of(run)


async def _snapshots(run: Run) -> AsyncIterator[Snapshot]:
    """Poll until the run has ended; without an answer the last progress stays."""
    last = Snapshot(progress=None)
    while not last.ended:
        try:
            snapshot = await read_snapshot(run)
        except NoAnswer as error:
            snapshot = replace(last, error=str(error))
        last = replace(snapshot, progress=snapshot.progress or last.progress)
        yield last
        if not last.ended:
            await asyncio.sleep(POLL_INTERVAL)


async def _lines(run: Run) -> AsyncIterator[str]:
    last = Snapshot(progress=None)
    async for snapshot in _snapshots(run):
        if snapshot.error and snapshot.error != last.error:
            yield snapshot.error
        if snapshot.progress is not None:
            now = clock(datetime.now(UTC))
            for line in transitions(last.progress, snapshot.progress):
                yield f"{now} {line}"
        last = snapshot
