"""The runbook as a value: which orders, in which stages and waves, for which estate."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from workflows.errors import BadInput
from workflows.model.actions import (
    Action,
    AwaitInFlightEvents,
    AwaitQueue,
    AwaitSessions,
    CompareConfiguration,
    CompareStorage,
    FindOrphanedFiles,
    ObserveCluster,
    ObserveNode,
    ObserveReplication,
    ObserveTemporal,
    ObserveTraffic,
    Redirect,
    StartMonitor,
    StartScheduling,
    StopGracefully,
    StopMonitor,
    StopRemaining,
    StopScheduling,
    StopTransactionManager,
    SuspendReplication,
    TryLogin,
    VerifySchedulingStopped,
    VerifyStopped,
    VerifyTraffic,
)
from workflows.model.base import Value
from workflows.model.estate import Cluster, Estate, Kind, Protocol
from workflows.model.request import Request
from workflows.model.site_policy import Approvals
from workflows.model.stages import TITLES, StageName

Wave = tuple[Action, ...]
"""Orders that run side by side; all of them finish before they are judged together."""


class Stage(Value):
    """One numbered step of the manual."""

    name: StageName
    gated: bool = False
    """Whether someone must approve before it begins."""
    waves: tuple[Wave, ...]
    undo: bool = False
    """Whether this takes the stage of that name back."""

    @property
    def key(self) -> str:
        """What tells it from every other stage of a run; part of its operations' ids."""
        return f"{self.name}.undo" if self.undo else self.name.value

    @property
    def title(self) -> str:
        """What the stage is for, as the README's table says it."""
        return f"Take back: {TITLES[self.name]}" if self.undo else TITLES[self.name]

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every order of the stage, wave by wave."""
        return tuple(action for wave in self.waves for action in wave)


class Plan(Value):
    """A switchover as it will be executed: a snapshot of the estate, and its orders."""

    estate: Estate
    source: str
    target: str
    variant: Literal["by_stage", "by_node"] = "by_stage"
    approvals: Approvals = Approvals()
    """The estate's and the request's, whichever asks for more."""
    stages: tuple[Stage, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the whole plan: equal hashes mean the same orders on the same estate."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def stage(self, name: StageName) -> Stage:
        """Return the stage of that name."""
        return {stage.name: stage for stage in self.stages}[name]


def plan_switchover(estate: Estate, request: Request) -> Plan:
    """Turn the manual into orders for this estate (securetransport.md, section 2).

    Raises:
        BadInput: the request names a cluster that the estate does not have, or a gate before the
            prerequisites.
    """
    names = [cluster.name for cluster in estate.clusters]
    for role, name in (("source", request.source), ("target", request.target)):
        if name not in names:
            raise BadInput(
                f"{role}: estate {estate.name} has no cluster {name}; it has {' and '.join(names)}"
            )
    gates = _gates(estate, request)
    source, target = estate.cluster(request.source), estate.cluster(request.target)
    stages = _stages(estate, source, target)
    if request.variant == "by_node":
        stages[StageName.DRAIN_PROTOCOL_SERVERS] = tuple(
            tuple(action for action in wave if estate.node(action.place).kind is kind)
            for kind in (Kind.EDGE, Kind.SERVER)
            for wave in stages[StageName.DRAIN_PROTOCOL_SERVERS]
        )
        # Each Server's chain looks at the queue for itself.
        proofs, _, *rest = stages[StageName.DRAIN_TRANSACTION_MANAGER]
        queues = tuple(AwaitQueue(node=server.name) for server in source.servers)
        stages[StageName.DRAIN_TRANSACTION_MANAGER] = (proofs, queues, *rest)
    return Plan(
        estate=estate,
        source=request.source,
        target=request.target,
        variant=request.variant,
        approvals=_approvals(estate.approvals, request),
        stages=tuple(
            Stage(name=name, gated=name in gates, waves=tuple(filter(None, waves)))
            for name, waves in stages.items()
        ),
    )


def _gates(estate: Estate, request: Request) -> set[StageName]:
    gates = {*estate.approve_before, *request.approve_before}
    if StageName.CHECK_PREREQUISITES in gates:
        raise BadInput("approve_before: check_prerequisites only looks; gate a later stage")
    return gates


def _approvals(policy: Approvals, request: Request) -> Approvals:
    """Ask for what the estate and the request want, whichever is more."""
    lists = [names for names in (policy.approvers, request.approvers) if names]
    approvers = tuple(name for name in (lists or [()])[0] if all(name in names for names in lists))
    needed = max(policy.needed, request.approvals_needed)
    if lists and len(set(approvers)) < needed:
        raise BadInput(
            f"approvals: {needed} people must approve here, but the estate and the request allow "
            f"only {len(set(approvers))} in common: {', '.join(approvers) or 'nobody'}"
        )
    limits = [limit for limit in (policy.expires_after, request.expires_after) if limit]
    return Approvals(
        approvers=approvers,
        needed=needed,
        expires_after=min(limits, default=None),
        on_expiry="reject" if "reject" in (policy.on_expiry, request.on_expiry) else "keep_waiting",
    )


def _stages(estate: Estate, source: Cluster, target: Cluster) -> dict[StageName, tuple[Wave, ...]]:
    links = estate.replication.links
    monitored = source.nodes + (target.nodes if estate.stop_target_monitors else ())
    return {
        StageName.CHECK_PREREQUISITES: _observations(estate, source, target),
        StageName.STOP_MONITORS: (tuple(StopMonitor(node=node.name) for node in monitored),),
        StageName.SUSPEND_REPLICATION: (
            tuple(SuspendReplication(link=link.name) for link in links),
        ),
        StageName.REDIRECT_TRAFFIC: _redirect(estate, source, target),
        StageName.STOP_SCHEDULING: (
            tuple(StopScheduling(node=node.name) for node in source.servers),
            # A Folder Monitor that was stopped on one Server may have moved to another.
            tuple(VerifySchedulingStopped(node=node.name) for node in source.servers),
        ),
        StageName.START_SCHEDULING: (
            # The queue is the cluster's: one Server sees all of it.
            (AwaitInFlightEvents(node=source.servers[0].name),),
            tuple(StartScheduling(node=node.name) for node in target.servers),
        ),
        StageName.DRAIN_PROTOCOL_SERVERS: (
            tuple(AwaitSessions(node=node.name) for node in source.nodes),
            tuple(
                StopGracefully(node=node.name, protocol=protocol, grace=estate.timing.grace)
                for node in source.nodes
                for protocol in Protocol
                if protocol in node.protocols
            ),
        ),
        StageName.DRAIN_TRANSACTION_MANAGER: (
            tuple(VerifyStopped(node=node.name) for node in source.nodes),
            (AwaitQueue(node=source.servers[0].name),),
            tuple(
                StopTransactionManager(
                    node=node.name, grace=estate.timing.transaction_manager_grace
                )
                for node in source.servers
            ),
            # Afterwards admin is still up, and nobody of this cluster writes any more.
            (FindOrphanedFiles(node=source.servers[0].name),),
        ),
        StageName.STOP_REMAINING_SERVICES: (
            tuple(StopRemaining(node=node.name) for node in source.nodes),
        ),
        StageName.RESTORE_MONITORS: (
            tuple(StartMonitor(node=node.name) for node in monitored if node in target.nodes),
        ),
    }


def _observations(estate: Estate, source: Cluster, target: Cluster) -> tuple[Wave, ...]:
    links, hosts = estate.replication.links, estate.load_balancer.hosts
    probed = [probe.protocol for probe in estate.load_balancer.probes]
    return (
        (
            *(ObserveNode(node=node.name) for node in estate.nodes),
            *(ObserveCluster(node=cluster.servers[0].name) for cluster in (source, target)),
            CompareConfiguration(source=source.name, target=target.name),
            CompareStorage(source=source.name, target=target.name),
            *(ObserveReplication(link=link.name) for link in links),
            *(ObserveTraffic(host=host.name) for host in hosts),
            ObserveTemporal(estate=estate.name),
        ),
        # Afterwards, or our own logins would be counted among the target's sessions.
        tuple(
            TryLogin(node=node.name, protocol=protocol)
            for node in target.fronts
            for protocol in probed
            if protocol in node.protocols
        ),
    )


def _redirect(estate: Estate, source: Cluster, target: Cluster) -> tuple[Wave, ...]:
    probed: Iterable[Protocol] = (probe.protocol for probe in estate.load_balancer.probes)
    return (
        tuple(
            Redirect(host=host.name, to=target.name, back_to=source.name)
            for host in estate.load_balancer.hosts
        ),
        tuple(VerifyTraffic(protocol=protocol, to=target.name) for protocol in probed),
    )
