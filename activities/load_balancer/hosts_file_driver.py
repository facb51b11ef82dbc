"""The ``hosts_file`` driver: rewrite the names' addresses in a hosts file, then reload."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import chain

from activities.ledger.ledger import succeeded
from activities.ledger.store import LedgerCommand, LedgerRecord
from activities.load_balancer import file_mounts, haproxy_facts, host_reload, hosts_file
from activities.load_balancer.driver import LoadBalancerDriver, PlaceState
from activities.load_balancer.edited_file import EditedFile, FileContent, read_file
from activities.load_balancer.haproxy_findings import judged
from activities.load_balancer.host_ledger import ledger_findings, program_findings
from activities.nodes.operating_system import Use
from activities.nodes.operating_systems import open_ledger
from activities.runtime.partial_reading import PartialReading
from activities.runtime.tracing import effect
from activities.transport.ssh import Command, Shell
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers import hosts_file_checks as checks
from workflows.model.load_balancers.hosts_file import HostsFileLoadBalancer, LoadBalancerHost
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

UNREACHABLE = access.load_balancer_unreachable
RELOAD_TIMEOUT = timedelta(seconds=60)


class HostsFileDriver(LoadBalancerDriver):
    """Steers load balancer machines by the addresses in their hosts files (section 2)."""

    def __init__(self, shell: Shell, load_balancer: HostsFileLoadBalancer) -> None:
        self._load_balancer = load_balancer
        self._shell = shell
        self._ledger = open_ledger(shell)

    async def observe(self, given: TrafficInput[ObserveTraffic]) -> PlaceState:
        """Read the names' addresses, what a redirect may do, and HAProxy's configuration."""
        host = self._load_balancer.host(given.action.host)
        parts, drain_timeout = PartialReading(host.name), given.timing.drain_timeout
        file = await parts.part(lambda: _file(host).read(self._shell), UNREACHABLE, None)
        names = self._known_names(file, given.clusters)
        configuration, rights, ledger, programs, (mounts, not_read) = await asyncio.gather(
            parts.part(lambda: self._configuration(host, names, drain_timeout), UNREACHABLE, ()),
            parts.part(lambda: self._missing_rights(host, file), UNREACHABLE, ()),
            parts.part(lambda: ledger_findings(self._shell, host), UNREACHABLE, ()),
            parts.part(
                lambda: program_findings(self._shell, host, Use.EDITED_FILE), UNREACHABLE, ()
            ),
            parts.part(lambda: self._mounts(host), UNREACHABLE, ((), {})),
        )
        found = (*parts.failed, *rights, *ledger, *programs, *mounts, *configuration)
        if file is None:
            return PlaceState((), found, not_read)
        contents = self._judge_contents(host, file)
        return PlaceState(self._destinations(file), (*contents, *found), not_read)

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Rewrite and reload, as one effect.

        The file alone proves nothing: whoever wrote it may never have reloaded. So a reload always
        belongs to this operation, also where the file is right already; ``unchanged`` means that
        the file was, when this operation was claimed. The ledger remembers which of both it was.
        Only an undo of what this run never did here leaves the machine alone: it needs no right.
        """
        action = given.action
        host = self._load_balancer.host(action.host)
        reload = Command(host.reload)
        task = LedgerCommand(
            *(given.operation.id, "traffic", reload, RELOAD_TIMEOUT),
            completes_on="limit",
            limit=RELOAD_TIMEOUT,
        )
        record = await self._ledger.read(host, task)
        if record.claim is None:
            file = await _file(host).read(self._shell)
            if given.operation.undoes and not record.earlier and self._leads_to(file, action.to):
                message = f"{host.name} points at {action.to}; this run has not redirected it"
                return unchanged(action, message, record.at)
            command = self._rewriting(host, file, action.to)
            with effect(given, str(action)):
                await self._ledger.claim(host, replace(task, command=command))
        record = _reloaded(await self._ledger.wait_ended(host, task), host, action.to)
        if record.output.startswith("already"):
            return unchanged(action, f"{host.name} pointed at {action.to} already", record.at)
        return changed(action, f"{host.name} points at {action.to}", record.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the address that each name gets in the hosts file, and the reload."""
        host = self._load_balancer.host(action.host)
        wanted = self._load_balancer.addresses(action.to)
        lines = (f"{host.hosts_file}: {address} {name}" for name, address in wanted.items())
        return (*lines, str(Command(host.reload)))

    def _destinations(self, file: FileContent) -> tuple[Destination, ...]:
        """Return where each name leads now; a name without a line there is unknown."""
        names = self._load_balancer.names
        found = hosts_file.addresses(file.content, names)
        return tuple(
            Destination(
                item=name,
                seen=", ".join(found[name]) if name in found else None,
                cluster=next((c for c, one in own.items() if found.get(name) == (one,)), None),
            )
            for name, own in names.items()
        )

    def _judge_contents(self, host: LoadBalancerHost, file: FileContent) -> Iterator[Finding]:
        """Yield what keeps a redirect or its undo from changing the file, or makes it vain."""
        objections = dict.fromkeys(
            objection for _, found in self._edits_both_ways(file.content) for objection in found
        )
        if objections:
            yield checks.hosts_file_not_changeable.finding(
                host.name,
                seen=f"{host.hosts_file}: {'; '.join(objections)}",
                expected="each name of the estate with its address on one of the clusters",
                advice="correct these lines, or load_balancer.names in the estate",
            )
        if (manager := hosts_file.manager(file.content)) is not None:
            yield checks.hosts_file_managed.finding(
                host.name,
                seen=f"a comment in {host.hosts_file} names {manager}",
                expected="a file that only people and redirects change",
                advice=f"keep {manager} from writing the file during the switchover and after it",
            )

    def _edits_both_ways(
        self, content: bytes
    ) -> list[tuple[tuple[hosts_file.Edit, ...], tuple[str, ...]]]:
        """Return the edits, and the objections, of a redirect to each cluster."""
        names = self._load_balancer.names
        clusters = next(iter(names.values()))  # every name has an address on each
        return [hosts_file.edits(content, names, cluster) for cluster in clusters]

    async def _missing_rights(
        self, host: LoadBalancerHost, file: FileContent | None
    ) -> tuple[Finding, ...]:
        """Say what a redirect needs and may not do on this machine; changes nothing."""
        content = file.content if file else b""
        changes = max((changes for changes, _ in self._edits_both_ways(content)), key=len)
        rights = await _file(host).rights(self._shell, content, changes, Command(host.reload))
        not_runnable = host_reload.not_runnable(host, host.reload)
        not_writable = checks.hosts_file_not_writable.finding(
            host.name,
            seen=f"{host.hosts_file} cannot be written by {host.ssh.account}",
            expected="a hosts file that a redirect may write",
            advice="give the user the right to write it"
            + (", and its directory" if host.write == "replace" else ""),
        )
        not_editable = checks.hosts_file_not_changeable.finding(
            host.name,
            seen=f"an edit of {host.hosts_file} does not give the expected text",
            expected="the programs head, tail and wc, which count bytes with -c",
            advice="install them where a command of this user finds them",
        )
        missing = (
            (not_editable, not rights.editable and file is not None),
            (not_runnable, not rights.runnable),
            (not_writable, not rights.writable),
        )
        return tuple(finding for finding, holds in missing if holds)

    def _known_names(
        self, file: FileContent | None, clusters: tuple[Cluster, ...]
    ) -> haproxy_facts.KnownNames:
        """Return what names in HAProxy's configuration mean on this machine."""
        content, own = file.content if file else b"", self._load_balancer.names
        nodes = [node for cluster in clusters for node in cluster.nodes]
        return haproxy_facts.KnownNames(
            own,
            hosts_file.aliases(content, own),
            hosts_file.all_addresses(content),
            frozenset(node.address for node in nodes),
            frozenset(chain.from_iterable(p for n in nodes for p in n.protocols.values())),
        )

    async def _mounts(self, host: LoadBalancerHost) -> tuple[tuple[Finding, ...], dict[str, str]]:
        """Find who would not see what a redirect writes, or say why that cannot be told."""
        check = checks.hosts_file_mounted_elsewhere
        mounts, reason = await _file(host).mounts(self._shell)
        findings = file_mounts.judged(mounts, check, host.name, host.hosts_file, host.write)
        return tuple(findings), {check.name: reason} if reason else {}

    async def _configuration(
        self, host: LoadBalancerHost, names: haproxy_facts.KnownNames, drain_timeout: timedelta
    ) -> tuple[Finding, ...]:
        """Judge HAProxy's configuration; nothing where the estate names no file."""
        if (file := host.configuration) is None:
            return ()
        configuration = await read_file(self._shell, host, file)
        try:
            text = configuration.content.decode("utf-8", "replace")
            facts = haproxy_facts.read(text, names)
        except OutcomeUnknown as unreadable:
            raise OutcomeUnknown(f"{host.name}: {file}: {unreadable}") from unreadable
        return tuple(judged(facts, host.name, drain_timeout))

    def _leads_to(self, file: FileContent, cluster: str) -> bool:
        return all(one.cluster == cluster for one in self._destinations(file))

    def _rewriting(self, host: LoadBalancerHost, file: FileContent, cluster: str) -> Command:
        changes, objections = hosts_file.edits(file.content, self._load_balancer.names, cluster)
        if objections:
            raise NotReady(f"{host.name}: {host.hosts_file}: {'; '.join(objections)}")
        return _file(host).rewriting(file, changes, Command(host.reload))


def _file(host: LoadBalancerHost) -> EditedFile:
    return EditedFile(host, host.hosts_file, host.write)


def _reloaded(record: LedgerRecord, host: LoadBalancerHost, cluster: str) -> LedgerRecord:
    """Return the record of a redirect whose reload succeeded."""
    state, _, printed = record.output.partition("\n")
    if record.status and state in {"rewritten", "already"}:
        raise CommandFailed(
            f"{host.name}: {host.hosts_file} has the addresses of {cluster}, but the reload "
            f"{Command(host.reload)} ended with {record.status}: "
            f"{printed.strip()[-400:] or 'it printed nothing'}"
        )
    return succeeded(record, host.name)
