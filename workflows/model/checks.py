"""What a check is: one prerequisite, by the name of its finding.

The checks themselves are in ``workflows/preflight``, those of a driver beside its estate type.
"""

from dataclasses import dataclass
from enum import StrEnum

from workflows.model.base import Value
from workflows.model.findings import Finding, Severity
from workflows.model.stages import Procedure, StageName


class Heading(StrEnum):
    """Under which heading a check is listed; in the order of the lists."""

    ACCESS = "Access"
    MACHINE = "The machine"
    EQUALITY = "Both clusters are equal"
    SERVICES = "Services"
    REPLICATION = "Replication and databases"
    STORAGE = "File storage"
    TRAFFIC = "Traffic"
    TEMPORAL = "Temporal"
    EARLIER_RUN = "An interrupted switchover"


class Scope(StrEnum):
    """Which places of an estate a check is made at."""

    NODES = "nodes"
    SERVERS = "servers"
    SOURCE_NODES = "source_nodes"
    TARGET_NODES = "target_nodes"
    SOURCE_SERVER = "source_server"
    """The source's first Server, which reads what all of them share."""
    FIRST_SERVERS = "first_servers"
    TARGET_FRONT = "target_front"
    """The target's client-facing nodes."""
    SOURCE = "source"
    TARGET = "target"
    CLUSTERS = "clusters"
    MARKED_CLUSTERS = "marked_clusters"
    """Clusters on whose storage the estate allows marker files."""
    LINKS = "links"
    PUBLISHERS = "publishers"
    SUBSCRIBERS = "subscribers"
    DATABASES = "databases"
    HOSTS = "hosts"
    CONFIGURED_HOSTS = "configured_hosts"
    """Load balancer hosts whose configuration the estate names."""
    LEDGER_HOSTS = "ledger_hosts"
    """Load balancer hosts on which a redirect runs a command, recorded in their ledger."""
    RELOADED_HOSTS = "reloaded_hosts"
    """Load balancer hosts on which that command reloads the load balancer."""
    RESOLVING_HOSTS = "resolving_hosts"
    """Load balancer hosts that ask others for the Edges' addresses."""
    ZONES = "zones"
    """What answers those hosts."""
    OWN_QUEUES = "own_queues"
    """The task queues that the estate gives its clusters."""
    ESTATE = "estate"
    EVERYWHERE = "everywhere"
    """Any place; shown only where the check fails."""


class CheckStatus(StrEnum):
    """The result of a check at one place, the worst first; a check may apply nowhere, too."""

    FAILED = "failed"
    """There is a finding."""
    UNKNOWN = "unknown"
    """Too little could be read to tell."""
    ACCEPTED = "accepted"
    """It fails, and an operator accepted that with a reason."""
    NOT_AVAILABLE = "not_available"
    """The place does not have what is checked, such as a list that its version lacks."""
    PASSED = "passed"

    @property
    def text(self) -> str:
        """Return it in words."""
        return "not available here" if self is CheckStatus.NOT_AVAILABLE else self.value


@dataclass(frozen=True)
class Check:
    """One thing that must hold before traffic is moved.

    This class is for checks that are evaluated where the reading is made, such as those of a
    driver: the reading carries their findings.
    """

    name: str
    """The name of its finding, and of the Python object."""
    title: str
    """What holds, as a sentence."""
    scope: Scope
    heading: Heading
    severity: Severity = Severity.BLOCKS
    until: StageName | None = None
    """The stage whose work ends it; None where it must hold all the way."""
    acceptable: bool = False
    """Whether an operator may accept its finding; accepting the others would break the promise."""
    acceptable_in_rejoin: bool = False
    """Whether it may be accepted in a rejoin, where an accepted one breaks no promise yet: no
    client is sent to the cluster before the next switchover, which checks again."""
    only: Procedure | None = None
    """The procedure that alone it is made for; None where it is made for each."""
    driver: type[Value] | None = None
    """The estate type of the driver that makes this check; None where every estate has it."""

    def may_be_accepted(self, procedure: Procedure) -> bool:
        """Whether an operator may accept its finding in a run of this procedure."""
        return self.acceptable or (self.acceptable_in_rejoin and procedure == "rejoin")

    def finding(self, place: str, *, seen: str, expected: str, advice: str) -> Finding:
        """Return the finding that this check does not hold at a place."""
        return Finding(
            name=self.name,
            place=place,
            seen=seen,
            expected=expected,
            advice=advice,
            severity=self.severity,
        )


@dataclass(frozen=True)
class AccessCheck(Check):
    """A place can be read; where this fails, a part of the place's reading is missing."""

    heading: Heading = Heading.ACCESS
    advice: str = "check that it is up and that the worker can reach it over the network"
    may_pass: bool = True
    """Whether it may hold again by itself, such as after a lost connection or a service's start."""

    def unread(self, place: str, seen: str) -> Finding:
        """Return the finding that a part of a reading could not be made."""
        return self.finding(place, seen=seen, expected="an answer", advice=self.advice)
