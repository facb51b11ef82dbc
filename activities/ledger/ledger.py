"""Make each effect on a machine once, however often it is attempted."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from activities.ledger.store import LedgerCommand, LedgerRecord, LedgerStore
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.estate import Machine

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

    async def claim(
        self,
        machine: Machine,
        command: LedgerCommand,
        unneeded: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        """Begin the command unless an attempt has, after open ones of its service.

        *unneeded* is called after such a wait: the open command may have done it already. Returns
        whether the command was begun.

        Raises:
            NotReady: the ledger cannot be written, or another operation does not end.
        """
        while (busy := await self._store(machine).begin(machine, command)) is not None:
            if busy.now > busy.until + OVERDUE_MARGIN:
                raise NotReady(
                    f"{machine.name}: {busy.operation} still runs on {command.service}; "
                    f"check it on the machine, in {machine.ledger}/{busy.operation}"
                )
            await asyncio.sleep(1)
            if unneeded is not None and await unneeded():
                return False
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
        await self._store(machine).settle(machine, command.operation)


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
