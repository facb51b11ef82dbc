"""What a ledger records, and what an operating system does to keep one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from activities.transport.ssh import Command
from workflows.model.estate import Machine

LONGER = timedelta(minutes=2)
"""A script without a limit of its own may run longer: it ends one service after another."""


@dataclass(frozen=True)
class LedgerCommand:
    """A command as the ledger records it: what runs, on which service, and when it is completed."""

    operation: str
    service: str
    command: Command
    timeout: timedelta
    """From its claim; afterwards it counts as completed unless its process still runs."""
    completes_on: Literal["exit", "deadline", "limit"] = "exit"
    """Completed when its command ends (``exit``); perhaps only when *timeout* has passed
    (``deadline``); when its command ends or *timeout* has passed, whichever is first (``limit``).
    """
    note: str = "-"
    """One word to remember with the claim, for later attempts."""
    limit: timedelta | None = None
    """How long it may run before an operator is asked, if the site or its kind says so."""

    @property
    def may_run(self) -> timedelta:
        """How long it may run before an operator is asked."""
        return self.timeout + LONGER if self.limit is None else self.limit


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
class Busy:
    """Why a command cannot begin yet: another one is open on its service."""

    operation: str
    until: datetime
    now: datetime
    """By the machine's own clock, as *until*."""


@dataclass(frozen=True)
class LedgerRecord:
    """What the ledger says of one command, by the machine's own clock."""

    now: datetime
    may_change_until: datetime
    """As of a claim, for one that would be made now."""
    busy: Busy | None = None
    """Another operation that is open on this service."""
    earlier: str | None = None
    """Another operation of the same run on this service, open or not."""
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


class LedgerStore(ABC):
    """One operating system's way to claim a command, run it detached and record its end.

    A claim is atomic, is on disk before the command runs, and outlives the connection, the worker
    and a reboot; the command runs in a process of its own, which records output and exit status.
    """

    @abstractmethod
    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Read what is recorded about this command; change nothing."""

    @abstractmethod
    async def begin(self, machine: Machine, command: LedgerCommand) -> Busy | None:
        """Claim the command and run it; do nothing if it is claimed already.

        Returns an open command of the same service, which must be completed first.

        Raises:
            NotReady: the ledger cannot be written.
        """

    @abstractmethod
    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        """Record that the operation is completed, although its deadline has not passed."""
