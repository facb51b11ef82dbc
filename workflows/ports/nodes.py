"""Act on SecureTransport nodes through their shell and ledger."""

from abc import ABC, abstractmethod

from temporalio import activity

from workflows.model import actions
from workflows.model.observations import NodeReading
from workflows.model.results import Report
from workflows.ports.inputs import NodeInput, SessionInput, StorageInput


class NodesPort(ABC):
    """Act on SecureTransport nodes through their shell and ledger."""

    @activity.defn
    @abstractmethod
    async def observe_node(self, given: SessionInput[actions.ObserveNode]) -> NodeReading:
        """Read everything; what cannot be read is reported in the reading, never raised."""

    @activity.defn
    @abstractmethod
    async def stop_monitor(self, given: NodeInput[actions.StopMonitor]) -> Report:
        """Leave the Monitor stopped."""

    @activity.defn
    @abstractmethod
    async def start_monitor(self, given: NodeInput[actions.StartMonitor]) -> Report:
        """Leave the Monitor running."""

    @activity.defn
    @abstractmethod
    async def stop_gracefully(self, given: NodeInput[actions.StopGracefully]) -> Report:
        """Leave the protocol server stopped, gracefully; NotReady while the Monitor runs."""

    @activity.defn
    @abstractmethod
    async def start_protocol_server(self, given: NodeInput[actions.StartProtocolServer]) -> Report:
        """Leave the protocol server running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def verify_stopped(self, given: NodeInput[actions.VerifyStopped]) -> Report:
        """Verify every protocol server and the Monitor down; NotReady naming what runs."""

    @activity.defn
    @abstractmethod
    async def verify_serving(self, given: NodeInput[actions.VerifyServing]) -> Report:
        """Verify twice that all that clients need runs; NotReady naming what does not."""

    @activity.defn
    @abstractmethod
    async def verify_unreachable(self, given: NodeInput[actions.VerifyUnreachable]) -> Report:
        """Verify that neither SSH, admin API nor any port answers; NotReady naming what does."""

    @activity.defn
    @abstractmethod
    async def stop_transaction_manager(
        self, given: NodeInput[actions.StopTransactionManager]
    ) -> Report:
        """Leave it stopped, gracefully; NotReady while a protocol server or Monitor runs."""

    @activity.defn
    @abstractmethod
    async def find_orphaned_files(self, given: StorageInput[actions.FindOrphanedFiles]) -> Report:
        """Report files of transfers that have ended as findings that warn (section 5)."""

    @activity.defn
    @abstractmethod
    async def start_transaction_manager(
        self, given: NodeInput[actions.StartTransactionManager]
    ) -> Report:
        """Leave the Transaction Manager running; waits for pending stops first."""

    @activity.defn
    @abstractmethod
    async def stop_remaining(self, given: NodeInput[actions.StopRemaining]) -> Report:
        """Leave nothing of SecureTransport running; verified by PID files and ports."""

    @activity.defn
    @abstractmethod
    async def verify_idle(self, given: SessionInput[actions.VerifyIdle]) -> Report:
        """Verify twice that no client is connected; NotReady with the number of connections."""

    @activity.defn
    @abstractmethod
    async def start_admin(self, given: NodeInput[actions.StartAdmin]) -> Report:
        """Leave the admin service running, its API answering."""

    @activity.defn
    @abstractmethod
    async def start_all(self, given: NodeInput[actions.StartAll]) -> Report:
        """Leave the node started, admin answering."""
