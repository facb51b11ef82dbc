"""Make each effect on a machine once, however often it is attempted."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from activities.ledger.store import Busy, LedgerCommand, LedgerRecord, LedgerStore
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown, Unresolved
from workflows.model.estate import Machine
from workflows.model.text import duration

ALL_SERVICES = "all"
"""The service of an effect that concerns every service of its machine."""

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = 0.2, 2.0
"""Seconds between two readings of a command that runs."""
OVERDUE_MARGIN = timedelta(seconds=30)
"""How long after its deadline an open claim is still waited for."""


class Ledger:
    """The ledgers of all machines."""

    def __init__(self, store_of: Callable[[Machine], LedgerStore]) -> None:
        self._store = store_of

    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Read what is recorded about this command; change nothing."""
        return await self._store(machine).read(machine, command)

    async def wait_free(self, machine: Machine, command: LedgerCommand) -> None:
        """Wait until no other operation is open on the service of the command.

        Raises:
            NotReady: another operation does not end.
        """
        while (busy := (await self.read(machine, command)).busy) is not None:
            await _wait_for(busy, machine, command)

    async def claim(self, machine: Machine, command: LedgerCommand) -> None:
        """Begin the command unless an attempt has, after open ones of its service.

        Raises:
            NotReady: the ledger cannot be written, or another operation does not end.
        """
        while (busy := await self._store(machine).begin(machine, command)) is not None:
            await _wait_for(busy, machine, command)

    async def wait_ended(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Wait until a claimed command has ended, or its process is gone.

        Raises:
            Unresolved: it still runs, although its limit has passed.
        """
        interval, since = FIRST_POLL_INTERVAL, None
        while True:
            record = await self.read(machine, command)
            if record.claim is None:
                raise OutcomeUnknown(f"{machine.name}: {command.operation} was not begun")
            if record.status is not None or record.lost:
                return record
            # Who attaches late, after `retry` for example, waits for a while too.
            since = since or record.now
            again = since + min(command.may_run, OVERDUE_MARGIN)
            if record.now >= max(record.claim.began + command.may_run, again):
                raise Unresolved(still_running(record, machine, command))
            await asyncio.sleep(interval)
            interval = min(interval * 1.5, MAX_POLL_INTERVAL)

    async def run_once(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Run the command in this attempt, unless an earlier one did; return how it ended."""
        if (await self.read(machine, command)).claim is None:
            await self.claim(machine, command)
        return await self.wait_ended(machine, command)

    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        """Record that the desired state was read: later commands need not wait for the deadline."""
        await self._store(machine).settle(machine, command)


async def _wait_for(busy: Busy, machine: Machine, command: LedgerCommand) -> None:
    if busy.now > busy.until + OVERDUE_MARGIN:
        raise NotReady(
            f"{machine.name}: {busy.operation} still runs on {command.service}; "
            f"check it on the machine, under its name in {machine.ledger}"
        )
    await asyncio.sleep(1)


def still_running(record: LedgerRecord, machine: Machine, command: LedgerCommand) -> str:
    """Say of a command that its limit has passed, and where to look."""
    return (
        f"{machine.name}: `{command.command}` still runs, since {record.at:%H:%M:%S} UTC; its "
        f"limit of {duration(command.may_run)} has passed; look at its process there, and at "
        f"{command.operation} in {machine.ledger}; `retry` waits for it again"
    )


def exit_message(record: LedgerRecord) -> str:
    """Return the exit status that is not 0, and what was printed; else nothing."""
    if not record.status:
        return ""
    words = record.output.strip()[-400:] or "it printed nothing"
    return f"the command ended with {record.status}: {words}"


def lost(record: LedgerRecord, place: str) -> Lost:
    """Return the error of a command whose end was never recorded."""
    name = record.claim.operation if record.claim else "the operation"
    return Lost(
        f"{place}: {name} was begun at {record.at:%H:%M:%S} UTC and its process is gone; "
        "check the service there, then decide `retry`"
    )


def succeeded(record: LedgerRecord, place: str) -> LedgerRecord:
    """Return the record of a command that ended well.

    Raises:
        CommandFailed: its exit status is not 0.
        Lost: its end was never recorded; the caller has read the state before.
    """
    if record.claim is None or record.lost:
        raise lost(record, place)
    if message := exit_message(record):
        raise CommandFailed(f"{place}: {message}")
    return record
