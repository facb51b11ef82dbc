"""Make each effect on a machine once, however often it is attempted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from activities.ledger.script import CLAIM, DETACHED, READ, SETTLE
from activities.transport.ssh import Command, Shell, script
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.estate import Machine

ALL_SERVICES = "all"
"""The service of an effect that concerns every service of its machine."""

REFUSALS = ("busy ", "refused ")

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = 0.2, 2.0
"""Seconds between two readings of a command that runs."""
OVERDUE_MARGIN = timedelta(seconds=30)
"""How long after its deadline an open claim is still waited for."""


@dataclass(frozen=True)
class LedgerCommand:
    """A command as the ledger records it: what runs, on which service, and when it is completed."""

    operation: str
    service: str
    command: Command
    timeout: timedelta
    """From its claim; afterwards it counts as completed unless its process still runs."""
    completes_on: Literal["exit", "deadline"] = "exit"
    """Completed when its command ends, or perhaps only when *timeout* has passed."""
    note: str = "-"
    """One word to remember with the claim, for later attempts."""


@dataclass(frozen=True)
class Claim:
    """An effect that was begun, once."""

    operation: str
    service: str
    began: datetime
    deadline: datetime
    may_change_until: datetime
    """Until when an earlier graceful stop may still change this service."""
    note: str


@dataclass(frozen=True)
class LedgerRecord:
    """What the ledger says of one command, by the machine's own clock."""

    now: datetime
    may_change_until: datetime
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
        """Whether it was begun and its end was never recorded."""
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

    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Read what is recorded about this command; change nothing."""
        answer = await self._shell.run(machine, script(READ, *_place(machine, command)))
        return parse_record(answer.out, machine.name)

    async def claim(
        self,
        machine: Machine,
        command: LedgerCommand,
        unneeded: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        """Begin the command unless an attempt has, after open ones of its service.

        *unneeded* is asked after such a wait: the open command may have left nothing to do. Returns
        whether the command was begun.

        Raises:
            NotReady: the ledger cannot be written, or another operation does not end.
        """
        while refusal := await self._begin(machine, command):
            match refusal.split():
                case ["busy", _, until, now] if _time(now) <= _time(until) + OVERDUE_MARGIN:
                    await asyncio.sleep(1)
                    if unneeded is not None and await unneeded():
                        return False
                case ["busy", operation, *_]:
                    raise NotReady(
                        f"{machine.name}: {operation} still runs on {command.service}; "
                        f"check it on the machine, in {machine.ledger}/{operation}"
                    )
                case _:
                    raise NotReady(f"{machine.name}: {refusal.removeprefix('refused ')}")
        return True

    async def wait_ended(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Wait until a claimed command has ended, or its process is gone."""
        interval = FIRST_POLL_INTERVAL
        while True:
            record = await self.read(machine, command)
            if record.claim is None:
                raise OutcomeUnknown(f"{machine.name}: {command.operation} was not begun")
            if record.status is not None or record.lost:
                return record
            await asyncio.sleep(interval)
            interval = min(interval * 1.5, MAX_POLL_INTERVAL)

    async def run_once(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Run the command in this attempt, unless an earlier one did; return how it ended."""
        if (await self.read(machine, command)).claim is None:
            await self.claim(machine, command)
        return await self.wait_ended(machine, command)

    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        """Record that the desired state was read: later commands need not wait for the deadline."""
        await self._shell.run(machine, script(SETTLE, machine.ledger, command.operation))

    async def _begin(self, machine: Machine, command: LedgerCommand) -> str | None:
        """Return why the claim was not made; None if it was, or had been."""
        seconds = str(int(command.timeout.total_seconds()))
        arguments = (
            *_place(machine, command),
            seconds,
            command.completes_on,
            command.note,
            *command.command.argv,
        )
        answer = await self._shell.run(machine, script(CLAIM, DETACHED, *arguments))
        if answer.status != 0:
            raise OutcomeUnknown(f"{machine.name}: the ledger answered {answer.text!r}")
        # A login shell may print what it likes before.
        refusals = (line for line in answer.out.splitlines() if line.startswith(REFUSALS))
        return next(refusals, None)


def succeeded(record: LedgerRecord, place: str) -> LedgerRecord:
    """Return the record of a command that ended well.

    Raises:
        CommandFailed: its exit status is not 0.
        Lost: its end was never recorded; the caller has read the state before.
    """
    if record.claim is None or record.lost:
        name = record.claim.operation if record.claim else "the operation"
        raise Lost(
            f"{place}: {name} was begun at {record.at:%H:%M:%S} UTC and its process is gone; "
            "check the service there, then decide `retry`"
        )
    if record.status != 0:
        raise CommandFailed(
            f"{place}: the command ended with {record.status}: {record.output.strip()[-400:]}"
        )
    return record


def parse_record(text: str, place: str) -> LedgerRecord:
    """Read what the script prints; OutcomeUnknown where the reading is not whole."""
    body, _, end = text.rstrip("\n").rpartition("\n")
    if end != "end":
        raise OutcomeUnknown(f"{place}: the ledger could not be read: {text.strip()[-200:]!r}")
    head, _, output = body.partition("\noutput\n")
    lines = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
    try:
        status = lines["status"].split() if "status" in lines else None
        return LedgerRecord(
            now=_time(lines["now"]),
            may_change_until=_time(lines["may_change_until"]),
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
    operation, service, _pid, _boot, _start, began, deadline, _on, changes, note = line.split()
    return Claim(operation, service, _time(began), _time(deadline), _time(changes), note)


def _time(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError) as strange:
        raise OutcomeUnknown(f"the ledger says {seconds[:80]!r} instead of a time") from strange


def _place(machine: Machine, command: LedgerCommand) -> tuple[str, ...]:
    return machine.ledger, command.operation, command.service, machine.boot_id
