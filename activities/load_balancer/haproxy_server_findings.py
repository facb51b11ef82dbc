"""Say what keeps a redirect of HAProxy's servers from working or lasting, and what to do; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from activities.load_balancer import hosts_file
from activities.load_balancer.edited_file import Rights
from activities.load_balancer.haproxy_runtime import (
    LEVELS,
    RunningServer,
    Runtime,
    RuntimeReading,
    Unusable,
)
from activities.load_balancer.haproxy_servers import Configuration
from workflows.model.checks import Check
from workflows.model.estate import Cluster
from workflows.model.findings import Finding
from workflows.model.load_balancers import haproxy_checks as checks
from workflows.model.load_balancers.haproxy import HaproxyHost
from workflows.model.text import listed

OF_SERVERS = tuple(
    check.name
    for check in (
        checks.haproxy_socket_read_only,
        checks.haproxy_server_missing,
        checks.haproxy_server_not_in_estate,
        checks.haproxy_configuration_differs,
        checks.haproxy_addresses_resolved,
        checks.haproxy_health_elsewhere,
    )
)
"""The checks of what a running HAProxy says."""


@dataclass(frozen=True)
class Site:
    """A load balancer host before the clusters of an estate."""

    host: HaproxyHost
    own: Mapping[str, Mapping[str, str]]
    """By server of the estate: its address and port on each cluster."""
    clusters: tuple[Cluster, ...]

    def of_reading(
        self, reading: RuntimeReading, configuration: Configuration | None
    ) -> Iterator[Finding]:
        """Yield what is wrong with the running HAProxy, and with the file of its servers' state."""
        if not reading.state_file_writable:
            yield checks.haproxy_state_file_not_writable.finding(
                self.host.name,
                seen=f"{self.host.ssh.account} may not put a new file in the place of "
                f"{self.host.state_file}",
                expected="a file to which a redirect saves the state of HAProxy's servers",
                advice="give the user the right to write the file and its directory",
            )
        match reading.runtime:
            case Unusable(seen, advice):
                yield checks.haproxy_socket_unusable.finding(
                    self.host.name, seen=seen, expected="an answer of HAProxy", advice=advice
                )
            case Runtime() as runtime:
                yield from self._of_runtime(runtime, configuration)

    def of_configuration(self, content: bytes, configuration: Configuration) -> Iterator[Finding]:
        """Yield what in the configuration keeps a redirect from working, or from lasting."""
        file, found = self.host.configuration, self._found
        yield from found(
            checks.haproxy_configuration_not_changeable,
            configuration.objections,
            expected="one line for each server of the estate, with its address on one of the "
            "clusters, or with a name",
            advice=f"correct these lines of {file}, or load_balancer.servers in the estate",
        )
        yield from found(
            checks.haproxy_reload_undoes,
            configuration.undone(self.host.state_file),
            expected="servers that a reload leaves where a redirect has put them",
            advice="write their IP addresses into the configuration; or let HAProxy load the "
            "servers' state from one file (server-state-file, load-server-state-from-file "
            "global), and name that file as state_file in the estate",
        )
        yield from found(
            checks.haproxy_sessions_cut,
            configuration.cutting,
            expected="sessions that end when their client or their server ends them",
            advice="remove on-marked-down: if the target fails a health check during the drain, "
            "the source's remaining sessions are closed, too",
        )
        if (manager := hosts_file.manager(content)) is not None:
            yield from found(
                checks.haproxy_configuration_managed,
                (f"a comment in {file} names {manager}",),
                expected="a file that only people and redirects change",
                advice=f"keep {manager} from writing the file during the switchover, and have it "
                "write the target's addresses after it",
            )

    def of_rights(self, rights: Rights) -> Iterator[Finding]:
        """Yield what a redirect may or can not do to the configuration."""
        file = self.host.configuration
        if not rights.editable:
            yield checks.haproxy_configuration_not_changeable.finding(
                self.host.name,
                seen=f"an edit of {file} does not give the expected text",
                expected="the programs head, tail and wc, which count bytes with -c",
                advice="install them where a command of this user finds them",
            )
        if not rights.writable:
            yield checks.haproxy_configuration_not_writable.finding(
                self.host.name,
                seen=f"{file} cannot be written by {self.host.ssh.account}",
                expected="a file in which a redirect may change the servers' addresses; else a "
                "reload would bring the old ones back",
                advice="give the user the right to write it"
                + (", and its directory" if self.host.write == "replace" else ""),
            )

    def _of_runtime(
        self, runtime: Runtime, configuration: Configuration | None
    ) -> Iterator[Finding]:
        found, servers = self._found, runtime.servers
        if runtime.level != LEVELS[-1]:
            yield checks.haproxy_socket_read_only.finding(
                self.host.name,
                seen=f"{self.host.socket} has the level {runtime.level}",
                expected="the level admin, with which a redirect tells HAProxy the addresses",
                advice="write `level admin` in its line `stats socket`, or name another socket",
            )
        yield from found(
            checks.haproxy_server_missing,
            (name for name in self.own if name not in servers),
            expected="a server of each name, as BACKEND/SERVER, in the running HAProxy",
            advice="correct load_balancer.servers in the estate, or reload HAProxy",
        )
        backups = configuration.backups if configuration else frozenset[str]()
        yield from found(
            checks.haproxy_server_not_in_estate,
            self._unlisted(servers.values(), backups),
            expected="only servers that are in load_balancer.servers",
            advice="add them to load_balancer.servers in the estate; otherwise a redirect leaves "
            "them where they are, and new sessions and pinned clients go on to them",
        )
        own = [servers[name] for name in self.own if name in servers]
        records = (f"{one.name} has a record for services" for one in own if one.resolved)
        yield from found(
            checks.haproxy_addresses_resolved,
            [*records, *(configuration.resolved if configuration else ())],
            expected="servers that keep the address that a redirect tells HAProxy",
            advice="remove resolvers from these servers",
        )
        elsewhere = (
            f"{one.name} at {', '.join(one.health_addresses)}"
            for one in own
            if one.health_addresses
        )
        yield from found(
            checks.haproxy_health_elsewhere,
            [*elsewhere, *(configuration.tracking if configuration else ())],
            expected="health checks that a redirect moves with the server",
            advice="remove addr, agent-addr or track: HAProxy would judge the target by the "
            "source's health, and send it no client when the source is shut down",
        )
        if configuration is not None:
            running = {one.name: one.endpoint for one in own}
            yield from found(
                checks.haproxy_configuration_differs,
                configuration.differing(running),
                expected="the same address in HAProxy and in its configuration",
                advice="reload HAProxy, or correct the configuration: at its next reload it would "
                "go elsewhere",
            )

    def _unlisted(self, servers: Iterable[RunningServer], backups: frozenset[str]) -> Iterator[str]:
        """Yield the servers that share the clients of ours, or lead to a node of the estate."""
        backends = {name.partition("/")[0] for name in self.own}
        ours = {endpoint for each in self.own.values() for endpoint in each.values()}
        nodes = [node for cluster in self.clusters for node in cluster.nodes]
        addresses = {node.address for node in nodes}
        ports = {port for node in nodes for given in node.protocols.values() for port in given}
        for one in servers:
            if one.name in self.own or one.in_maintenance:
                continue
            shares = one.name.partition("/")[0] in backends and one.name not in backups
            leads_to_node = one.address in addresses and one.port in ports
            if shares or leads_to_node or one.endpoint in ours:
                yield f"{one.name} at {one.endpoint}"

    def _found(
        self, check: Check, seen: Iterable[str], *, expected: str, advice: str
    ) -> Iterator[Finding]:
        if shown := listed(seen):
            yield check.finding(self.host.name, seen=shown, expected=expected, advice=advice)
