"""How does a stage act on a place, and what of that can be made to fail in which way?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

from lab.environment.loadbalancer import LoadBalancer
from lab.fault_injection.node_faults import BABBLES, DIES, NOISE, REFUSES, Planted, Scripts
from lab.layout import NodeLayout
from lab.node import services
from lab.node.request_hook import Moment
from lab.proxy.proxies import BALANCER, Lines
from workflows.model.stages import StageName

HALF_A_LOGIN = 1500
"""Bytes: in the midst of what a server says before anyone is logged in."""
OPERATIONS = "POST /api/v2.0/clusterServices/operations"
ALTER = "ALTER SUBSCRIPTION"
MARKER = "# BEGIN switchover"
"""Before the lines of the hosts file that are not the site's."""
SCRIPTS: dict[StageName, tuple[str, tuple[str, ...]]] = {
    StageName.STOP_MONITORS: ("stop", ("monitord",)),
    StageName.DRAIN_PROTOCOL_SERVERS: ("stop", ("sshd", "httpd")),
    StageName.DRAIN_TRANSACTION_MANAGER: ("stop", ("tm",)),
    StageName.RESTORE_MONITORS: ("start", ("monitord",)),
}
"""What else a stage runs on a node: the verb, and the services' names in scripts."""


class Way(ABC):
    """One place, as one stage acts on it."""

    def __init__(self, lines: Lines, place: str) -> None:
        self.lines = lines
        self.place = place
        self.swallows = False
        """Whether what the stage asks for vanishes without effect or answer."""

    @abstractmethod
    def acts(self, moment: Moment) -> bool:
        """Whether this is what the stage is there for, or only what surrounds it."""

    @abstractmethod
    def refuse(self) -> None:
        """Let it be answered by a refusal, and do nothing."""

    @abstractmethod
    def cut(self) -> None:
        """Reset and refuse every connection to the place."""

    @abstractmethod
    def confuse(self) -> None:
        """Let nobody understand what state the place says it is in."""

    def lose(self) -> None:
        """Let it be begun, and never have its effect or be answered."""
        self.swallows = True

    def heal(self) -> None:
        """Let everything be as it was."""
        self.swallows = False
        self.lines.heal()


class ByScript(Way):
    """By scripts on a node, whose states other scripts tell."""

    def __init__(self, lines: Lines, node: NodeLayout, verb: str, names: tuple[str, ...]) -> None:
        super().__init__(lines, node.name)
        folder = node.home / "bin"
        self.scripts = tuple(folder / f"{verb}_{name}" for name in names)
        self.readers = tuple(folder / f"status_{name}" for name in names)
        self.replaced = Scripts()
        self.planted = Planted(lines.layout, node.name)

    def acts(self, moment: Moment) -> bool:
        """A command that has one of the scripts in it."""
        return moment.wire == "ssh" and any(str(script) in moment.words for script in self.scripts)

    def refuse(self) -> None:
        """The scripts say no, and exit 1."""
        self.replaced.replace(self.scripts, REFUSES)

    def cut(self) -> None:
        """The admin API is reached through the shell, so that it is gone, too."""
        self.lines.wires[self.place].cut()

    def confuse(self) -> None:
        """The status scripts print noise."""
        self.replaced.replace(self.readers, BABBLES)

    def lose(self) -> None:
        """The scripts die before they did anything, and so does who waits for their end."""
        self.replaced.replace(self.scripts, DIES)

    def heal(self) -> None:
        """Put the scripts back."""
        super().heal()
        self.replaced.heal()
        self.planted.heal()


class ByStopAll(ByScript):
    """By the one script after which no status script can tell."""

    def __init__(self, lines: Lines, node: NodeLayout) -> None:
        super().__init__(lines, node, "stop", ("all",))

    def confuse(self) -> None:
        """PID files, ports and processes are asked through the shell, which prints noise."""
        self.planted.plant("noise", f"{NOISE}\n")


class ByReload(Way):
    """By the load balancer's hosts file and its reload command."""

    def __init__(self, lines: Lines) -> None:
        super().__init__(lines, BALANCER)
        self.reload: Path = LoadBalancer(lines.layout).reload_command
        self.replaced = Scripts()

    def acts(self, moment: Moment) -> bool:
        """A command that brings new lines for the hosts file, and has the reload in it."""
        brings = MARKER in moment.words and str(self.reload) in moment.words
        return moment.wire == "ssh" and brings

    def refuse(self) -> None:
        """The hosts file can be written, and the reload fails."""
        self.replaced.replace((self.reload,), REFUSES)

    def cut(self) -> None:
        """Its shell, and logins that look where traffic goes; clients keep their own line."""
        for wire in (self.lines.wires[self.place], *self.lines.probes):
            wire.cut()

    def confuse(self) -> None:
        """Where traffic goes nobody can tell: a probe's answer breaks off."""
        for probe in self.lines.probes:
            probe.answers_at_most = HALF_A_LOGIN

    def lose(self) -> None:
        """The reload dies before it did anything, and so does who waits for its end."""
        self.replaced.replace((self.reload,), DIES)

    def heal(self) -> None:
        """Put the reload command back."""
        super().heal()
        self.replaced.heal()


