"""The ``commands`` driver: a site's own command observes and redirects (docs/drivers.md).

Nothing that the command says about a redirect is believed: it is observed again afterwards.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from activities.ledger.ledger import lost
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.load_balancer import commands_answer
from activities.load_balancer.commands_answer import SiteAnswer
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.load_balancer.host_ledger import ledger_findings, program_findings
from activities.nodes.operating_system import Use
from activities.nodes.operating_systems import open_ledger
from activities.runtime.partial_reading import PartialReading, reading_or_finding
from activities.runtime.tracing import effect
from activities.site_commands.commands import ENDED, SiteCommands, changing, ended, failed
from activities.transport.ssh import Command, Shell
from workflows.errors import CommandFailed, Lost, NotReady
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers import commands_checks as checks
from workflows.model.load_balancers.commands import CommandHost, CommandsLoadBalancer
from workflows.model.results import Report, changed, unchanged
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

UNREACHABLE = access.load_balancer_unreachable
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
        self._commands = SiteCommands(shell)
        self._ledger = open_ledger(shell)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Ask the site's command, and read what a redirect may do on the machine."""
        host, parts = self._load_balancer.host(given.action.host), PartialReading(given.action.host)
        answer, rights, ledger, programs = await asyncio.gather(
            reading_or_finding(
                lambda: self._answer(host, given.clusters),
                host.name,
                UNREACHABLE,
                unusable=checks.site_command_unusable,
            ),
            parts.part(lambda: self._missing_right(host, given.clusters), UNREACHABLE, ()),
            parts.part(lambda: ledger_findings(self._shell, host), UNREACHABLE, ()),
            parts.part(
                lambda: program_findings(self._shell, host, Use.SITE_COMMAND), UNREACHABLE, ()
            ),
        )
        found = (*parts.failed, *rights, *ledger, *programs)
        if isinstance(answer, Finding):
            return PlaceState((), (answer, *found))
        return PlaceState(answer.as_destinations(), (*answer.as_findings(host.name), *found))

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Run the command once for this operation, then observe what became of it.

        Where everything leads to the cluster already it is not run, unless this run has begun to
        redirect there before: what such a command left half done does not always show.
        """
        action = given.action
        host = self._load_balancer.host(action.host)
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
            raise failed(record, host, _redirecting(host, action.to), host.redirect_timeout)
        seen = await self._observed(host, given)
        if seen.clusters != {action.to}:
            raise _not_redirected(record, host, action.to, seen)
        if record.claim is not None and record.claim.note == HELD:
            message = f"{host.name} led to {action.to} already, and was redirected again"
            return unchanged(action, message, record.at)
        return changed(action, f"{host.name} leads to {action.to}", record.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the command with its words."""
        return (str(_redirecting(self._load_balancer.host(action.host), action.to)),)

    def _task(self, host: CommandHost, given: TrafficInput[Redirect]) -> LedgerCommand:
        """Return what the ledger runs, and how long it may."""
        command = _redirecting(host, given.action.to)
        return changing(given.operation, "traffic", command, host.redirect_timeout)

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
        names = [cluster.name for cluster in clusters]
        return await self._commands.ask(
            host, _observing(host), lambda text: commands_answer.read(text, host.items, names)
        )

    async def _missing_right(
        self, host: CommandHost, clusters: Sequence[Cluster]
    ) -> tuple[Finding, ...]:
        """Say which of the command's uses the user may not run; runs none of them."""
        uses = [_observing(host), *(_redirecting(host, cluster.name) for cluster in clusters)]
        if not (seen := await self._commands.missing_right(host, uses)):
            return ()
        return (
            checks.site_command_not_runnable.finding(
                host.name,
                seen=seen,
                expected="a command that may be run without a password, and the program timeout",
                advice="correct command in the estate, install what is missing, or give the user "
                "the right",
            ),
        )


def _observing(host: CommandHost) -> Command:
    return Command((*host.command, "observe"))


def _redirecting(host: CommandHost, cluster: str) -> Command:
    return Command((*host.command, "redirect", cluster))


def _not_redirected(
    record: LedgerRecord, host: CommandHost, to: str, seen: SiteAnswer
) -> NotReady | CommandFailed | Lost:
    """Return the error of a redirect after which traffic does not lead to the cluster."""
    if record.lost:
        return lost(record, host.name)
    command, shows = f"{host.name}: `{_redirecting(host, to)}`", f"observe shows {seen}"
    if record.status:
        return CommandFailed(f"{command}: {ended(record, host.redirect_timeout)}; {shows}")
    return NotReady(
        f"{command} ended with 0, but {shows}; expected {to}; correct the command, or redirect by "
        "hand, then decide `retry`"
    )
