"""The ``hosts_file`` driver: rewrite the names' addresses in a hosts file, then reload."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from activities.ledger.ledger import succeeded
from activities.ledger.store import LedgerCommand
from activities.load_balancer import haproxy_config, hosts_file, hosts_file_scripts
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.nodes.operating_systems import open_ledger
from activities.runtime.partial_reading import PartialReading
from activities.runtime.tracing import effect
from activities.transport.ssh import Command, Shell, script
from workflows.errors import BadInput, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.findings import Finding
from workflows.model.load_balancers import hosts_file_checks as checks
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer, LoadBalancerHost
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.model.text import duration, listed
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

MAX_HOSTS_FILE_BYTES = 60_000
"""The file travels in one command."""

UNREACHABLE = access.load_balancer_unreachable
RELOAD_TIMEOUT = timedelta(seconds=60)


@dataclass(frozen=True)
class _File:
    checksum: str
    text: str


class HostsFileDriver(LoadBalancerDriver):
    """Steers load balancer machines by the addresses in their hosts files (section 2)."""

    def __init__(self, shell: Shell, load_balancer: HostsFileLoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._shell = shell
        self._ledger = open_ledger(shell)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Read the names' addresses, what a redirect may do, and HAProxy's configuration."""
        host = self._host(given.action.host)
        parts, drain_timeout = PartialReading(host.name), given.timing.drain_timeout
        destinations, rights, configuration = await asyncio.gather(
            parts.part(lambda: self._destinations(host), UNREACHABLE, ()),
            parts.part(lambda: self._missing_rights(host), UNREACHABLE, ()),
            parts.part(lambda: self._configuration(host, drain_timeout), UNREACHABLE, ()),
        )
        return PlaceState(destinations, (*parts.failed, *rights, *configuration))

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Rewrite and reload, as one effect.

        The file alone proves nothing: whoever wrote it may never have reloaded. So a reload always
        belongs to this operation, also where the file is right already; ``unchanged`` means that
        the file was, when this operation was claimed. The ledger remembers which of both it was.
        """
        action = given.action
        host = self._host(action.host)
        task = LedgerCommand(given.operation.id, "traffic", Command(()), RELOAD_TIMEOUT)
        if (await self._ledger.read(host, task)).claim is None:
            command = await self._rewrite(host, action.to)
            with effect(given, str(action)):
                await self._ledger.claim(host, replace(task, command=command))
        record = succeeded(await self._ledger.wait_ended(host, task), host.name)
        if record.output.startswith("already"):
            return unchanged(action, f"{host.name} pointed at {action.to} already", record.at)
        return changed(action, f"{host.name} points at {action.to}", record.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the lines that the hosts file gets between our markers, and the reload."""
        host = self._host(action.host)
        lines = hosts_file.entries(self._load_balancer.addresses(action.to))
        return (*(f"{host.hosts_file}: {line}" for line in lines), str(Command(host.reload)))

    async def _destinations(self, host: LoadBalancerHost) -> tuple[Destination, ...]:
        """Return where each name leads now; a name without a line there is unknown."""
        names = self._load_balancer.names
        found = hosts_file.addresses((await self._read(host, host.hosts_file)).text, names)
        return tuple(
            Destination(
                item=name,
                seen=found.get(name),
                cluster=next((c for c, address in own.items() if address == found.get(name)), None),
            )
            for name, own in names.items()
        )

    async def _missing_rights(self, host: LoadBalancerHost) -> tuple[Finding, ...]:
        """Say what a redirect needs and may not do on this machine; changes nothing."""
        command = script(hosts_file_scripts.MAY_REDIRECT, host.hosts_file, *host.reload)
        answer = await self._shell.run(host, command)
        match answer.out.split()[-2:]:
            case ["writable" | "fixed" as file, "runnable" | "refused" as reload]:
                pass
            case _:
                raise OutcomeUnknown(
                    f"{host.name}: the rights that a redirect needs cannot be read: {answer.text}"
                )
        not_runnable = checks.reload_not_runnable.finding(
            host.name,
            seen=f"{host.reload[0]} is missing, or may not be run by {host.ssh.user}",
            expected="a command that makes the load balancer read its hosts file again",
            advice="correct reload in the estate, or give the user the right",
        )
        not_writable = checks.hosts_file_not_writable.finding(
            host.name,
            seen=f"{host.hosts_file} cannot be replaced by {host.ssh.user}",
            expected="a hosts file that a redirect may write",
            advice="give the user the right to write it, and its directory",
        )
        missing = ((not_runnable, reload == "refused"), (not_writable, file == "fixed"))
        return tuple(finding for finding, holds in missing if holds)

    async def _configuration(
        self, host: LoadBalancerHost, drain_timeout: timedelta
    ) -> tuple[Finding, ...]:
        """Judge HAProxy's configuration; nothing where the estate names no file."""
        if (file := host.configuration) is None:
            return ()
        configuration = await self._read(host, file)
        try:
            facts = haproxy_config.read(configuration.text, self._load_balancer.names)
        except OutcomeUnknown as unreadable:
            raise OutcomeUnknown(f"{host.name}: {file}: {unreadable}") from unreadable
        return tuple(_judged(facts, host.name, drain_timeout))

    async def _rewrite(self, host: LoadBalancerHost, cluster: str) -> Command:
        desired = self._load_balancer.addresses(cluster)
        file = await self._read(host, host.hosts_file)
        text = hosts_file.pointed_at(file.text, desired, host.name)
        if hosts_file.addresses(file.text, desired) == desired:
            text = ""
        if len(text.encode()) > MAX_HOSTS_FILE_BYTES:
            raise NotReady(f"{host.name}: {host.hosts_file} is too long to be rewritten safely")
        return script(
            hosts_file_scripts.REWRITE, host.hosts_file, file.checksum, text, *host.reload
        )

    async def _read(self, host: LoadBalancerHost, path: str) -> _File:
        answer = await self._shell.run(host, script(hosts_file_scripts.READ, path))
        _, begun, content = answer.out.partition(hosts_file_scripts.BEGIN_MARK)
        checksum, _, text = content.partition("\n")
        if answer.status != 0 or not begun or not text.endswith(hosts_file_scripts.END_MARK):
            raise OutcomeUnknown(f"{host.name}: {path} cannot be read: {answer.text}")
        return _File(checksum, text.removesuffix(hosts_file_scripts.END_MARK))

    def _host(self, name: str) -> LoadBalancerHost:
        try:
            return self._load_balancer.host(name)
        except KeyError:
            raise BadInput(
                f"the load balancer has no host {name}; check the plan's estate"
            ) from None


def _judged(
    facts: haproxy_config.RedirectFacts, place: str, drain_timeout: timedelta
) -> Iterator[Finding]:
    """Yield what keeps a redirect from moving new connections, and only those."""
    if facts.by_address or facts.unused_names:
        unused = (f"no server is reached as {name}" for name in facts.unused_names)
        yield checks.edges_by_address.finding(
            place,
            seen=listed([*facts.by_address, *unused]),
            expected="servers reached by the names that the estate lists",
            advice="write names instead of addresses; otherwise a redirect moves nothing",
        )
    if facts.sticky_tables:
        yield checks.sticky_entries.finding(
            place,
            seen=listed(facts.sticky_tables),
            expected="no stick table that outlives the redirect",
            advice="pinned clients stay on the source until their entry expires; shorten it",
        )
    if facts.hard_stop_after is not None and facts.hard_stop_after < drain_timeout:
        yield checks.hard_stop_after_short.finding(
            place,
            seen=f"hard-stop-after {duration(facts.hard_stop_after)}",
            expected=f"none, or at least the drain timeout of {duration(drain_timeout)}",
            advice="a reload would cut the transfers that the drain waits for; raise it",
        )
