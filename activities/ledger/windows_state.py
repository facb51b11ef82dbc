"""What the claims of a ledger on Windows mean for a command; pure.

The rules are those of the POSIX scripts (see ``script``). What differs:

* A claim's process lives as long as it keeps its directory ``alive`` as its current directory,
  which Windows lets nobody remove meanwhile. No number of a process can be used again by another,
  and none outlives a boot. What the command starts leaves that directory at once, so a service
  that was started does not keep it.
* A machine was rebooted since a claim if it was booted after the claim, and its process does not
  live. Windows moves the time of its boot whenever its clock is set, so it is never compared for
  equality.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from activities.ledger.store import Busy, Claim, LedgerCommand, LedgerRecord
from activities.ledger.windows_clock import Clock, parse_clock

ALL = "all"
KEPT_CLAIMS = 200
"""A switchover makes about ten on a machine; every reading reads them all."""
COMPLETES = ("exit", "deadline", "limit")
DAY = 86400
FIELDS = 8
MAX_STATUS_DIGITS = 11

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,179}")
_NOTE = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_TIME = re.compile(r"0|[1-9][0-9]{0,9}")


class UnbelievableLedger(Exception):
    """What stands in a ledger cannot have been written by these scripts; says what and where."""


@dataclass(frozen=True)
class WindowsClaim:
    """One claim; times are seconds since the epoch."""

    number: int
    operation: str
    service: str
    began: int
    deadline: int
    completes_on: str
    changes: int
    note: str
    word: str

    def line(self) -> str:
        """Return how it stands in its file."""
        times = f"{self.began} {self.deadline} {self.completes_on} {self.changes}"
        return f"{self.operation} {self.service} {times} {self.note} {self.word}"


@dataclass
class AttemptState:
    """What the directory of an attempt shows."""

    living: bool = False
    settled: bool = False
    timed: bool = False
    """Whether the time of its end is recorded, too."""
    status: int | None = None

    @property
    def ended(self) -> bool:
        """Whether its exit status, and the time if there will be one, are recorded."""
        return self.status is not None and (self.timed or not self.living)


@dataclass(frozen=True)
class LedgerState:
    """Everything that one reading of a ledger shows."""

    clock: Clock
    claims: tuple[WindowsClaim, ...]
    attempts: Mapping[str, AttemptState]
    withdrawn: frozenset[str] = frozenset()
    """Drafts of claims that were taken back."""

    @property
    def next(self) -> int:
        """The first free number."""
        return 1 + max((claim.number for claim in self.claims), default=0)

    def attempt(self, claim: WindowsClaim) -> AttemptState:
        """Return what is known of a claim's process."""
        return self.attempts.get(claim.word, AttemptState())

    def open(self, claim: WindowsClaim) -> bool:
        """Whether it keeps others from its service."""
        attempt, overdue = self.attempt(claim), self.clock.now >= claim.deadline
        if attempt.settled or self._before_boot(claim):
            return False
        if attempt.ended:
            return claim.completes_on == "deadline" and not overdue
        return not (overdue and (not attempt.living or claim.completes_on == "limit"))

    def mine(self, command: LedgerCommand) -> WindowsClaim | None:
        """Return the claim of an operation; None if it has none."""
        own = (claim for claim in self.claims if claim.operation == command.operation)
        return next(own, None)

    def record(self, command: LedgerCommand, ended: datetime | None, output: str) -> LedgerRecord:
        """Return what the ledger says of a command."""
        claim, others = self.mine(command), self._others(command)
        attempt = self.attempt(claim) if claim else AttemptState()
        of_run = [c.operation for c in others if _run(c.operation) == _run(command.operation)]
        return LedgerRecord(
            now=_time(self.clock.now),
            may_change_until=_time(self.changes(command)),
            busy=self.busy(command),
            earlier=of_run[-1] if of_run else None,
            claim=None if claim is None else _claim(claim),
            living=attempt.living,
            status=attempt.status if attempt.ended else None,
            ended=ended if attempt.ended else None,
            output=output,
        )

    def busy(self, command: LedgerCommand) -> Busy | None:
        """Return the newest open claim of the same service, and until when any of them is open."""
        opened = [claim for claim in self._others(command) if self.open(claim)]
        if not opened:
            return None
        until = max(claim.deadline for claim in opened)
        return Busy(opened[-1].operation, _time(until), _time(self.clock.now))

    def changes(self, command: LedgerCommand) -> int:
        """Return until when an earlier graceful stop may still change the command's service."""
        stops = (c for c in self._others(command) if c.completes_on == "deadline")
        return max((c.deadline for c in stops if not self._before_boot(c)), default=0)

    def pending_stops(self) -> tuple[str, ...]:
        """Return the services that a graceful stop may still change."""
        return tuple(
            claim.service
            for claim in self.claims
            if claim.completes_on == "deadline"
            and self.clock.now < claim.deadline
            and not self._before_boot(claim)
            and not self.attempt(claim).settled
        )

    def removable(self, command: LedgerCommand, kept: int) -> tuple[WindowsClaim, ...]:
        """Return the oldest claims beyond those that are kept, up to the first that is in use."""
        found = []
        for claim in self.claims[: max(0, len(self.claims) - kept)]:
            same_run = _run(claim.operation) == _run(command.operation)
            if self.open(claim) or self.clock.now < claim.deadline or same_run:
                break
            found.append(claim)
        return tuple(found)

    def _others(self, command: LedgerCommand) -> list[WindowsClaim]:
        """Return the claims of other operations that concern the same service, oldest first."""
        return [
            claim
            for claim in self.claims
            if claim.operation != command.operation
            and (claim.service == command.service or ALL in (claim.service, command.service))
        ]

    def _before_boot(self, claim: WindowsClaim) -> bool:
        return self.clock.booted > claim.began and not self.attempt(claim).living


