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
    AwaitInFlightEvents,
    AwaitQueue,
    AwaitSessions,
    FindOrphanedFiles,
    ReadQueue,
    ReadSessions,
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
    VerifyNoConflicts,
    VerifySchedulingStopped,
    VerifyServing,
    VerifyStopped,
    VerifyTraffic,
    VerifyUnreachable,
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
from workflows.model.results import Operation, RemainingQueue, RemainingSessions, Report
from workflows.model.site_policy import Webhook
from workflows.planning.plan import Plan
from workflows.planning.preview import CommandPreview
from workflows.preflight.report import Direction, ReadinessReport

O = TypeVar("O")  # noqa: E741 - the order, and nothing else here is called so


class ActionInput(Value, Generic[O]):
    """An order, who asks, and how long things take on this estate."""

    operation: Operation
    action: O
    timing: Timing


class NodeInput(ActionInput[O], Generic[O]):
    """An order for one node."""

    node: Node


class SessionInput(NodeInput[O], Generic[O]):
    """An order that counts the client sessions of one node."""

    ignored_peers: tuple[str, ...] = ()
    redirected_at: datetime | None = None
    """Sessions that begin later than this on the source are a finding; None before it."""


class StorageInput(NodeInput[O], Generic[O]):
    """An order that concerns the shared storage, where this node has it mounted."""

    storage: AbsolutePath


class ReplicationInput(ActionInput[O], Generic[O]):
    """An order for one replication link."""

    link: ReplicationLink
    publisher: Database
    subscriber: Database
    replication: Replication
    compared_at: datetime | None = None
    """When the run began to compare both sides last; None where it did not."""


class TrafficInput(ActionInput[O], Generic[O]):
    """An order for the load balancer; *clusters* are where its traffic may land."""

    load_balancer: LoadBalancer
    clusters: tuple[Cluster, ...]


class ClusterInput(StorageInput[O], Generic[O]):
    """An order that looks at what a cluster shares, as this node sees it."""

    limits: Limits


class ClusterPairInput(ActionInput[O], Generic[O]):
    """An order that holds both clusters side by side."""

    source: Cluster
    target: Cluster
    limits: Limits


class LoginInput(NodeInput[O], Generic[O]):
    """An order that logs in to a node itself, as the probe does through the load balancer."""

    probe: Probe


class NoticeInput(Value):
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
    async def preview_commands(self, plan: Plan) -> tuple[CommandPreview, ...]:
        """Return the exact words of every order of the plan."""


class Nodes(ABC):
    """What is asked of SecureTransport machines through their shell and ledger."""

    @activity.defn
    @abstractmethod
    async def observe_node(self, given: SessionInput[ObserveNode]) -> NodeReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def stop_monitor(self, given: NodeInput[StopMonitor]) -> Report:
        """Leave the Monitor stopped."""

    @activity.defn
    @abstractmethod
    async def start_monitor(self, given: NodeInput[StartMonitor]) -> Report:
        """Leave the Monitor running."""

    @activity.defn
    @abstractmethod
    async def stop_gracefully(self, given: NodeInput[StopGracefully]) -> Report:
        """Leave the protocol server stopped, gracefully; NotReady while the Monitor runs."""

    @activity.defn
    @abstractmethod
    async def start_protocol_server(self, given: NodeInput[StartProtocolServer]) -> Report:
        """Leave the protocol server running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def verify_stopped(self, given: NodeInput[VerifyStopped]) -> Report:
        """See every protocol server and the Monitor down; NotReady naming what runs."""

    @activity.defn
    @abstractmethod
    async def verify_serving(self, given: NodeInput[VerifyServing]) -> Report:
        """See all that clients need running, twice; NotReady naming what does not."""

    @activity.defn
    @abstractmethod
    async def verify_unreachable(self, given: NodeInput[VerifyUnreachable]) -> Report:
        """See SSH, admin API and every port silent; NotReady naming what answers."""

    @activity.defn
    @abstractmethod
    async def stop_transaction_manager(self, given: NodeInput[StopTransactionManager]) -> Report:
        """Leave it stopped, gracefully; NotReady while what comes before still runs."""

    @activity.defn
    @abstractmethod
    async def find_orphaned_files(self, given: StorageInput[FindOrphanedFiles]) -> Report:
        """Report what nobody works on any more as findings that warn (section 5)."""

    @activity.defn
    @abstractmethod
    async def start_transaction_manager(self, given: NodeInput[StartTransactionManager]) -> Report:
        """Leave the Transaction Manager running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def stop_remaining(self, given: NodeInput[StopRemaining]) -> Report:
        """Leave nothing of SecureTransport running; proven by PID files and ports."""

    @activity.defn
    @abstractmethod
    async def start_all(self, given: NodeInput[StartAll]) -> Report:
        """Leave the node started, admin answering."""


