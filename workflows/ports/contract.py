"""What the core needs done, as abstract activities: typed, so that fakes and hands must agree.

An errand is an order together with the places it concerns, taken from the plan's snapshot of the
estate; no activity reads the estate file again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Generic, TypeVar

from temporalio import activity

from workflows.model.actions.change import (
    AwaitQueue,
    AwaitSessions,
    AwaitWorkInHand,
    LookAtQueue,
    LookAtSessions,
    LookForOrphans,
    ProveDead,
    ProveSchedulingStopped,
    ProveServing,
    ProveStopped,
    ProveTraffic,
    Redirect,
    ResumeReplication,
    StartAll,
    StartMonitor,
    StartProtocolServer,
    StartScheduling,
    StartTransactionManager,
    StopGracefully,
    StopMonitor,
    StopRemaining,
    StopScheduling,
    StopTransactionManager,
    SuspendReplication,
)
from workflows.model.actions.observe import (
    CompareConfiguration,
    CompareStorage,
    ObserveCluster,
    ObserveNode,
    ObserveReplication,
    ObserveTemporal,
    ObserveTraffic,
    TryLogin,
)
from workflows.model.base import Value
from workflows.model.estate import (
    AbsolutePath,
    Cluster,
    Database,
    Limits,
    LoadBalancer,
    Node,
    Probe,
    Replication,
    ReplicationLink,
    Timing,
)
from workflows.model.observations import (
    ClusterReading,
    LoginReading,
    NodeReading,
    ParityReading,
    ReplicationReading,
    StorageReading,
    TemporalReading,
    TrafficReading,
)
from workflows.model.progress import Notice, Outcome
from workflows.model.request import Request
from workflows.model.results import Operation, QueueLeft, Report, SessionsLeft
from workflows.model.site_policy import Webhook
from workflows.planning.plan import Plan
from workflows.planning.preview import Spelled
from workflows.preflight.report import Direction, Verdict

O = TypeVar("O")  # noqa: E741 - the order, and nothing else here is called so


class Errand(Value, Generic[O]):
    """An order, who asks, and how long things take on this estate."""

    operation: Operation
    order: O
    timing: Timing


class NodeErrand(Errand[O], Generic[O]):
    """An order for one node."""

    node: Node


class SessionErrand(NodeErrand[O], Generic[O]):
    """An order that counts the client sessions of one node."""

    ignored_peers: tuple[str, ...] = ()
    redirected_at: datetime | None = None
    """Sessions that begin later than this on the source are a finding; None before it."""


class StorageErrand(NodeErrand[O], Generic[O]):
    """An order that concerns the shared storage, where this node has it mounted."""

    storage: AbsolutePath


class ReplicationErrand(Errand[O], Generic[O]):
    """An order for one replication link."""

    link: ReplicationLink
    publisher: Database
    subscriber: Database
    replication: Replication


class TrafficErrand(Errand[O], Generic[O]):
    """An order for the load balancer; *clusters* are where its traffic may land."""

    load_balancer: LoadBalancer
    clusters: tuple[Cluster, ...]


class ClusterErrand(StorageErrand[O], Generic[O]):
    """An order that looks at what a cluster shares, as this node sees it."""

    limits: Limits


class BothErrand(Errand[O], Generic[O]):
    """An order that holds both clusters side by side."""

    source: Cluster
    target: Cluster
    limits: Limits


class LoginErrand(NodeErrand[O], Generic[O]):
    """An order that logs in to a node itself, as the probe does through the load balancer."""

    probe: Probe


class NoticeErrand(Value):
    """Something to tell whoever the estate's webhook reaches."""

    webhook: Webhook
    notice: Notice


class Planning(ABC):
    """Reading the estate, once, and keeping the outcome where Temporal's retention ends."""

    @activity.defn
    @abstractmethod
    async def make_plan(self, request: Request) -> Plan:
        """Read the estate file and plan; BadInput where either is wrong."""

    @activity.defn
    @abstractmethod
    async def keep_plan(self, plan: Plan) -> str:
        """Write a reviewed plan to a file of its hash's name and return where it is."""

    @activity.defn
    @abstractmethod
    async def keep_outcome(self, outcome: Outcome) -> str:
        """Write the outcome to a file and return where it is."""


class Spelling(ABC):
    """Saying in a system's own words what an order would have sent; nothing is asked anywhere."""

    @activity.defn
    @abstractmethod
    async def spell_out(self, plan: Plan) -> tuple[Spelled, ...]:
        """Return the exact words of every order of the plan."""


class Nodes(ABC):
    """What is asked of SecureTransport machines through their shell and ledger."""

    @activity.defn
    @abstractmethod
    async def observe_node(self, errand: SessionErrand[ObserveNode]) -> NodeReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def stop_monitor(self, errand: NodeErrand[StopMonitor]) -> Report:
        """Leave the Monitor stopped."""

    @activity.defn
    @abstractmethod
    async def start_monitor(self, errand: NodeErrand[StartMonitor]) -> Report:
        """Leave the Monitor running."""

    @activity.defn
    @abstractmethod
    async def stop_gracefully(self, errand: NodeErrand[StopGracefully]) -> Report:
        """Leave the protocol server stopped, gracefully; NotReady while the Monitor runs."""

    @activity.defn
    @abstractmethod
    async def start_protocol_server(self, errand: NodeErrand[StartProtocolServer]) -> Report:
        """Leave the protocol server running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def prove_stopped(self, errand: NodeErrand[ProveStopped]) -> Report:
        """See every protocol server and the Monitor down; NotReady naming what runs."""

    @activity.defn
    @abstractmethod
    async def prove_serving(self, errand: NodeErrand[ProveServing]) -> Report:
        """See all that clients need running, twice; NotReady naming what does not."""

    @activity.defn
    @abstractmethod
    async def prove_dead(self, errand: NodeErrand[ProveDead]) -> Report:
        """See SSH, admin API and every port silent; NotReady naming what answers."""

    @activity.defn
    @abstractmethod
    async def stop_transaction_manager(self, errand: NodeErrand[StopTransactionManager]) -> Report:
        """Leave it stopped, gracefully; NotReady while what comes before still runs."""

    @activity.defn
    @abstractmethod
    async def look_for_orphans(self, errand: StorageErrand[LookForOrphans]) -> Report:
        """Report what nobody works on any more as findings that warn (section 5)."""

    @activity.defn
    @abstractmethod
    async def start_transaction_manager(
        self, errand: NodeErrand[StartTransactionManager]
    ) -> Report:
        """Leave the Transaction Manager running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def stop_remaining(self, errand: NodeErrand[StopRemaining]) -> Report:
        """Leave nothing of SecureTransport running; proven by PID files and ports."""

    @activity.defn
    @abstractmethod
    async def start_all(self, errand: NodeErrand[StartAll]) -> Report:
        """Leave the node started, admin answering."""


