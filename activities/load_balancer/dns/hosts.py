"""Follow the zone on a load balancer machine: wait until it resolves the new addresses, reload."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from activities.ledger.ledger import succeeded
from activities.ledger.store import LedgerCommand
from activities.load_balancer import haproxy_facts, hosts_file
from activities.load_balancer.dns import host_scripts, resolvers
from activities.load_balancer.dns.host_findings import judged, silent
from activities.load_balancer.dns.zone import FIRST_INTERVAL, MAX_INTERVAL, TRANSFER_TIME, Zone
from activities.load_balancer.driver import PlaceState
from activities.load_balancer.haproxy_findings import judged as haproxy_findings
from activities.load_balancer.host_ledger import ledger_findings, program_findings
from activities.load_balancer.host_reload import not_runnable
from activities.nodes.operating_system import Use
from activities.nodes.operating_systems import open_ledger
from activities.runtime.partial_reading import PartialReading
from activities.runtime.tracing import effect
from activities.site_commands.programs import MAY_RUN
from activities.transport.ssh import Command, Shell, script
from workflows.errors import NotReady, OutcomeUnknown, SwitchoverError
from workflows.model.actions import Redirect
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers import dns_checks as checks
from workflows.model.load_balancers.dns import LONGEST_WAIT, DnsLoadBalancer, ResolvingHost
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.model.text import duration, listed, printable
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

UNREACHABLE = access.load_balancer_unreachable
RELOAD_TIMEOUT = timedelta(seconds=60)
HOSTS_FILE = "/etc/hosts"
MAX_FILE = 2 << 20
"""Bytes of a hosts file, or of HAProxy's configuration."""

Resolved = Mapping[str, frozenset[str]]
"""By name: its addresses."""


@dataclass(frozen=True)
class _Views:
    """How a machine sees the names: by its own resolver, and by the name servers HAProxy asks."""

    own: Resolved
    others: Mapping[str, Resolved | None]
    """By name server; None where it does not answer."""
    not_asked: str | None = None
    """Why the name servers could not be asked."""