def parse_state(text: str, ledger: str) -> LedgerState:
    """Read what the line of a reading prints (see ``windows_lines``).

    Raises:
        OutcomeUnknown: the machine's time cannot be read.
        UnbelievableLedger: it holds what these scripts do not write.
    """
    # wine's wmic prints two bytes for each character.
    before, _, rest = text.replace("\0", "").partition("\nclaims\n")
    clock = parse_clock(before)
    lines = [line.rstrip() for line in rest.splitlines()]
    names = _names(lines)
    claims = sorted(_claims(lines, ledger, clock.now), key=lambda claim: claim.number)
    numbers = {str(claim.number) for claim in claims} | {"0"}
    if strange := sorted(name for name in names if name.isdigit() and name not in numbers):
        raise UnbelievableLedger(_unreadable(ledger, strange[0]))
    withdrawn = frozenset(name for name in names if name.endswith(".withdrawn"))
    return LedgerState(clock, tuple(claims), _attempts(lines), withdrawn)


def _names(lines: Iterable[str]) -> list[str]:
    return [line.removeprefix("name ") for line in lines if line.startswith("name ")]


def _claims(lines: list[str], ledger: str, now: int) -> Iterable[WindowsClaim]:
    for at, line in enumerate(lines):
        key, _, name = line.partition(" ")
        if key == "claim" and _NUMBER.fullmatch(name) and name != "0":
            words = (lines[at + 1] if at + 1 < len(lines) else "").split()
            yield _read_claim(name, words, ledger, now)


def _read_claim(number: str, words: list[str], ledger: str, now: int) -> WindowsClaim:
    if len(words) != FIELDS:
        raise UnbelievableLedger(_unreadable(ledger, number))
    operation, service, began, deadline, completes_on, changes, note, word = words
    believable = (
        all(map(_WORD.fullmatch, (operation, service, word)))
        and all(map(_TIME.fullmatch, (began, deadline, changes)))
        and _NOTE.fullmatch(note)
        and completes_on in COMPLETES
        and int(began) <= now + DAY
        and max(int(deadline), int(changes)) <= now + 4 * DAY
    )
    if not believable:
        raise UnbelievableLedger(_unreadable(ledger, number))
    times = (int(began), int(deadline), completes_on, int(changes))
    return WindowsClaim(int(number), operation, service, *times, note, word)


def _attempts(lines: Iterable[str]) -> dict[str, AttemptState]:
    found: dict[str, AttemptState] = {}
    attempt = AttemptState()
    for line in lines:
        key, _, value = line.partition(" ")
        if key == "attempt":
            attempt = found.setdefault(value, AttemptState())
        elif key in ("living", "settled", "timed"):
            setattr(attempt, key, True)
        elif key == "status" and re.fullmatch(rf"-?[0-9]{{1,{MAX_STATUS_DIGITS}}}", value):
            attempt.status = int(value)
    return found


def _unreadable(ledger: str, number: str) -> str:
    return (
        f"{ledger}\\claims\\{number} cannot be read, or is no claim: look at it and at the "
        "machine's clock; if no command runs, move it away"
    )


def _run(operation: str) -> str:
    return operation.partition(".")[0]


def _claim(claim: WindowsClaim) -> Claim:
    times = (_time(claim.began), _time(claim.deadline), _time(claim.changes))
    return Claim(claim.operation, claim.service, *times, claim.note)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
