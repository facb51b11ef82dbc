"""The ``commands`` driver: a site's own command observes a link, suspends and resumes it.

Nothing that the command says about a change is believed: the link is observed again. The ledger of
the machine makes each change once for each operation.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from activities.ledger.ledger import Ledger, lost
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.nodes import machine_ledger, missing_programs
from activities.nodes.operating_system import Use
from activities.nodes.operating_systems import open_ledger
from activities.replication.commands_answers import Compared, Missing, Observed, Position
from activities.replication.driver import LinkStatus
from activities.runtime.partial_reading import PartialReading, reading_or_finding
from activities.site_commands.answer import parse
from activities.site_commands.commands import ENDED, SiteCommands, changing, ended, failed
from activities.transport.ssh import Command, Shell
from workflows.errors import NotReady, NotYet, OutcomeUnknown, SwitchoverError
from workflows.model.actions import ResumeReplication, SuspendReplication
from workflows.model.base import Value
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.observations import ReplicationReading
from workflows.model.replications import commands_checks as checks
from workflows.model.replications.commands import CommandLink, CommandsReplication
from workflows.model.text import listed
from workflows.ports.replication import ReplicationInput
from workflows.preflight import access
from workflows.preflight.replication import excluded_tables_replicated

D = TypeVar("D", bound=Value)

UNREACHABLE = access.database_unreachable
SUSPEND, RESUME = "suspend", "resume"
USES = (("observe",), ("position",), ("missing", "0"), ("compare",), (SUSPEND,), (RESUME,))
"""Every use of the command; a position is any word, and none is known beforehand."""


@dataclass(frozen=True)
class CommandsDriver:
    """One direction of replication, which a command of the site's own controls."""

    shell: Shell
    given: ReplicationInput[Any]
    replication: CommandsReplication
    link: CommandLink
    host: Machine
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        """Open the ledger of the link's machine."""
        object.__setattr__(self, "ledger", open_ledger(self.shell))

    @classmethod
    def of(cls, shell: Shell, given: ReplicationInput[Any]) -> CommandsDriver:
        """Return the driver of the input's link; connects to no machine."""
        replication = given.replication
        if not isinstance(replication, CommandsReplication):
            raise AssertionError(replication)  # noqa: TRY004 - the driver is registered for this type
        [link] = [link for link in replication.links if link.name == given.link.name]
        return cls(shell, given, replication, link, replication.host(link.host))

    async def observe(self) -> ReplicationReading:
        """Ask the site's command, and read what a change of the link needs on the machine."""
        name, parts = self.link.name, PartialReading(self.link.name)
        seen, rights, ledger, programs = await asyncio.gather(
            reading_or_finding(
                self._observed, name, UNREACHABLE, unusable=checks.replication_command_unusable
            ),
            parts.part(self._missing_right, UNREACHABLE, ()),
            parts.part(self._ledger_findings, UNREACHABLE, ()),
            parts.part(self._missing_programs, UNREACHABLE, ()),
        )
        found = (*rights, *ledger, *programs)
        if isinstance(seen, Finding):
            others = (one for one in parts.findings if one.name != seen.name)
            return ReplicationReading(place=name, findings=(seen, *others, *found))
        found = (*parts.findings, *found, *self._findings(seen))
        unsaid = {}
        if seen.exists and seen.tables is None:
            unsaid[excluded_tables_replicated.name] = "the command does not say which it carries"
        if seen.exists and seen.lag is None:
            unsaid[checks.replication_behind.name] = "the command says nothing of a lag"
        return ReplicationReading(
            place=name,
            exists=seen.exists,
            enabled=seen.enabled,
            running=seen.running,
            sends_back=seen.sends_back,
            tables=tuple(table.lower() for table in seen.tables or ()),
            findings=found,
            not_read=unsaid,
        )

    async def status(self) -> LinkStatus:
        """Read whether the link replicates, as soon as no other operation is changing it.

        Raises:
            NotReady: there is no such link.
            NotYet: another operation is changing it: what it is about to change is no state to
                judge by.
        """
        await self._require_free()
        seen = await self._observed()
        if not seen.exists:
            raise NotReady(
                f"{self.link.name}: `{self._command('observe')}` says that there is no such link; "
                "create it, or correct the estate"
            )
        return LinkStatus(bool(seen.enabled), bool(seen.running))

    async def position(self) -> str:
        """Return up to where the publisher has written, as the command says it."""
        return (await self._ask(Position, "position")).position

    async def missing(self, position: str) -> str:
        """Return what the command says that the subscriber lacks of it."""
        return (await self._ask(Missing, "missing", position)).missing

    async def require_no_conflicts(self) -> str:
        """Let the command compare; refuse where it cannot, unless an operator accepted that."""
        compare, name = self._command("compare"), self.link.name
        conflicts = (await self._ask_at_length(Compared, "compare")).conflicts
        if conflicts:
            raise NotReady(
                f"{name}: both sides wrote the same rows: {listed(conflicts)}; decide which of "
                "each counts, remove the other one, then decide `retry`"
            )
        if conflicts is not None:
            return ""
        if checks.conflicts_not_told.name in self.given.accepted:
            return f"`{compare}` cannot tell, which was accepted"
        publisher, subscriber = self.given.publisher.name, self.given.subscriber.name
        raise NotReady(
            f"{name}: `{compare}` cannot tell whether both sides wrote the same rows; compare what "
            f"was written on {publisher} and on {subscriber} since replication was suspended; if "
            f"no row was written on both, run `{self._command(RESUME)}` on {self.host.name} by "
            "hand, then decide `retry`"
        )

    async def suspend(self, within: float) -> None:
        """Run the command with ``suspend``, once for this operation."""
        await self._change(SUSPEND, within, enables=False)

    async def resume(self, within: float) -> None:
        """Run the command with ``resume``, once for this operation."""
        await self._change(RESUME, within, enables=True)

    def preview(self, action: SuspendReplication | ResumeReplication) -> str:
        """Return the command with its words, and the machine that it runs on."""
        word = SUSPEND if isinstance(action, SuspendReplication) else RESUME
        return f"{self.host.name}: {self._command(word)}"

    async def _change(self, word: str, within: float, *, enables: bool) -> None:
        """Run the command unless an attempt before this one has; then wait for its end.

        Raises:
            OutcomeUnknown: it runs still, or how it ended says nothing; the link is to be read.
            NotReady: it ended with 0 in an earlier attempt, and the link is not as it should be.
            CommandFailed: it says that it failed.
            Lost: its end was never recorded, and the link is not as it should be.
        """
        task, command = self._task(word), self._command(word)
        begun = await self.ledger.read(self.host, task)
        try:
            async with asyncio.timeout(within) as limit:
                if begun.claim is None:
                    await self.ledger.claim(self.host, task)
                record = await self.ledger.wait_ended(self.host, task)
        except TimeoutError as late:
            if not limit.expired():
                raise
            raise OutcomeUnknown(
                f"{self.host.name}: `{command}` still runs; it is waited for, and not run again"
            ) from late
        if record.status and record.status not in ENDED:
            raise failed(record, self.host, command, self.link.change_timeout)
        if begun.lost or begun.status is not None:
            seen = await self._observed()
            if seen.enabled is not enables:
                # It had ended before this attempt, so that its effect should show by now.
                raise self._without_effect(record, command, seen)
        if record.lost or record.status:
            how = "is lost" if record.lost else ended(record, self.link.change_timeout)
            raise OutcomeUnknown(f"{self.host.name}: `{command}`: {how}")

    def _without_effect(
        self, record: LedgerRecord, command: Command, seen: Observed
    ) -> SwitchoverError:
        if record.lost:
            return lost(record, self.host.name)
        return NotReady(
            f"{self.host.name}: `{command}`: {ended(record, self.link.change_timeout)}, but "
            f"observe shows enabled: {seen.enabled}, running: {seen.running}; correct the command, "
            "or do by hand what it should do, then decide `retry`"
        )

    async def _require_free(self) -> None:
        record = await self.ledger.read(self.host, self._task(SUSPEND))
        if record.busy is not None:
            raise NotYet(
                f"{self.link.name}: {record.busy.operation} still runs on {self.host.name}; it is "
                "waited for"
            )

    async def _observed(self) -> Observed:
        return await self._ask(Observed, "observe")

    async def _ask(self, kind: type[D], *words: str) -> D:
        """Run the command with these words, and read its answer."""
        return await SiteCommands(self.shell).ask(
            self.host,
            self._command(*words),
            partial(parse, kind=kind),
            self.replication.reading_timeout,
        )

    async def _ask_at_length(self, kind: type[D], *words: str) -> D:
        """Do the same with as much time as the estate gives to any answer."""
        return await SiteCommands(self.shell).ask(
            self.host, self._command(*words), partial(parse, kind=kind)
        )

    def _command(self, *words: str) -> Command:
        return Command((*self.link.command, *words))

    def _task(self, word: str) -> LedgerCommand:
        """Return what the ledger runs; a change of a link waits for the one before."""
        service = f"replication.{self.link.name}"
        return changing(
            self.given.operation, service, self._command(word), self.link.change_timeout
        )

    def _findings(self, seen: Observed) -> tuple[Finding, ...]:
        """Return what the command reports, and what its answer means."""
        name, limit = self.link.name, self.link.lag_limit
        found = [one.of(checks.replication_command_reports, name) for one in seen.findings]
        if seen.lag is not None and seen.lag.amount > limit:
            found.append(
                checks.replication_behind.finding(
                    name,
                    seen=f"{self.link.target} is {seen.lag.amount:g} {seen.lag.unit} behind "
                    f"{self.link.source}",
                    expected=f"at most {limit:g} {seen.lag.unit}",
                    advice="find out what delays the subscriber; stage 2 waits until nothing is "
                    "behind",
                )
            )
        if seen.exists and not seen.compares:
            found.append(
                checks.conflicts_not_told.finding(
                    name,
                    seen=f"`{self._command('compare')}` cannot tell which rows both sides wrote",
                    expected="a rollback and a rejoin compare both sides before they resume",
                    advice="let the command compare, or accept it with a reason: then a rollback "
                    "and a rejoin resume without a comparison, and rows that both sides wrote "
                    "may differ or stop replication",
                )
            )
        return tuple(found)

    async def _missing_right(self) -> tuple[Finding, ...]:
        uses = [self._command(*words) for words in USES]
        if not (seen := await SiteCommands(self.shell).missing_right(self.host, uses)):
            return ()
        return (
            checks.replication_command_not_runnable.finding(
                self.link.name,
                seen=seen,
                expected="a command that may be run without a password, and the program timeout",
                advice="correct command in the estate, install what is missing, or give the user "
                "the right",
            ),
        )

    async def _missing_programs(self) -> tuple[Finding, ...]:
        check, use = checks.replication_program_missing, Use.SITE_COMMAND
        place = self.link.name
        return await missing_programs.findings(self.shell, self.host, use, check, place)

    async def _ledger_findings(self) -> tuple[Finding, ...]:
        check = checks.replication_ledger_not_usable
        return await machine_ledger.findings(self.shell, self.host, check, self.link.name)
