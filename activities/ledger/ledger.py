"""How is an effect on a machine made once, however often it is attempted?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from activities.ledger.script import CLAIM, DETACHED, LOOK, SETTLE
from activities.transport.ssh import Command, Shell, script
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.estate import Machine

EVERYTHING = "all"
"""The service of an effect that concerns every service of its machine."""

OBJECTIONS = ("busy ", "refused ")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 2.0
_OVERDUE = timedelta(seconds=30)
"""How long after its deadline an open claim is still waited for."""


@dataclass(frozen=True)
class Task:
    """An effect as it is entered: what runs, on which service, and when it is over."""

    operation: str
    service: str
    command: Command
    within: timedelta
    """From its claim; afterwards it counts as over unless its process still runs."""
    lands: Literal["exit", "late"] = "exit"
    """Over when its command ends, or perhaps not before *within*."""
    note: str = "-"
    """One word to remember with the claim, for later attempts."""


@dataclass(frozen=True)
class Claim:
    """An effect that was begun, once."""

    operation: str
    service: str
    began: datetime
    deadline: datetime
    flips: datetime
    """Until when an earlier graceful stop may still change this service."""
    note: str


@dataclass(frozen=True)
class Record:
    """What the ledger says of one task, by the machine's own clock."""

    now: datetime
    flips: datetime
    """As of a claim, for one that would be made now."""
    busy: str | None = None
    """Another operation that is open on this service."""
    claim: Claim | None = None
    living: bool = False
    status: int | None = None
    ended: datetime | None = None
    output: str = ""

    @property
    def lost(self) -> bool:
        """Whether it was begun and nobody will ever know how it ended."""
        return self.claim is not None and self.status is None and not self.living

    @property
    def overdue(self) -> bool:
        """Whether its deadline has passed."""
        return self.claim is not None and self.now >= self.claim.deadline

    @property
    def at(self) -> datetime:
        """The one time that every attempt reports."""
        return self.ended or (self.claim.began if self.claim else self.now)


class Ledger:
    """The ledgers of all machines."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def look(self, machine: Machine, task: Task) -> Record:
        """Read what is known of this task; changes nothing."""
        answer = await self._shell.run(machine, script(LOOK, *_place(machine, task)))
        return parse_look(answer.out, machine.name)

    async def claim(
        self, machine: Machine, task: Task, needless: Callable[[], Awaitable[bool]] | None = None
    ) -> bool:
        """Begin the task unless some attempt has, waiting for open ones of its service first.

        *needless* is asked after such a wait: what was open may have left nothing to do. Returns
        whether the task was begun.

        Raises:
            NotReady: the ledger cannot be written, or another operation does not end.
        """
        while objection := await self._begin(machine, task):
            match objection.split():
                case ["busy", _, until, now] if _time(now) <= _time(until) + _OVERDUE:
                    await asyncio.sleep(1)
                    if needless is not None and await needless():
                        return False
                case ["busy", operation, *_]:
                    raise NotReady(
                        f"{machine.name}: {operation} still runs on {task.service}; "
                        f"look at it on the machine, in {machine.ledger}/{operation}"
                    )
                case _:
                    raise NotReady(f"{machine.name}: {objection.removeprefix('refused ')}")
        return True

    async def ended(self, machine: Machine, task: Task) -> Record:
        """Wait until a claimed task's command has ended, or its process is gone."""
        pause = _FIRST_PAUSE
        while True:
            record = await self.look(machine, task)
            if record.claim is None:
                raise OutcomeUnknown(f"{machine.name}: {task.operation} was not begun")
            if record.status is not None or record.lost:
                return record
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def once(self, machine: Machine, task: Task) -> Record:
        """Have the task done, by this attempt or by one before, and return how it ended."""
        if (await self.look(machine, task)).claim is None:
            await self.claim(machine, task)
        return await self.ended(machine, task)

    async def settle(self, machine: Machine, task: Task) -> None:
        """Record that the wished state was seen, so that others need not wait for the deadline."""
        await self._shell.run(machine, script(SETTLE, machine.ledger, task.operation))

    async def _begin(self, machine: Machine, task: Task) -> str | None:
        """Return why the claim was not made; None if it was, or had been."""
        seconds = str(int(task.within.total_seconds()))
        arguments = (*_place(machine, task), seconds, task.lands, task.note, *task.command.argv)
        answer = await self._shell.run(machine, script(CLAIM, DETACHED, *arguments))
        if answer.status != 0:
            raise OutcomeUnknown(f"{machine.name}: the ledger said {answer.text!r}")
        # A login shell may print what it likes before.
        objections = (line for line in answer.out.splitlines() if line.startswith(OBJECTIONS))
        return next(objections, None)


def succeeded(record: Record, place: str) -> Record:
    """Return the record of a command that ended well.

    Raises:
        CommandFailed: it said no.
        Lost: nobody knows; the caller has probed before it asks this.
    """
    if record.claim is None or record.lost:
        name = record.claim.operation if record.claim else "the operation"
        raise Lost(
            f"{place}: {name} was begun at {record.at:%H:%M:%S} UTC and its process is gone; "
            "look at the service there, then decide `retry`"
        )
    if record.status != 0:
        raise CommandFailed(
            f"{place}: the command ended with {record.status}: {record.output.strip()[-400:]}"
        )
    return record


def parse_look(text: str, place: str) -> Record:
    """Read what the look script prints; OutcomeUnknown where the reading is not whole."""
    body, _, end = text.rstrip("\n").rpartition("\n")
    if end != "end":
        raise OutcomeUnknown(f"{place}: the ledger could not be read: {text.strip()[-200:]!r}")
    head, _, output = body.partition("\noutput\n")
    lines = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
    try:
        status = lines["status"].split() if "status" in lines else None
        return Record(
            now=_time(lines["now"]),
            flips=_time(lines["flips"]),
            busy=lines["busy"].split()[0] if "busy" in lines else None,
            claim=_claim(lines["claim"]) if "claim" in lines else None,
            living=lines.get("living") == "yes",
            status=int(status[0]) if status else None,
            ended=_time(status[1]) if status else None,
            output=output.removesuffix("\n"),
        )
    except (KeyError, ValueError, IndexError) as strange:
        raise OutcomeUnknown(f"{place}: the ledger cannot be read: {head[-200:]!r}") from strange


def _claim(line: str) -> Claim:
    operation, service, _pid, _boot, _start, began, deadline, _lands, flips, note = line.split()
    return Claim(operation, service, _time(began), _time(deadline), _time(flips), note)


def _time(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError) as strange:
        raise OutcomeUnknown(f"the ledger says {seconds[:80]!r} instead of a time") from strange


def _place(machine: Machine, task: Task) -> tuple[str, ...]:
    return machine.ledger, task.operation, task.service, machine.boot_id
