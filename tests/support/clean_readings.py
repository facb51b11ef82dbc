"""The readings of an estate without a finding, of which tests change one."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import estates
from workflows.model import observations as rd
from workflows.model.estate import Kind, Node, Protocol
from workflows.model.findings import Finding
from workflows.model.results import SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.switchover import plan_switchover
from workflows.preflight.evaluate import evaluate

PLAN: Plan = plan_switchover(estates.estate(), estates.request())
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = rd.MachineFacts(
    user="st",
    owner="st",
    system="Linux",
    ledger_writable=True,
    ledger_free=10**9,
    kills_processes=False,
    conf={"a.xml": "1"},
)


def clean() -> dict[str, rd.Reading]:
    """Return the readings of an estate without a finding, by subject."""
    estate = PLAN.estate
    readings: dict[str, rd.Reading] = {node.name: _node(node) for node in estate.nodes}
    for cluster in estate.clusters:
        members = {
            kind: tuple(rd.Member(name=n.name, address=n.address) for n in nodes)
            for kind, nodes in (("servers", cluster.servers), ("edges", cluster.edges))
        }
        name = cluster.servers[0].name
        readings[f"shared by {cluster.name}"] = rd.ClusterReading(
            place=name, events=3, oldest_event=timedelta(minutes=1), **members
        )
    for link in estate.replication.links:
        readings[link.name] = rd.ReplicationReading(
            place=link.name, exists=True, enabled=True, running=True, tables=("public.account",)
        )
    readings["loadbalancer1"] = rd.TrafficReading(
        place="loadbalancer1",
        destinations=(leads_to("cluster1", "edge1"), leads_to("cluster1", "edge2")),
        lands_on={Protocol.SSH: "cluster1-edge1", Protocol.HTTP: "cluster1-edge2"},
    )
    readings["configuration"] = rd.ParityReading(place="cluster2")
    readings["storage"] = rd.StorageReading(
        place="cluster2", sampled=200, delays={"cluster1": timedelta(seconds=1)}
    )
    readings["login"] = rd.LoginReading(place="cluster2-edge1", protocol=Protocol.SSH)
    readings["temporal"] = rd.TemporalReading(
        place="lab", completed=NOW - timedelta(days=1), builds={"1@a": "x", "2@b": "x"}
    )
    return readings


def leads_to(cluster: str | None, item: str) -> rd.Destination:
    """Return what a load balancer says of one of its names."""
    return rd.Destination(item=item, seen=f"an address of {cluster}", cluster=cluster)


def _node(node: Node) -> rd.NodeReading:
    services = dict.fromkeys(
        (Service.MONITOR, Service.ADMIN, *map(Service, node.protocols)), State.RUNNING
    )
    services |= {Service.AS2: State.STOPPED, Service.FTP: State.DISABLED}
    if node.kind is Kind.SERVER:
        active = PLAN.estate.cluster_of(node.name).name == PLAN.source
        services[Service.TRANSACTION_MANAGER] = State.RUNNING
        services |= dict.fromkeys(SCHEDULING, State.RUNNING if active else State.STOPPED)
    return rd.NodeReading(
        place=node.name,
        services=services,
        machine=FACTS,
        taeh="a" * 64,
        version="5.5",
        system="Linux",
        database="PostgreSQL",
        sessions=0,
        graceful_timeouts={
            "Http.GracefulShutdownTimeout": "600",
            "TransactionManager.GracefulShutdownTimeout": "30",
        },
        clock_ahead=timedelta(seconds=1),
    )


def findings_in(
    readings: dict[str, rd.Reading], *begun: StageName, plan: Plan = PLAN
) -> tuple[Finding, ...]:
    """Evaluate all checks on these readings."""
    return evaluate(plan, tuple(readings.values()), NOW, frozenset(begun))


def changed(subject: str, **changes: Any) -> dict[str, rd.Reading]:  # noqa: ANN401 - any field
    """Return the clean readings with one changed; services and facts one by one."""
    readings = clean()
    reading = readings[subject]
    if isinstance(reading, rd.NodeReading):
        if "services" in changes:
            changes["services"] = {**reading.services, **changes["services"]}
        if "machine" in changes:
            changes["machine"] = FACTS.model_copy(update=changes["machine"])
    readings[subject] = reading.model_copy(update=changes)
    return readings