class Scheduling(ABC):
    """What is asked of Servers through the admin REST API: Scheduler and Folder Monitor."""

    @activity.defn
    @abstractmethod
    async def stop_scheduling(self, given: NodeInput[StopScheduling]) -> Report:
        """Leave both stopped."""

    @activity.defn
    @abstractmethod
    async def verify_scheduling_stopped(self, given: NodeInput[VerifySchedulingStopped]) -> Report:
        """See both stopped, twice, the second time after the takeover time."""

    @activity.defn
    @abstractmethod
    async def start_scheduling(self, given: NodeInput[StartScheduling]) -> Report:
        """Leave the order's services running."""


class Waits(ABC):
    """Waits for what clients and partners do; they only look, and heartbeat what is left."""

    @activity.defn
    @abstractmethod
    async def await_in_flight_events(self, given: NodeInput[AwaitInFlightEvents]) -> Report:
        """Return once every event of the first reading has ended; heartbeats RemainingQueue."""

    @activity.defn
    @abstractmethod
    async def await_sessions(self, given: SessionInput[AwaitSessions]) -> Report:
        """Return once the sessions have left; heartbeats RemainingSessions."""

    @activity.defn
    @abstractmethod
    async def await_queue(self, given: NodeInput[AwaitQueue]) -> Report:
        """Return once the queue is empty and nothing is active; heartbeats RemainingQueue."""

    @activity.defn
    @abstractmethod
    async def read_sessions(self, given: SessionInput[ReadSessions]) -> RemainingSessions:
        """Say who is there now; what cannot be read is in the answer's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def read_queue(self, given: NodeInput[ReadQueue]) -> RemainingQueue:
        """Say what is queued now; what cannot be read is in its trouble, never an error."""


class Traffic(ABC):
    """What is asked of the load balancer."""

    @activity.defn
    @abstractmethod
    async def observe_traffic(self, given: TrafficInput[ObserveTraffic]) -> TrafficReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def try_login(self, given: LoginInput[TryLogin]) -> LoginReading:
        """Log in, list, leave; why that failed is in the reading, never an error."""

    @activity.defn
    @abstractmethod
    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Leave the host pointing at the cluster."""

    @activity.defn
    @abstractmethod
    async def verify_traffic(self, given: TrafficInput[VerifyTraffic]) -> Report:
        """Find our own login on a node of the cluster; NotReady where it lands elsewhere."""


class Databases(ABC):
    """What is asked of the databases."""

    @activity.defn
    @abstractmethod
    async def observe_replication(
        self, given: ReplicationInput[ObserveReplication]
    ) -> ReplicationReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def suspend_replication(self, given: ReplicationInput[SuspendReplication]) -> Report:
        """Leave replication disabled and not running, after its lag reached zero."""

    @activity.defn
    @abstractmethod
    async def verify_no_conflicts(self, given: ReplicationInput[VerifyNoConflicts]) -> Report:
        """Compare what both sides wrote while replication was suspended; may take minutes.

        NotReady with a list where both wrote the same rows: resumed then, their values would
        silently swap, or replication stop for good. The report bears the time of the beginning.
        """

    @activity.defn
    @abstractmethod
    async def resume_replication(self, given: ReplicationInput[ResumeReplication]) -> Report:
        """Leave replication enabled and running.

        Compares again, as far as the attempt has time; NotReady where both sides wrote the same
        rows, or where there is no time and the last comparison is too old.
        """


class Configurations(ABC):
    """Looking at what the nodes of a cluster share, and at what both clusters must share."""

    @activity.defn
    @abstractmethod
    async def observe_cluster(self, given: ClusterInput[ObserveCluster]) -> ClusterReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def compare_configuration(
        self, given: ClusterPairInput[CompareConfiguration]
    ) -> ParityReading:
        """Name what differs; what cannot be read is in the reading's trouble, never an error."""


class Storages(ABC):
    """Looking at the file storage of both clusters."""

    @activity.defn
    @abstractmethod
    async def compare_storage(self, given: ClusterPairInput[CompareStorage]) -> StorageReading:
        """Name what differs in a sample; writes a marker file where the estate has a place for it.

        What cannot be read is in the reading's trouble, never an error.
        """


class Orchestration(ABC):
    """Asking Temporal itself."""

    @activity.defn
    @abstractmethod
    async def observe_temporal(self, given: ActionInput[ObserveTemporal]) -> TemporalReading:
        """Read everything; what cannot be read is in the reading's trouble, never an error."""

    @activity.defn
    @abstractmethod
    async def last_readiness(self, direction: Direction) -> ReadinessReport | None:
        """Return the newest verdict about this switchover; None where nobody finds one."""


class Notices(ABC):
    """Telling people outside Temporal."""

    @activity.defn
    @abstractmethod
    async def tell(self, given: NoticeInput) -> None:
        """Post the notice, signed; Unreachable where nobody took it."""
