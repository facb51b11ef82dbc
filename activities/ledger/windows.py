"""The ledger on Windows: the worker decides, and ``cmd.exe`` makes what it decides true at once.

What keeps two decisions apart is the number of a claim: it is the one after all that were read, and
Windows gives it to one of those who ask (see ``windows_lines``).
"""

import asyncio
import secrets
from asyncio import sleep
from datetime import UTC, datetime

from activities.ledger import windows_lines as lines
from activities.ledger.store import Busy, LedgerCommand, LedgerRecord, LedgerStore
from activities.ledger.windows_clock import parse_clock
from activities.ledger.windows_rights import exposed, rights
from activities.ledger.windows_state import (
    KEPT_CLAIMS,
    LedgerState,
    UnbelievableLedger,
    WindowsClaim,
    parse_state,
)
from activities.transport.answer import MAX_LIST
from activities.transport.commands import command_line
from activities.transport.ssh import Shell
from workflows.errors import NotReady, OutcomeUnknown
from workflows.model.estate import Machine
from workflows.preflight.nodes import ledger_advice

BEGINS_WITHIN = 20
"""Seconds for a process to be made and to claim; then its draft is taken back."""
POLL_INTERVAL = 0.3
READINGS = 5
"""So often the claims are read until one that cannot be read or is none stops everything."""
MAX_RACES = 20
"""Others may claim a number first so often."""
MAX_REMOVED = 20
"""Claims that one command line removes."""
REFUSED = "refused "


class WindowsLedger(LedgerStore):
    """Keeps the ledger in files and directories, with ``cmd.exe``."""

    def __init__(self, shell: Shell, *, kept: int = KEPT_CLAIMS) -> None:
        self._shell, self._kept = shell, kept

    async def read(self, machine: Machine, command: LedgerCommand) -> LedgerRecord:
        """Read what is recorded about this command."""
        state = await self._believed(machine)
        claim = state.mine(command)
        if claim is None or not state.attempt(claim).ended:
            return state.record(command, None, "")
        place = machine.below(machine.ledger, claim.word)
        text = await self._run(machine, lines.read_end(place))
        head, shown, output = f"\n{text}".partition("\noutput\n")
        if not shown and "\nlarge " in head:
            output = f"its output is long; it stands in {machine.below(place, 'output')}"
        return state.record(command, _ended(head), output.removesuffix("\n"))

    async def begin(self, machine: Machine, command: LedgerCommand) -> Busy | None:
        """Claim the command and run it."""
        if why := exposed(await self._run(machine, rights(machine.ledger)), machine.ledger):
            advice = ledger_advice(machine, machine.ssh.user)
            raise NotReady(
                f"{machine.name}: others could change what {machine.ledger} says: {why}; {advice}"
            )
        for _ in range(MAX_RACES):
            try:
                state = await self._state(machine)
            except UnbelievableLedger as strange:
                raise NotReady(f"{machine.name}: {strange}") from strange
            if state.mine(command) is not None:
                return None
            if (busy := state.busy(command)) is not None:
                return busy
            claim = _claim(state, command)
            await self._attempt(machine, command, claim)
            if await self._decided(machine, claim):
                await self._remove_old(machine, command, state)
                return None
            # Its number is taken, so its process cannot claim any more.
            await self._run(machine, lines.discard(machine.ledger, claim))
        raise OutcomeUnknown(f"{machine.name}: others claimed a number first, {MAX_RACES} times")

    async def settle(self, machine: Machine, command: LedgerCommand) -> None:
        """Record that the operation is completed."""
        state = await self._believed(machine)
        claim = state.mine(command)
        if claim is not None and state.attempt(claim).ended:
            place = machine.below(machine.ledger, claim.word)
            await self._run(machine, lines.settle(place))

    async def pending_stops(self, machine: Machine) -> tuple[str, ...]:
        """Return the services with a graceful stop that is not completed."""
        return (await self._believed(machine)).pending_stops()

    async def _attempt(self, machine: Machine, command: LedgerCommand, claim: WindowsClaim) -> None:
        printed = await self._run(machine, lines.begin(machine.ledger, claim, str(command.command)))
        for line in printed.splitlines():
            if line.startswith(REFUSED):
                why = line.removeprefix(REFUSED).strip()
                raise NotReady(f"{machine.name}: {machine.ledger} cannot be written: {why}")

    async def _decided(self, machine: Machine, claim: WindowsClaim) -> bool:
        """Return whether the claim was made; False where another has its number.

        Raises:
            OutcomeUnknown: no process made it in time; none will.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + BEGINS_WITHIN
        while True:
            state = await self._believed(machine)
            if state.next > claim.number:
                return any(claim.word == made.word for made in state.claims)
            if clock() >= deadline:
                break
            await sleep(POLL_INTERVAL)
        await self._run(machine, lines.withdraw(machine.ledger, claim))
        state = await self._believed(machine)
        if any(claim.word == made.word for made in state.claims):
            return True
        if f"{claim.word}.withdrawn" not in state.withdrawn:
            raise OutcomeUnknown(
                f"{machine.name}: no process began {claim.operation} within {BEGINS_WITHIN} s, and "
                "it could not be taken back; it may begin yet"
            )
        await self._run(machine, lines.discard(machine.ledger, claim))
        raise OutcomeUnknown(
            f"{machine.name}: no process began {claim.operation} within {BEGINS_WITHIN} s, so it "
            "was taken back; find out there why neither wmic nor PowerShell makes a process"
        )

    async def _remove_old(
        self, machine: Machine, command: LedgerCommand, state: LedgerState
    ) -> None:
        old = state.removable(command, self._kept)[:MAX_REMOVED]
        if old:
            await self._run(machine, lines.remove(machine.ledger, old))

    async def _believed(self, machine: Machine) -> LedgerState:
        try:
            return await self._state(machine)
        except UnbelievableLedger as strange:
            raise OutcomeUnknown(f"{machine.name}: {strange}") from strange

    async def _state(self, machine: Machine) -> LedgerState:
        """Read the ledger, again where a claim cannot be read.

        While its own process or another program has its file open, Windows may show nobody else
        what is in it.
        """
        reading = 1
        while True:
            text = await self._run(machine, lines.read(machine.ledger))
            try:
                return parse_state(text, machine.ledger)
            except UnbelievableLedger:
                if reading == READINGS:
                    raise
            reading += 1
            await sleep(POLL_INTERVAL)

    async def _run(self, machine: Machine, line: str) -> str:
        answer = await self._shell.run(machine, command_line(line), limit=MAX_LIST)
        return answer.out


def _claim(state: LedgerState, command: LedgerCommand) -> WindowsClaim:
    """Return the claim that would be made now."""
    now = state.clock.now
    return WindowsClaim(
        number=state.next,
        operation=command.operation,
        service=command.service,
        began=now,
        # Its process may be made so much later, and what it runs has its whole time from then on.
        deadline=now + int(command.timeout.total_seconds()) + BEGINS_WITHIN,
        completes_on=command.completes_on,
        changes=state.changes(command),
        note=command.note,
        word=secrets.token_hex(8),
    )


def _ended(text: str) -> datetime | None:
    """Return when a command ended; None where its process could not record that any more."""
    try:
        return datetime.fromtimestamp(parse_clock(text.replace("\0", "")).now, UTC)
    except OutcomeUnknown:
        return None
