"""Run a site's own command: ask it something, or let it change something once per operation.

Nothing that a command says about a change is believed: who lets it change something reads the
state afterwards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from activities.ledger.ledger import exit_message
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.site_commands import scripts
from activities.site_commands.answer import MAX_ANSWER
from activities.time_limits import LIMITS
from activities.transport.ssh import Command, Shell, script
from workflows.errors import CommandFailed, OutcomeUnknown
from workflows.model.machines import Machine
from workflows.model.results import Operation
from workflows.model.text import duration, printable

T = TypeVar("T")

ENDED = {
    124: "it did not end within {limit}, and was ended",
    137: "it was killed, perhaps as it did not end within {limit}",
}
"""By the status of ``timeout``: what became of a command that did not end by itself."""
NOT_FOUND, NOT_EXECUTABLE = 127, 126
TRY_AGAIN_LATER = 75
"""EX_TEMPFAIL of ``sysexits.h``: nothing was changed."""
PAUSE = timedelta(seconds=5)
"""Before a command that asks for another try gets one."""
KEPT_OUTPUT = 3000
"""Bytes of what a change prints: the ledger shows no more."""
ENDING = timedelta(seconds=15)
"""How long a command that is being ended may take, and its record."""


class SiteCommands:
    """The commands of a site, on machines that are reached over SSH."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def ask(
        self,
        machine: Machine,
        command: Command,
        read: Callable[[bytes], Awaitable[T]],
        within: timedelta | None = None,
    ) -> T:
        """Run a command that changes nothing, and return what *read* makes of its output.

        It may take as long as one answer may, or *within* if that is less.

        Raises:
            OutcomeUnknown: it failed, did not end in time, or printed what cannot be read.
        """
        limit = max(1, int(LIMITS.get().answer) - 1)
        if within is not None:
            limit = max(1, min(limit, int(within.total_seconds())))
        asking = script(scripts.ASK, str(limit), *command.argv)
        try:
            answer = await self._shell.run(
                machine, asking, undecodable="surrogateescape", limit=2 * MAX_ANSWER
            )
            if answer.status in ENDED:
                raise OutcomeUnknown(ENDED[answer.status].format(limit=f"{limit} s"))  # noqa: TRY301 - the command is named once, below
            if answer.status:
                printed = answer.text or "it printed nothing"
                raise OutcomeUnknown(f"it ended with {_status(answer.status)}: {printed}")  # noqa: TRY301 - as above
            return await read(answer.out.encode("utf-8", "surrogateescape"))
        except OutcomeUnknown as unusable:
            reason = str(unusable).removeprefix(f"{machine.name}: ")
            raise OutcomeUnknown(f"{machine.name}: `{command}`: {reason}") from unusable

    async def missing_right(self, machine: Machine, uses: Sequence[Command]) -> str:
        """Return which of the uses the machine's user may not run, as a sentence; runs none."""
        answers = await asyncio.gather(
            *(
                self._shell.run(machine, script(scripts.MAY_ASK_AND_CHANGE, *use.argv))
                for use in uses
            )
        )
        may, program = [answer.out.strip() for answer in answers], uses[0].argv[0]
        if not set(may) <= {"yes", "no", "timeout"}:
            raise OutcomeUnknown(
                f"{machine.name}: the right to run {program} cannot be read: {answers[0].text}"
            )
        if set(may) == {"yes"}:
            return ""
        if "timeout" in may:
            return f"{machine.name} has no program timeout, which ends a command that hangs"
        refused = [f"`{use}`" for use, answer in zip(uses, may, strict=True) if answer == "no"]
        return f"{program} is missing, or {machine.ssh.account} may not run {', '.join(refused)}"


def changing(
    operation: Operation, service: str, command: Command, limit: timedelta, note: str = "-"
) -> LedgerCommand:
    """Return what the ledger runs for a command that changes something, and how long it may."""
    seconds, pause = (str(int(span.total_seconds())) for span in (limit, PAUSE))
    return LedgerCommand(
        operation.id,
        service,
        script(scripts.CHANGE, seconds, pause, str(KEPT_OUTPUT), *command.argv),
        limit + ENDING,
        completes_on="limit",
        note=note,
        limit=limit + ENDING,
    )


def failed(
    record: LedgerRecord, machine: Machine, command: Command, limit: timedelta
) -> CommandFailed:
    """Return the error of a change whose command says that it failed."""
    printed = printable(exit_message(record))
    if record.status == TRY_AGAIN_LATER:
        printed = f"it asked for another try for {duration(limit)}: {printed}"
    return CommandFailed(f"{machine.name}: `{command}`: {printed}")


def ended(record: LedgerRecord, limit: timedelta) -> str:
    """Say how a command ended that did not end by itself, or with 0."""
    return ENDED[record.status].format(limit=duration(limit)) if record.status else "ended with 0"


def _status(status: int) -> str:
    """Return an exit status, with what a shell means by it."""
    meaning = {NOT_FOUND: " (not found)", NOT_EXECUTABLE: " (not executable)"}
    return f"{status}{meaning.get(status, '')}"
