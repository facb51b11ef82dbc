"""The ``commands`` driver: a site's own command observes and redirects (docs/drivers.md).

Nothing that the command says about a redirect is believed: it is observed again afterwards.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from activities.ledger.ledger import exit_message, lost
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.load_balancer import commands_answer, commands_scripts, host_ledger
from activities.load_balancer.commands_answer import SiteAnswer
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.nodes.operating_systems import open_ledger, operating_system
from activities.runtime.partial_reading import PartialReading, reading_or_finding
from activities.runtime.tracing import effect
from activities.time_limits import LIMITS
from activities.transport.ssh import Command, Shell, script
from workflows.errors import BadInput, CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers import commands_checks as checks
from workflows.model.load_balancers.commands import CommandHost, CommandsLoadBalancer
from workflows.model.results import Report, changed, unchanged
from workflows.model.text import duration, printable
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

UNREACHABLE = access.load_balancer_unreachable
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
"""Bytes of what a redirect prints: the ledger shows no more."""
ENDING = timedelta(seconds=15)
"""How long a command that is being ended may take, and its record."""
TAKES_EFFECT_WITHIN = timedelta(seconds=15)
"""How long after a redirect an observation may still show another state."""
OBSERVE_INTERVAL = timedelta(seconds=1)

HELD, MOVED = "held", "moved"
"""What is remembered with a claim: whether everything led to the cluster before."""


class CommandsDriver(LoadBalancerDriver):
    """Steers machines by a command of the site's own."""

    def __init__(self, shell: Shell, load_balancer: CommandsLoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._shell = shell
        self._ledger = open_ledger(shell)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Ask the site's command, and read what a redirect may do on the machine."""
        host, parts = self._host(given.action.host), PartialReading(given.action.host)
        answer, rights, ledger = await asyncio.gather(
            reading_or_finding(
                lambda: self._answer(host, given.clusters),
                host.name,
                UNREACHABLE,
                unusable=checks.site_command_unusable,
            ),
            parts.part(lambda: self._missing_right(host, given.clusters), UNREACHABLE, ()),
            parts.part(lambda: self._ledger_findings(host), UNREACHABLE, ()),
        )
        found = (*parts.failed, *rights, *ledger)
        if isinstance(answer, Finding):
            return PlaceState((), (answer, *found))
        return PlaceState(answer.as_destinations(), (*answer.as_findings(host.name), *found))

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Run the command once for this operation, then observe what became of it.

        Where everything leads to the cluster already it is not run, unless this run has begun to
        redirect there before: what such a command left half done does not always show.
        """
        action = given.action
        host = self._host(action.host)
        task = self._task(host, given)
        record = await self._ledger.read(host, task)
        if record.claim is None:
            # What another operation is about to change is no state to judge by.
            await self._ledger.wait_free(host, task)
            held = (await self._answer(host, given.clusters)).clusters == {action.to}
            # An attempt beside this one may have brought that about; its claim was made before.
            record = await self._ledger.read(host, task)
            if held and record.claim is None and record.earlier is None:
                return unchanged(action, f"{host.name} led to {action.to} already", record.at)
            if record.claim is None:
                with effect(given, str(action)):
                    await self._ledger.claim(host, replace(task, note=HELD if held else MOVED))
        record = await self._ledger.wait_ended(host, task)
        # One that was ended, or is lost, may have done its work: what is seen decides.
        if record.status and record.status not in ENDED:
            raise _failed(record, host, action.to)
        seen = await self._observed(host, given)
        if seen.clusters != {action.to}:
            raise _not_redirected(record, host, action.to, seen)
        if record.claim is not None and record.claim.note == HELD:
            message = f"{host.name} led to {action.to} already, and was redirected again"
            return unchanged(action, message, record.at)
        return changed(action, f"{host.name} leads to {action.to}", record.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the command with its words."""
        return (str(_redirecting(self._host(action.host), action.to)),)

    def _task(self, host: CommandHost, given: TrafficInput[Redirect]) -> LedgerCommand:
        """Return what the ledger runs, and how long it may."""
        argv = _redirecting(host, given.action.to).argv
        seconds, pause = (str(int(span.total_seconds())) for span in (host.redirect_timeout, PAUSE))
        return LedgerCommand(
            given.operation.id,
            "traffic",
            script(commands_scripts.REDIRECT, seconds, pause, str(KEPT_OUTPUT), *argv),
            host.redirect_timeout + ENDING,
            completes_on="limit",
            limit=host.redirect_timeout + ENDING,
        )

    async def _observed(self, host: CommandHost, given: TrafficInput[Redirect]) -> SiteAnswer:
        """Observe until everything leads to the cluster, or that should have been so by now."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + TAKES_EFFECT_WITHIN.total_seconds()
        while True:
            seen = await self._answer(host, given.clusters)
            if seen.clusters == {given.action.to} or clock() >= deadline:
                return seen
            await asyncio.sleep(OBSERVE_INTERVAL.total_seconds())

    async def _answer(self, host: CommandHost, clusters: Sequence[Cluster]) -> SiteAnswer:
        """Run the command with ``observe``, and read its answer."""
        command, limit = _observing(host), max(1, int(LIMITS.get().answer) - 1)
        asking = script(commands_scripts.OBSERVE, str(limit), *command.argv)
        try:
            answer = await self._shell.run(
                host, asking, undecodable="surrogateescape", limit=2 * commands_answer.MAX_ANSWER
            )
            if answer.status in ENDED:
                raise OutcomeUnknown(ENDED[answer.status].format(limit=f"{limit} s"))  # noqa: TRY301 - the command is named once, below
            if answer.status:
                printed = answer.text or "it printed nothing"
                raise OutcomeUnknown(f"it ended with {_status(answer.status)}: {printed}")  # noqa: TRY301 - as above
            text = answer.out.encode("utf-8", "surrogateescape")
            return await commands_answer.read(
                text, host.items, [cluster.name for cluster in clusters]
            )
        except OutcomeUnknown as unusable:
            reason = str(unusable).removeprefix(f"{host.name}: ")
            raise OutcomeUnknown(f"{host.name}: `{command}`: {reason}") from unusable

    async def _missing_right(
        self, host: CommandHost, clusters: Sequence[Cluster]
    ) -> tuple[Finding, ...]:
        """Say which of the command's uses the user may not run; runs none of them."""
        uses = [_observing(host), *(_redirecting(host, cluster.name) for cluster in clusters)]
        answers = await asyncio.gather(
            *(
                self._shell.run(host, script(commands_scripts.MAY_OBSERVE_AND_REDIRECT, *use.argv))
                for use in uses
            )
        )
        may = [answer.out.strip() for answer in answers]
        if not set(may) <= {"yes", "no", "timeout"}:
            raise OutcomeUnknown(
                f"{host.name}: the right to run {host.command[0]} cannot be read: {answers[0].text}"
            )
        if set(may) == {"yes"}:
            return ()
        refused = [f"`{use}`" for use, answer in zip(uses, may, strict=True) if answer == "no"]
        seen = f"{host.command[0]} is missing, or {host.ssh.user} may not run {', '.join(refused)}"
        if "timeout" in may:
            seen = f"{host.name} has no program timeout, which ends a command that hangs"
        return (
            checks.site_command_not_runnable.finding(
                host.name,
                seen=seen,
                expected="a command that may be run without a password, and the program timeout",
                advice="correct command in the estate, install what is missing, or give the user "
                "the right",
            ),
        )

    async def _ledger_findings(self, host: CommandHost) -> tuple[Finding, ...]:
        facts = await operating_system(self._shell, host).ledger_facts(host)
        return tuple(host_ledger.judged(facts, host))

    def _host(self, name: str) -> CommandHost:
        try:
            return self._load_balancer.host(name)
        except KeyError:
            raise BadInput(
                f"the load balancer has no host {name}; check the plan's estate"
            ) from None


def _observing(host: CommandHost) -> Command:
    return Command((*host.command, "observe"))


def _redirecting(host: CommandHost, cluster: str) -> Command:
    return Command((*host.command, "redirect", cluster))


def _status(status: int) -> str:
    """Return an exit status, with what a shell means by it."""
    meaning = {NOT_FOUND: " (not found)", NOT_EXECUTABLE: " (not executable)"}
    return f"{status}{meaning.get(status, '')}"


def _failed(record: LedgerRecord, host: CommandHost, to: str) -> CommandFailed:
    """Return the error of a redirect whose command says that it failed."""
    printed = printable(exit_message(record))
    if record.status == TRY_AGAIN_LATER:
        printed = f"it asked for another try for {duration(host.redirect_timeout)}: {printed}"
    return CommandFailed(f"{host.name}: `{_redirecting(host, to)}`: {printed}")


def _not_redirected(
    record: LedgerRecord, host: CommandHost, to: str, seen: SiteAnswer
) -> NotReady | CommandFailed | Lost:
    """Return the error of a redirect after which traffic does not lead to the cluster."""
    if record.lost:
        return lost(record, host.name)
    command, shows = f"{host.name}: `{_redirecting(host, to)}`", f"observe shows {seen}"
    if record.status:
        ended = ENDED[record.status].format(limit=duration(host.redirect_timeout))
        return CommandFailed(f"{command}: {ended}; {shows}")
    return NotReady(
        f"{command} ended with 0, but {shows}; expected {to}; correct the command, or redirect by "
        "hand, then decide `retry`"
    )
