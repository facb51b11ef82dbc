"""An operator at a console: real processes against a real server."""

import asyncio
from dataclasses import dataclass

from tests.support import preloaded
from tests.support.preloaded import Preloaded


@dataclass(frozen=True)
class OperatorMessage:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """Everything that an operator saw, as one line."""
        return " ".join(f"{self.out} {self.err}".split())


@dataclass(frozen=True)
class Operator:
    """An operator who types commands; none of them may end with a traceback."""

    address: str

    async def types(self, *words: str) -> OperatorMessage:
        """Run one console command to its end."""
        process = await self.begins(*words)
        out, err = await asyncio.wait_for(process.communicate(), 40)
        answer = OperatorMessage(process.returncode or 0, out.decode(), err.decode())
        assert "Traceback" not in answer.message, answer.message
        return answer

    async def begins(self, *words: str) -> Preloaded:
        """Run one console command, and leave it running."""
        return await preloaded.start(
            "starter", *words, TEMPORAL_ADDRESS=self.address, COLUMNS="150"
        )
