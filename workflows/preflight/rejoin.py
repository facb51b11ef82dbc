"""Checks that only a rejoin makes: one cluster serves alone, the other one is down."""

from collections.abc import Iterator

from workflows.model.checks import Check, Heading, Scope
from workflows.model.estate import Cluster
from workflows.model.findings import Finding, Severity
from workflows.model.observations import ReplicationReading, TrafficReading
from workflows.model.results import SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.planning.interrupted_run import InterruptedRun
from workflows.planning.plan import Plan
from workflows.preflight.context import CheckContext, declare
from workflows.preflight.services import not_active

half_returned = Check(
    name="half_returned",
    title="No rejoin was interrupted",
    heading=Heading.EARLIER_RUN,
    scope=Scope.TARGET,
    severity=Severity.WARNS,
    only="rejoin",
)
already_returned = Check(
    name="already_returned",
    title="The cluster is not back already",
    heading=Heading.EARLIER_RUN,
    scope=Scope.TARGET,
    only="rejoin",
)


@declare(Scope.HOSTS, Heading.TRAFFIC, only="rejoin")
def traffic_not_on_active(context: CheckContext) -> Iterator[Finding]:
    """Traffic goes to the other cluster."""
    # What serves clients is not started anew, nor does anything overwrite its database.
    active, returning = context.source.name, context.target.name
    for reading in context.each(TrafficReading):
        elsewhere = [
            f"{one.item} leads to {one.seen}"
            for one in reading.destinations
            if one.seen is not None and one.cluster != active
        ]
        elsewhere += [
            f"a {protocol} login reached {node}"
            for protocol, node in reading.lands_on.items()
            if context.estate.cluster_of(node).name != active
        ]
        if elsewhere:
            yield traffic_not_on_active.finding(
                reading.place,
                seen=listed(elsewhere),
                expected=f"{active}, the cluster that serves while {returning} comes back",
                advice=f"check whether {returning} is the cluster that was drained",
            )


@declare(Scope.SOURCE, Heading.SERVICES, until=StageName.PAUSE_SCHEDULING, only="rejoin")
def active_not_scheduling(context: CheckContext) -> Iterator[Finding]:
    """Scheduler and Folder Monitor run on the active cluster."""
    # Or the switchover before has not ended.
    advice = f"end the switchover to {context.source.name} first, or start it there"
    yield from not_active(context, active_not_scheduling, advice)


@declare(Scope.TARGET_NODES, Heading.SERVICES, only="rejoin")
def returning_schedules(context: CheckContext) -> Iterator[Finding]:
    """Scheduler and Folder Monitor do not run on the returning cluster."""
    # A started Transaction Manager may have brought them along: the run stops them next, while
    # scheduling is paused on the active cluster.
    started = StageName.START_TRANSACTION_MANAGERS in context.begun
    if started and not any(_scheduling(context, context.source)):
        return
    for node, service in _scheduling(context, context.target):
        yield returning_schedules.finding(
            node,
            seen=f"{service} running",
            expected="Scheduler and Folder Monitor stopped on the passive cluster",
            advice="scheduling may run on both clusters at this moment: stop it there",
        )


def _scheduling(context: CheckContext, cluster: Cluster) -> Iterator[tuple[str, Service]]:
    """Yield each service of scheduling that runs on the cluster, with its Server."""
    for node, reading in context.nodes_of(cluster):
        for service in SCHEDULING:
            if reading.services.get(service) is State.RUNNING:
                yield node.name, service


@declare(Scope.LINKS, Heading.REPLICATION, until=StageName.RESUME_REPLICATION, only="rejoin")
def replication_not_suspended(context: CheckContext) -> Iterator[Finding]:
    """Replication is suspended, as the switchover left it."""
    # Turned on by hand, it has applied what nobody compared.
    for reading in context.each(ReplicationReading):
        if reading.enabled:
            link = context.estate.link(reading.place)
            yield replication_not_suspended.finding(
                link.name,
                seen="enabled",
                expected=f"suspended until {context.target.name} is back",
                advice="compare what both sides wrote meanwhile, disable the subscription, then "
                "start again",
            )


def findings_of_rejoin(run: InterruptedRun, plan: Plan) -> tuple[Finding, ...]:
    """Return what is already back, and what that means for this run."""
    returning = plan.target
    if run.complete:
        return (
            already_returned.finding(
                returning,
                seen=f"every service of {returning} runs, and replication with {plan.source}",
                expected=f"{returning} drained and down",
                advice="nothing to do: it is the passive cluster",
            ),
        )
    if not run.begun:
        return ()
    return (
        half_returned.finding(
            returning,
            seen="some of its services run already: "
            + ", ".join(name.value for name in StageName if name in run.begun),
            expected="a cluster that is down",
            advice=f"this run continues from there; a rollback stops every service of {returning}",
        ),
    )
