"""The legs of a round trip: there by a switchover and a rejoin, and back by two more."""

from dataclasses import dataclass

from lab.environment.situation import Situation
from lab.layout import ClusterName
from workflows.model.stages import Procedure


@dataclass(frozen=True)
class Leg:
    """One run: what it does, and between which clusters."""

    procedure: Procedure
    source: ClusterName
    """The active cluster when it begins; of a rejoin, also when it ends."""
    target: ClusterName
    """The cluster that traffic reaches; of a rejoin, the one that comes back."""

    @property
    def before(self) -> Situation:
        """How it finds the estate, and leaves it where everything was rolled back."""
        return Situation(self.source, drained=self.procedure == "rejoin")

    @property
    def after(self) -> Situation:
        """How it leaves the estate when it has completed."""
        rejoins = self.procedure == "rejoin"
        return Situation(self.source if rejoins else self.target, drained=not rejoins)

    def __str__(self) -> str:
        if self.procedure == "rejoin":
            return f"rejoin of {self.target}"
        return f"switchover from {self.source} to {self.target}"


ROUND_TRIP = (
    Leg("switchover", "cluster1", "cluster2"),
    Leg("rejoin", "cluster2", "cluster1"),
    Leg("switchover", "cluster2", "cluster1"),
    Leg("rejoin", "cluster1", "cluster2"),
)
"""It ends where it began."""
LEGS: dict[Procedure, Leg] = {leg.procedure: leg for leg in reversed(ROUND_TRIP[:2])}
"""By procedure: the first one of it, with which campaigns begin each of their cases."""