class ByApi(Way):
    """By operations of a node's admin API on Scheduler and Folder Monitor."""

    def __init__(self, lines: Lines, place: str) -> None:
        super().__init__(lines, place)
        self.planted = Planted(lines.layout, place)

    def acts(self, moment: Moment) -> bool:
        """An operation."""
        return moment.wire == "rest" and moment.words.startswith(OPERATIONS)

    def refuse(self) -> None:
        """It answers 200, and that it was not successful."""
        self.planted.plant("refuse_operations")

    def cut(self) -> None:
        """The admin API is reached through the shell."""
        self.lines.wires[self.place].cut()

    def confuse(self) -> None:
        """It says a status that no document knows."""
        self.planted.plant("cluster_service_status", "Synchronizing.")

    def heal(self) -> None:
        """Plant nothing."""
        super().heal()
        self.planted.heal()


class ByStatement(Way):
    """By a statement to a database."""

    words = ALTER

    def acts(self, moment: Moment) -> bool:
        """A statement that changes a subscription."""
        return moment.wire == "sql" and self.words in moment.words

    def refuse(self) -> None:
        """It is answered by an error."""
        self.lines.databases[self.place].refuses = self.words

    def cut(self) -> None:
        """Only the product's connections: the cluster has its own line."""
        self.lines.databases[self.place].cut()

    def confuse(self) -> None:
        """Answers break off in the middle."""
        self.lines.databases[self.place].breaks_off = True


class ByAnyStatement(ByStatement):
    """By whatever is asked of a database."""

    words = ""


@dataclass(frozen=True)
class _Machine:
    """A machine that is only looked at."""

    name: str
    readers: tuple[Path, ...] = field(default=())


class ByLooking(Way):
    """By whatever is asked of a machine: nothing is to be changed there."""

    def __init__(self, lines: Lines, machine: _Machine) -> None:
        super().__init__(lines, machine.name)
        self.readers = machine.readers
        self.replaced = Scripts()
        self.planted = Planted(lines.layout, machine.name)

    def acts(self, moment: Moment) -> bool:
        """Everything."""
        return moment.place == self.place

    def refuse(self) -> None:
        """Nobody is let in."""
        self.planted.plant("refuses_login")

    def cut(self) -> None:
        """Its shell, and with it everything."""
        self.lines.wires[self.place].cut()

    def confuse(self) -> None:
        """Status scripts print noise; of the load balancer, a probe's answer breaks off."""
        self.replaced.replace(self.readers, BABBLES)
        if self.place == BALANCER:
            for probe in self.lines.probes:
                probe.answers_at_most = HALF_A_LOGIN

    def heal(self) -> None:
        """Let it be looked at again."""
        super().heal()
        self.replaced.heal()
        self.planted.heal()


def way(lines: Lines, stage: StageName, place: str) -> Way:  # noqa: PLR0911 - one for each way
    """Return how this stage acts on this place (section 2)."""
    match stage:
        case StageName.CHECK_PREREQUISITES if place in lines.databases:
            return ByAnyStatement(lines, place)
        case StageName.CHECK_PREREQUISITES:
            return ByLooking(lines, _machine(lines, place))
        case StageName.SUSPEND_REPLICATION:
            return ByStatement(lines, place)
        case StageName.REDIRECT_TRAFFIC:
            return ByReload(lines)
        case StageName.STOP_SCHEDULING | StageName.START_SCHEDULING:
            return ByApi(lines, place)
        case StageName.STOP_REMAINING_SERVICES:
            return ByStopAll(lines, lines.layout.node(place))
        case _:
            return ByScript(lines, lines.layout.node(place), *SCRIPTS[stage])


def _machine(lines: Lines, place: str) -> _Machine:
    if place == BALANCER:
        return _Machine(place)
    node = lines.layout.node(place)
    names = (service.script for service in services.of(node.kind))
    return _Machine(place, tuple(node.home / "bin" / f"status_{name}" for name in names))
