"""The ``haproxy`` driver: tell a running HAProxy its servers' addresses, and write them down.

A session that is open keeps its connection, and only new ones go to the new address. No entry of a
stick table has to be cleared: it names a server, and that server is now at the new address.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from activities.ledger.ledger import succeeded
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.load_balancer import file_mounts, haproxy_runtime
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.load_balancer.edited_file import EditedFile, FileContent
from activities.load_balancer.haproxy_runtime import Runtime, RuntimeReading, Unusable
from activities.load_balancer.haproxy_server_findings import OF_SERVERS, Site
from activities.load_balancer.haproxy_servers import Configuration
from activities.load_balancer.host_ledger import ledger_findings, program_findings
from activities.load_balancer.hosts_file import Edit
from activities.nodes.operating_system import Use
from activities.nodes.operating_systems import open_ledger
from activities.runtime.partial_reading import PartialReading
from activities.runtime.tracing import effect
from activities.transport.ssh import Command, Shell, script
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.findings import Finding
from workflows.model.load_balancers import haproxy_checks as checks
from workflows.model.load_balancers.haproxy import (
    HaproxyHost,
    HaproxyLoadBalancer,
    address_and_port,
)
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

UNREACHABLE = access.load_balancer_unreachable
REDIRECT_TIMEOUT = timedelta(seconds=60)


class HaproxyDriver(LoadBalancerDriver):
    """Steers load balancer machines by the runtime sockets of their HAProxy."""

    def __init__(self, shell: Shell, load_balancer: HaproxyLoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._shell = shell
        self._ledger = open_ledger(shell)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Read what HAProxy has, what its configuration says, and what a redirect may do."""
        host = self._load_balancer.host(given.action.host)
        parts = PartialReading(host.name)
        site = Site(host, self._load_balancer.servers, given.clusters)
        running, file = await asyncio.gather(
            parts.part(lambda: self._running(host), UNREACHABLE, None),
            parts.part(lambda: _file(host).read(self._shell), UNREACHABLE, None),
        )
        configuration = await parts.part(lambda: self._parsed(host, file), UNREACHABLE, None)
        rights, ledger, programs, (mounts, not_read) = await asyncio.gather(
            parts.part(lambda: self._missing_rights(site, file, configuration), UNREACHABLE, ()),
            parts.part(lambda: ledger_findings(self._shell, host), UNREACHABLE, ()),
            parts.part(
                lambda: program_findings(self._shell, host, Use.EDITED_FILE), UNREACHABLE, ()
            ),
            parts.part(lambda: self._mounts(host, configuration), UNREACHABLE, ((), {})),
        )
        found = [*parts.failed, *rights, *ledger, *programs, *mounts]
        if file is not None and configuration is not None:
            found += site.of_configuration(file.content, configuration)
        if running is None:
            return PlaceState((), tuple(found), not_read)
        found += site.of_reading(running, configuration)
        if isinstance(running.runtime, Unusable):
            unread = dict.fromkeys(OF_SERVERS, running.runtime.seen)
            return PlaceState((), tuple(found), {**unread, **not_read})
        return PlaceState(self._destinations(running.runtime), tuple(found), not_read)

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Write the addresses down, and tell them to HAProxy, as one effect.

        The configuration comes first: if HAProxy is reloaded in between, it goes to the new side
        and not back. ``unchanged`` means that both had the addresses when this operation was
        claimed. Only an undo of what this run never did here leaves the machine alone.
        """
        action = given.action
        host = self._load_balancer.host(action.host)
        told = Command(tuple(self._told(action.to)[0].split()))
        task = LedgerCommand(
            *(given.operation.id, "traffic", told, REDIRECT_TIMEOUT),
            completes_on="limit",
            limit=REDIRECT_TIMEOUT,
        )
        record = await self._ledger.read(host, task)
        if record.claim is None:
            # What another operation is about to change is no state to judge by.
            await self._ledger.wait_free(host, task)
            runtime = await self._usable(host)
            if given.operation.undoes and not record.earlier and self._leads_to(runtime, action.to):
                message = f"{host.name} points at {action.to}; this run has not redirected it"
                return unchanged(action, message, record.at)
            command = await self._redirecting(host, runtime, action.to)
            with effect(given, str(action)):
                await self._ledger.claim(host, replace(task, command=command))
        record = _ended(await self._ledger.wait_ended(host, task), host, action.to)
        if record.output.split() == ["already", "unchanged"]:
            return unchanged(action, f"{host.name} pointed at {action.to} already", record.at)
        return changed(action, f"{host.name} points at {action.to}", record.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return what is written into the configuration and told to HAProxy."""
        host = self._load_balancer.host(action.host)
        wanted = self._load_balancer.endpoints(action.to)
        written = (f"{host.configuration}: {server} {at}" for server, at in wanted.items())
        saved = (f"show servers state > {host.state_file}",) if host.state_file else ()
        return (*written, *self._told(action.to), *saved)

    def _told(self, cluster: str) -> tuple[str, ...]:
        wanted = self._load_balancer.endpoints(cluster).items()
        return tuple(
            f"set server {server} addr {address} port {port}"
            for server, (address, port) in ((one, address_and_port(at)) for one, at in wanted)
        )

    def _destinations(self, runtime: Runtime) -> tuple[Destination, ...]:
        """Return where HAProxy sends the clients of each server; one that it lacks is unknown."""
        return tuple(
            Destination(
                item=name,
                seen=runtime.servers[name].endpoint if name in runtime.servers else None,
                cluster=_cluster(own, runtime, name),
            )
            for name, own in self._load_balancer.servers.items()
        )

    def _leads_to(self, runtime: Runtime, cluster: str) -> bool:
        return all(one.cluster == cluster for one in self._destinations(runtime))

    async def _running(self, host: HaproxyHost) -> RuntimeReading:
        command = script(haproxy_runtime.READ, host.socket, host.state_file or "")
        limit = 2 * haproxy_runtime.MAX_STATE
        answer = await self._shell.run(host, command, limit=limit)
        try:
            return haproxy_runtime.reading(answer.out, answer.err, host.socket, host.ssh.account)
        except OutcomeUnknown as strange:
            raise OutcomeUnknown(f"{host.name}: {strange}") from strange

    async def _usable(self, host: HaproxyHost) -> Runtime:
        """Return what HAProxy has; NotReady where a redirect could tell it nothing."""
        runtime = (await self._running(host)).runtime
        if isinstance(runtime, Unusable):
            raise NotReady(f"{host.name}: {runtime.seen}; {runtime.advice}, then decide `retry`")
        if runtime.level != haproxy_runtime.LEVELS[-1]:
            raise NotReady(
                f"{host.name}: {host.socket} has the level {runtime.level}, and a redirect needs "
                "admin; correct `stats socket`, then decide `retry`"
            )
        return runtime

    async def _redirecting(self, host: HaproxyHost, runtime: Runtime, cluster: str) -> Command:
        """Return what redirects; NotReady where HAProxy or its configuration is not as expected."""
        file = await _file(host).read(self._shell)
        try:
            configuration = Configuration(file.content, self._load_balancer.servers)
        except OutcomeUnknown as unreadable:
            raise NotReady(f"{host.name}: {host.configuration}: {unreadable}") from unreadable
        missing = (
            f"the running HAProxy has no {server}"
            for server in self._load_balancer.servers
            if server not in runtime.servers
        )
        unclear = (f"{host.configuration}: {reason}" for reason in configuration.objections)
        if objections := "; ".join((*missing, *unclear)):
            raise NotReady(f"{host.name}: {objections}; correct that, then decide `retry`")
        words = (
            word
            for server, at in self._load_balancer.endpoints(cluster).items()
            for word in (server, *map(str, address_and_port(at)))
        )
        then = script(haproxy_runtime.REDIRECT, host.socket, host.state_file or "", *words)
        return _file(host).rewriting(file, configuration.edits(cluster), then)

    async def _parsed(self, host: HaproxyHost, file: FileContent | None) -> Configuration | None:
        if file is None:
            return None
        try:
            return Configuration(file.content, self._load_balancer.servers)
        except OutcomeUnknown as unreadable:
            raise OutcomeUnknown(f"{host.name}: {host.configuration}: {unreadable}") from unreadable

    async def _missing_rights(
        self, site: Site, file: FileContent | None, configuration: Configuration | None
    ) -> tuple[Finding, ...]:
        """Say what a redirect may not do to the configuration; nothing where it changes none."""
        changes = self._most_edits(configuration)
        if file is None or not changes:
            return ()
        edited = _file(site.host)
        rights = await edited.rights(self._shell, file.content, changes, Command(("sh",)))
        return tuple(site.of_rights(rights))

    async def _mounts(
        self, host: HaproxyHost, configuration: Configuration | None
    ) -> tuple[tuple[Finding, ...], dict[str, str]]:
        """Find who would not see what a redirect writes, or say why that cannot be told."""
        if not self._most_edits(configuration):
            return (), {}
        check = checks.haproxy_configuration_mounted_elsewhere
        mounts, reason = await _file(host).mounts(self._shell)
        findings = file_mounts.judged(mounts, check, host.name, host.configuration, host.write)
        return tuple(findings), {check.name: reason} if reason else {}

    def _most_edits(self, configuration: Configuration | None) -> tuple[Edit, ...]:
        """Return the edits of a redirect to the cluster for which there are most."""
        if configuration is None:
            return ()
        clusters = next(iter(self._load_balancer.servers.values()))  # every server has each
        return max((configuration.edits(cluster) for cluster in clusters), key=len)


def _file(host: HaproxyHost) -> EditedFile:
    return EditedFile(host, host.configuration, host.write)


def _cluster(own: Mapping[str, str], runtime: Runtime, name: str) -> str | None:
    endpoint = runtime.servers[name].endpoint if name in runtime.servers else None
    return next((cluster for cluster, one in own.items() if one == endpoint), None)


def _ended(record: LedgerRecord, host: HaproxyHost, cluster: str) -> LedgerRecord:
    """Return the record of a redirect that has succeeded."""
    state, _, printed = record.output.partition("\n")
    if record.status and state in {"rewritten", "already"}:
        raise CommandFailed(
            f"{host.name}: {host.configuration} has the addresses of {cluster}, but: "
            f"{printed.strip()[-400:] or 'the redirect printed nothing more'}"
        )
    return succeeded(record, host.name)
