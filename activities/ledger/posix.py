"""The ledger of a POSIX system: runs the shell scripts, and reads what they print."""

import secrets
from datetime import UTC, datetime

from activities.ledger.script import CLAIM, DETACHED, READ, SETTLE
from activities.ledger.store import Busy, Claim, LedgerCommand, LedgerRecord, LedgerStore
from activities.transport.ssh import Shell, script
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.estate import Machine

BUSY, REFUSED = "busy ", "refused "


class PosixLedger(LedgerStore):
    """Keeps the ledger in files, with POSIX sh, ``/proc`` and hard links."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Read what is recorded about this command."""
        answer = await self._shell.run(machine, script(READ, *_place(machine, command)))
        _require_believable(answer.out, machine.name)
        return parse_record(answer.out, machine.name)

    async def begin(self, machine: Machine, command: LedgerCommand) -> Busy | None:
        """Claim the command and run it."""
        place, seconds = _place(machine, command), str(int(command.timeout.total_seconds()))
        # Nobody could have prepared an outcome under a word that is made now.
        claim = (seconds, command.completes_on, command.note, secrets.token_hex(8))
        arguments = (*place, *claim, *command.command.argv)
        answer = await self._shell.run(machine, script(CLAIM, DETACHED, *arguments))
        if answer.status != 0:
            raise OutcomeUnknown(f"{machine.name}: the ledger answered {answer.text!r}")
        refusal = _line(answer.out, (BUSY, REFUSED))
        match refusal.split():
            case []:
                return None
            case ["busy", operation, until, now]:
                return Busy(operation, _time(until), _time(now))
        raise NotReady(f"{machine.name}: {refusal.removeprefix(REFUSED)}")

    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        """Record that the operation is completed."""
        answer = await self._shell.run(machine, script(SETTLE, *_place(machine, command)))
        _require_believable(answer.out, machine.name)


def _line(text: str, beginnings: tuple[str, ...]) -> str:
    """Return the first line that begins so; a login shell may print what it likes before."""
    return next((line for line in text.splitlines() if line.startswith(beginnings)), "")


def _require_believable(text: str, place: str) -> None:
    """Raise OutcomeUnknown where the script says why it believes nothing there."""
    if refusal := _line(text.partition("\noutput\n")[0], (REFUSED,)):
        raise OutcomeUnknown(f"{place}: {refusal.removeprefix(REFUSED)}")


def parse_record(text: str, place: str) -> LedgerRecord:
    """Read what the script prints; OutcomeUnknown where the reading is not whole."""
    body, _, end = text.rstrip("\n").rpartition("\n")
    if end != "end":
        raise OutcomeUnknown(f"{place}: the ledger could not be read: {text.strip()[-200:]!r}")
    head, _, output = body.partition("\noutput\n")
    lines = dict(line.split(" ", 1) for line in head.splitlines() if " " in line)
    try:
        now = _time(lines["now"])
        status = lines["status"].split() if "status" in lines else None
        return LedgerRecord(
            now=now,
            may_change_until=_time(lines["may_change_until"]),
            busy=_busy(lines["busy"], now) if "busy" in lines else None,
            earlier=lines.get("earlier"),
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


def _busy(line: str, now: datetime) -> Busy:
    operation, until = line.split()
    return Busy(operation, _time(until), now)


def _time(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError) as strange:
        raise OutcomeUnknown(f"the ledger says {seconds[:80]!r} instead of a time") from strange


def _place(machine: Machine, command: LedgerCommand) -> tuple[str, ...]:
    return machine.ledger, command.operation, command.service, machine.boot_id
