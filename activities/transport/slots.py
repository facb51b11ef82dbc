"""Limit how many commands run at a time on one connection, and learn what a machine allows."""

import asyncio
from types import TracebackType


class Slots:
    """As many at a time as the limit says; it falls when the machine refuses one more.

    An administrator sets ``MaxSessions`` as low as one, and no protocol tells a client.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0
        self._freed = asyncio.Event()

    async def __aenter__(self) -> None:
        while self._used >= self.limit:
            self._freed.clear()
            await self._freed.wait()
        self._used += 1

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._used -= 1
        self._freed.set()

    def learn_of_refusal(self) -> bool:
        """Allow fewer at a time from now on; whether there was another that could be left out."""
        others = self._used - 1
        if others:
            self.limit = min(self.limit, others)
        return others > 0