class Host:
    """One machine that resolves the names."""

    def __init__(self, load_balancer: DnsLoadBalancer, host: ResolvingHost, shell: Shell) -> None:
        self._load_balancer = load_balancer
        self._host = host
        self._shell = shell
        self._ledger = open_ledger(shell)

    async def observe(self, clusters: tuple[Cluster, ...], drain_timeout: timedelta) -> PlaceState:
        """Read how the machine resolves the names, and what a redirect needs there."""
        parts = PartialReading(self._host.name)
        text, hosts, rights, ledger, programs = await asyncio.gather(
            parts.part(self._configuration, UNREACHABLE, None),
            parts.part(lambda: self._read(HOSTS_FILE), UNREACHABLE, ""),
            parts.part(self._missing_rights, UNREACHABLE, ()),
            parts.part(self._ledger_findings, UNREACHABLE, ()),
            parts.part(self._missing_programs, UNREACHABLE, ()),
        )
        facts, found = resolvers.ResolverFacts(), tuple[Finding, ...]()
        if text is not None:
            facts = await parts.part(lambda: self._facts(text), UNREACHABLE, facts)
            names = self._known_names(hosts, clusters)
            found = await parts.part(
                lambda: self._haproxy_findings(text, names, drain_timeout), UNREACHABLE, ()
            )
        views = await parts.part(lambda: self._views(facts), UNREACHABLE, None)
        found += (
            *parts.failed,
            *rights,
            *ledger,
            *programs,
            *judged(self._load_balancer, self._host, facts),
            *self._in_hosts_file(hosts),
        )
        if views is None:
            return PlaceState((), found)
        not_read = {checks.resolver_silent.name: views.not_asked} if views.not_asked else {}
        found += tuple(silent(self._host.name, views.own, views.others))
        return PlaceState(tuple(self._destinations(views)), found, not_read)

    async def redirect(self, given: TrafficInput[Redirect], zone: Zone) -> Report:
        """Wait until the machine resolves the addresses of the cluster; then reload, once.

        Nothing but the zone changes what the machine resolves, so nothing is done about it here. A
        reload belongs to this operation, also where the machine resolved the addresses before: the
        ledger remembers it. An undo of what this run never did here needs no right to reload.
        """
        action, host = given.action, self._host
        facts = resolvers.ResolverFacts()
        if (text := await self._configuration()) is not None:
            facts = await self._facts(text)
        if host.reload is None:
            views = await self._wait_until_resolved(action.to, facts, zone)
            return unchanged(action, self._message(action.to, views), datetime.now(UTC))
        task = LedgerCommand(
            *(given.operation.id, "traffic", Command(host.reload), RELOAD_TIMEOUT),
            completes_on="limit",
            limit=RELOAD_TIMEOUT,
        )
        record = await self._ledger.read(host, task)
        if record.claim is None:
            views = await self._wait_until_resolved(action.to, facts, zone)
            if given.operation.undoes and not record.earlier:
                message = f"{self._message(action.to, views)}; this run has not reloaded it"
                return unchanged(action, message, record.at)
            with effect(given, str(action)):
                await self._ledger.claim(host, replace(task, command=Command(host.reload)))
        record = succeeded(await self._ledger.wait_ended(host, task), host.name)
        return changed(action, f"{host.name} resolves {action.to}, and was reloaded", record.at)

    def preview(self) -> tuple[str, ...]:
        """Return what is waited for, and the reload."""
        waits = (f"until it follows: getent ahosts {name}" for name in self._load_balancer.names)
        reload = self._host.reload
        return (*waits, *((str(Command(reload)),) if reload is not None else ()))

    def _message(self, cluster: str, views: _Views) -> str:
        unread = f"; HAProxy's name servers were not asked: {views.not_asked}"
        return f"{self._host.name} resolves {cluster}" + unread * (views.not_asked is not None)

    async def _wait_until_resolved(
        self, cluster: str, facts: resolvers.ResolverFacts, zone: Zone
    ) -> _Views:
        """Read until every view is the cluster's; NotReady with what is seen instead."""
        clock, interval = asyncio.get_running_loop().time, FIRST_INTERVAL
        limit = min(LONGEST_WAIT, await self._slowest(zone) + TRANSFER_TIME)
        until = clock() + limit.total_seconds()
        while True:
            views = await self._views(facts)
            wrong = [
                f"{one.item} is {one.seen or 'not resolved'}"
                for one in self._destinations(views)
                if one.cluster != cluster
            ]
            if not wrong:
                return views
            if clock() >= until:
                raise NotReady(
                    f"{self._host.name} does not resolve {cluster} after {duration(limit)}: "
                    f"{listed(wrong)}; check the zone and what keeps answers on the way to this "
                    "machine, then decide `retry`"
                )
            await asyncio.sleep(interval)
            interval = min(interval * 1.5, MAX_INTERVAL)

    async def _slowest(self, zone: Zone) -> timedelta:
        try:
            return await zone.slowest()
        except SwitchoverError:  # the zone's own action says what is wrong with it
            return self._load_balancer.ttl_limit

    async def _views(self, facts: resolvers.ResolverFacts) -> _Views:
        names = tuple(self._load_balancer.names)
        answer = await self._shell.run(self._host, script(host_scripts.RESOLVED, *names))
        if answer.status != 0:
            raise OutcomeUnknown(f"{self._host.name}: {printable(answer.text)}")
        own, others = host_scripts.parse(answer.out), dict[str, Resolved | None]()
        for server in facts.name_servers:
            command = script(host_scripts.ANSWERED, server.address, str(server.port), *names)
            answer = await self._shell.run(self._host, command)
            if answer.status != 0:
                return _Views(own, {}, printable(answer.text).strip())
            whole = answer.out.splitlines()[-1:] == ["end"]
            others[str(server)] = host_scripts.parse(answer.out) if whole else None
        return _Views(own, others)

    def _destinations(self, views: _Views) -> Iterator[Destination]:
        """Yield where each name leads in each view."""
        for name in self._load_balancer.names:
            yield self._destination(name, name, views.own)
            for server, resolved in views.others.items():
                yield self._destination(f"{name} at {server}", name, resolved or {})

    def _destination(self, item: str, name: str, resolved: Resolved) -> Destination:
        found = resolved.get(name, frozenset())
        return Destination(
            item=item,
            seen=", ".join(sorted(found)) or None,
            cluster=self._load_balancer.cluster_resolved(name, found),
        )

    async def _configuration(self) -> str | None:
        """Return HAProxy's configuration; None where the estate names no file."""
        file = self._host.configuration
        return None if file is None else await self._read(file)

    async def _facts(self, text: str) -> resolvers.ResolverFacts:
        names = frozenset(self._load_balancer.names)
        try:
            return resolvers.read(text, names, reloads=self._host.reload is not None)
        except OutcomeUnknown as unreadable:
            raise self._unreadable(unreadable) from unreadable

    async def _haproxy_findings(
        self, text: str, names: haproxy_facts.KnownNames, drain_timeout: timedelta
    ) -> tuple[Finding, ...]:
        """Return what else in the configuration keeps a redirect from moving new connections."""
        try:
            facts = haproxy_facts.read(text, names)
        except OutcomeUnknown as unreadable:
            raise self._unreadable(unreadable) from unreadable
        facts = replace(facts, kept_addresses=())
        if self._host.reload is None:  # then nothing here ends an old worker
            facts = replace(facts, hard_stop_after=None, max_reloads=None)
        return tuple(haproxy_findings(facts, self._host.name, drain_timeout))

    def _unreadable(self, reason: OutcomeUnknown) -> OutcomeUnknown:
        return OutcomeUnknown(f"{self._host.name}: {self._host.configuration}: {reason}")

    def _known_names(self, hosts: str, clusters: tuple[Cluster, ...]) -> haproxy_facts.KnownNames:
        """Return what names in HAProxy's configuration mean on this machine."""
        nodes = [node for cluster in clusters for node in cluster.nodes]
        return haproxy_facts.KnownNames(
            {  # a name has several addresses on a cluster: which cluster's, does not matter here
                name: {address: address for own in given.values() for address in own}
                for name, given in self._load_balancer.names.items()
            },
            hosts=hosts_file.all_addresses(_bytes(hosts)),
            nodes=frozenset(node.address for node in nodes),
            ports=frozenset(
                port for node in nodes for ports in node.protocols.values() for port in ports
            ),
        )

    def _in_hosts_file(self, hosts: str) -> Iterator[Finding]:
        found = hosts_file.addresses(_bytes(hosts), self._load_balancer.names)
        if found:
            yield checks.name_in_hosts_file.finding(
                self._host.name,
                seen=listed(
                    f"{HOSTS_FILE} gives {name} the address {', '.join(given)}"
                    for name, given in found.items()
                ),
                expected="names that only the zone gives addresses",
                advice="remove these lines; otherwise the machine never sees what a redirect "
                "changes in the zone",
            )

    async def _missing_rights(self) -> tuple[Finding, ...]:
        if (reload := self._host.reload) is None:
            return ()
        text = MAY_RUN + 'if allowed "$@"; then echo runnable; else echo refused; fi'
        answer = await self._shell.run(self._host, script(text, *reload))
        match answer.out.split():
            case ["runnable"]:
                return ()
            case ["refused"]:
                return (not_runnable(self._host, reload),)
            case _:
                raise OutcomeUnknown(
                    f"{self._host.name}: whether {reload[0]} may be run cannot be read: "
                    f"{printable(answer.text)}"
                )

    async def _ledger_findings(self) -> tuple[Finding, ...]:
        if self._host.reload is None:
            return ()
        return await ledger_findings(self._shell, self._host)

    async def _missing_programs(self) -> tuple[Finding, ...]:
        if self._host.reload is None:
            return ()
        return await program_findings(self._shell, self._host, Use.LEDGER)

    async def _read(self, path: str) -> str:
        command = Command(("cat", path))
        answer = await self._shell.run(
            self._host, command, undecodable="surrogateescape", limit=MAX_FILE
        )
        if answer.status != 0:
            shown = printable(answer.text)
            raise OutcomeUnknown(f"{self._host.name}: {path} cannot be read: {shown}")
        return answer.out


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
