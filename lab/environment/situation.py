"""Which cluster is active, and whether the other one is up: where a lab begins, or a run ends."""

from dataclasses import dataclass

from lab.layout import ClusterName, NodeLayout
from lab.node import services


@dataclass(frozen=True)
class Situation:
    """Everything that a switchover or a rejoin changes for good.

    The active cluster serves and schedules, and all of it runs. The other one runs as well, and
    databases replicate; or it is drained: nothing of it runs, and replication is suspended.
    """

    active: ClusterName = "cluster1"
    drained: bool = False

    def running(self, node: NodeLayout) -> tuple[str, ...]:
        """The services that run on the node, in the sequence of their start."""
        down = self.drained and node.cluster != self.active
        return () if down else services.baseline(node.kind)

    def schedules(self, node: NodeLayout) -> bool:
        """Whether Scheduler and Folder Monitor are started on the node."""
        return node.kind == "server" and node.cluster == self.active


BASELINE = Situation()
SWITCHED_OUT = Situation("cluster2", drained=True)
"""After a switchover from the baseline."""