class Scheduling(ABC):
    """What is asked of Servers through the admin REST API: Scheduler and Folder Monitor."""

    @activity.defn
    @abstractmethod
    async def stop_scheduling(self, errand: NodeErrand[StopScheduling]) -> Report:
        """Leave both stopped."""

    @activity.defn
    @abstractmethod
    async def prove_scheduling_stopped(self, errand: NodeErrand[ProveSchedulingStopped]) -> Report:
        """See both stopped, twice, the second time after the takeover time."""

    @activity.defn
    @abstractmethod
    async def start_scheduling(self, errand: NodeErrand[StartScheduling]) -> Report:
        """Leave the order's services running."""


class Waits(ABC):
    """Waits for what clients and partners do; they only look, and heartbeat what is left."""

    @activity.defn
    @abstractmethod
    async def await_work_in_hand(self, errand: NodeErrand[AwaitWorkInHand]) -> Report:
        """Return once every event queued at the first reading has ended; heartbeats QueueLeft."""

    @activity.defn
    @abstractmethod
    async def await_sessions(self, errand: SessionErrand[AwaitSessions]) -> Report:
        """Return once the sessions have left; heartbeats SessionsLeft."""

    @activity.defn
    @abstractmethod
    async def await_queue(self, errand: NodeErrand[AwaitQueue]) -> Report:
        """Return once the queue is empty and nothing is active; heartbeats QueueLeft."""

    @activity.defn
    @abstractmethod
    async def look_at_sessions(self, errand: SessionErrand[LookAtSessions]) -> SessionsLeft:
        """Say who is there now; what cannot be read is in the answer's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def look_at_queue(self, errand: NodeErrand[LookAtQueue]) -> QueueLeft:
        """Say what is queued now; what cannot be read is in its trouble, never an error."""


class Traffic(ABC):
    """What is asked of the load balancer."""

    @activity.defn
    @abstractmethod
    async def observe_traffic(self, errand: TrafficErrand[ObserveTraffic]) -> TrafficReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def try_login(self, errand: LoginErrand[TryLogin]) -> LoginReading:
        """Log in, list, leave; why that failed is in the reading, never an error."""

    @activity.defn
    @abstractmethod
    async def redirect(self, errand: TrafficErrand[Redirect]) -> Report:
        """Leave the host pointing at the cluster."""

    @activity.defn
    @abstractmethod
    async def prove_traffic(self, errand: TrafficErrand[ProveTraffic]) -> Report:
        """Find our own login on a node of the cluster; NotReady where it lands elsewhere."""


class Databases(ABC):
    """What is asked of the databases."""

    @activity.defn
    @abstractmethod
    async def observe_replication(
        self, errand: ReplicationErrand[ObserveReplication]
    ) -> ReplicationReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def suspend_replication(self, errand: ReplicationErrand[SuspendReplication]) -> Report:
        """Leave the subscription disabled, after its lag reached zero."""

    @activity.defn
    @abstractmethod
    async def resume_replication(self, errand: ReplicationErrand[ResumeReplication]) -> Report:
        """Leave the subscription enabled and its worker running.

        NotReady with a list where both sides wrote the same rows while it was suspended: resumed
        then, their values would silently swap, or the apply worker stop for good.
        """


class Configurations(ABC):
    """Looking at what the nodes of a cluster share, and at what both clusters must share."""

    @activity.defn
    @abstractmethod
    async def observe_cluster(self, errand: ClusterErrand[ObserveCluster]) -> ClusterReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def compare_configuration(
        self, errand: BothErrand[CompareConfiguration]
    ) -> ParityReading:
        """Name what differs; what cannot be read is in the reading's trouble, never an error."""


class Storages(ABC):
    """Looking at the file storage of both clusters."""

    @activity.defn
    @abstractmethod
    async def compare_storage(self, errand: BothErrand[CompareStorage]) -> StorageReading:
        """Name what differs in a sample; writes a marker file where the estate has a place for it.

        What cannot be read is in the reading's trouble, never an error.
        """


class Orchestration(ABC):
    """Asking Temporal itself."""

    @activity.defn
    @abstractmethod
    async def observe_temporal(self, errand: Errand[ObserveTemporal]) -> TemporalReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def last_readiness(self, direction: Direction) -> Verdict | None:
        """Return the newest verdict about this switchover; None where nobody finds one."""


class Notices(ABC):
    """Telling people outside Temporal."""

    @activity.defn
    @abstractmethod
    async def tell(self, errand: NoticeErrand) -> None:
        """Post the notice, signed; Unreachable where nobody took it."""
