"""How does a comparison that takes minutes fit into attempts that take seconds?"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from activities.replication.conflicts import Conflicts
from workflows.errors import NotYet

FRESH = timedelta(seconds=5)
"""How long a comparison's result is good for: the next attempt comes within a second or two, and
what was written since is not in it."""


class Comparisons:
    """Comparisons that outlast the attempt that began them.

    An attempt that changes something is short, since that is how long nobody knows that its worker
    died. Reading what two databases wrote in a night is not. So the reading goes on between the
    attempts of one order, and the one that finds it ended acts; with another worker it begins anew.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}

    async def require_none(self, key: str, conflicts: Conflicts, patience: timedelta) -> None:
        """Refuse as :meth:`Conflicts.require_none` does; NotYet while that is not known yet."""
        if key not in self._running:
            self._running[key] = asyncio.create_task(conflicts.require_none())
            self._running[key].add_done_callback(lambda ended: self._expire(key, ended))
        task = self._running[key]
        await asyncio.gather(_at_most(task, patience), return_exceptions=True)
        if not task.done():
            raise NotYet(
                f"{conflicts.here.name}: what both sides wrote while it was suspended is still "
                "being compared; nothing was sent"
            )
        if task.exception() is not None:
            self._running.pop(key, None)  # whoever asks again wants to know anew
        task.result()

    def _expire(self, key: str, ended: asyncio.Task[None]) -> None:
        """Forget a result in time, and do not complain where nobody came back for it."""
        if not ended.cancelled():
            ended.exception()

        def forget() -> None:
            if self._running.get(key) is ended:
                del self._running[key]

        asyncio.get_running_loop().call_later(FRESH.total_seconds(), forget)


async def _at_most(task: asyncio.Task[None], patience: timedelta) -> None:
    async with asyncio.timeout(patience.total_seconds()):
        await asyncio.shield(task)
