"""Run the cases of a campaign side by side on labs, and report what was found."""

import asyncio
import json
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from lab.campaigns.state import StateFile
from lab.signals import cancelled_by_sigterm

INTERRUPTED = 130
"""The exit code after SIGTERM; with ``--json`` the same command resumes."""


@dataclass
class CampaignState:
    """The progress of a campaign."""

    seconds: float = 0.0
    """How long it has run so far."""


Bed = TypeVar("Bed")
Case = TypeVar("Case")
State = TypeVar("State", bound=CampaignState)


class Campaign(ABC, Generic[Bed, Case, State]):
    """One campaign, shown on a terminal."""

    def __init__(self, state: State, json: Path | None, request: object) -> None:
        self.json = json
        self._file = StateFile[State](json, request)
        self.state = self._file.load(state)
        self.console = Console(highlight=False)
        self._resumes = self.state is not state
        self._began = time.monotonic() - self.state.seconds
        self._refresh: Callable[[], None] = lambda: None

    @property
    @abstractmethod
    def labs(self) -> int:
        """How many labs are needed."""

    @abstractmethod
    def open(self, directory: Path) -> AbstractAsyncContextManager[Bed]:
        """Start a lab, with everything that a case needs, in this directory."""

    @abstractmethod
    def next_case(self) -> Case | None:
        """Return a case that has not been run, or None if there is none."""

    @abstractmethod
    async def run_case(self, bed: Bed, case: Case) -> None:
        """Run one case and add its result to the state."""

    @abstractmethod
    def table(self) -> Table:
        """The results so far, for a terminal."""

    @abstractmethod
    def problems(self) -> Iterable[str]:
        """Everything that must not be."""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """The result, without its problems and its duration."""

    async def prepare(self, bed: Bed) -> None:
        """Do what precedes the cases, on one lab."""

    async def finish(self, bed: Bed) -> None:
        """Do what follows the cases, on one lab."""

    async def run(self, directory: Path) -> bool:
        """Run every case; return whether there was no problem."""
        if self._resumes:
            self.say("resumes an interrupted campaign")
        async with AsyncExitStack() as stack:
            beds = await asyncio.gather(
                *(
                    stack.enter_async_context(self.open(_made(directory / str(number))))
                    for number in range(self.labs)
                )
            )
            if beds:
                await self._run_cases(beds)
        return self._report()

    def say(self, message: str) -> None:
        """Print a line with the time since the beginning."""
        elapsed = time.monotonic() - self._began
        self.console.print(f"{elapsed:7.1f} s  {message}", markup=False, soft_wrap=True)

    async def _run_cases(self, beds: list[Bed]) -> None:
        with Live(console=self.console, transient=True, auto_refresh=False) as live:
            self._refresh = lambda: live.update(self.table(), refresh=True)
            await self.prepare(beds[0])
            self._save()
            await asyncio.gather(*(self._work(bed) for bed in beds))
            await self.finish(beds[0])

    async def _work(self, bed: Bed) -> None:
        while (case := self.next_case()) is not None:
            await self.run_case(bed, case)
            self._save()

    def _save(self) -> None:
        self.state.seconds = time.monotonic() - self._began
        self._file.save(self.state)
        self._refresh()

    def _report(self) -> bool:
        self.console.print(self.table())
        problems = list(self.problems())
        for problem in problems:
            self.console.print(f"problem: {problem}", style="red", markup=False, soft_wrap=True)
        if self.json:
            seconds = round(time.monotonic() - self._began, 1)
            result = self.as_json() | {"seconds": seconds, "problems": problems}
            self.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            self._file.discard()
        return not problems


def run_to_exit(campaign: Campaign[Any, Any, Any]) -> NoReturn:
    """Run a campaign in a temporary directory; exit 1 if it found a problem."""
    with tempfile.TemporaryDirectory(prefix="campaign-", ignore_cleanup_errors=True) as place:
        try:
            passed = asyncio.run(cancelled_by_sigterm(campaign.run(Path(place))))
        except asyncio.CancelledError:
            raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(0 if passed else 1)


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory
