"""Make the actions of a stage fail on one place.

The product is not imported, but some of its protocol is known here: the names of its stages, the
scripts that a stage runs, the REST path and the SQL statement that it sends, and the name of the
operation that redirects. They identify the request at which a fault begins.
"""

from abc import ABC, abstractmethod
from pathlib import Path

from lab.environment.load_balancers.dns import NAME_SERVER
from lab.environment.load_balancers.registry import load_balancer
from lab.environment.replication_command import program
from lab.fault_injection.node_faults import EXITS_1, KILLS_ITSELF, NOISE, REFUSAL, Scripts
from lab.layout import NodeLayout
from lab.node import services
from lab.node.request_hook import RequestEvent
from lab.proxy.proxies import BALANCER, Proxies
from lab.simulation_options import end_simulation, simulate
from workflows.model.stages import StageName

PARTIAL_LOGIN_BYTES = 1500
"""Bytes: in the middle of what a server sends before a login completes."""
OPERATIONS = "POST /api/v2.0/clusterServices/operations"
ALTER = "ALTER SUBSCRIPTION"
SCRIPTS: dict[StageName, tuple[str, tuple[str, ...]]] = {
    StageName.STOP_MONITORS: ("stop", ("monitord",)),
    StageName.DRAIN_PROTOCOL_SERVERS: ("stop", ("sshd", "httpd")),
    StageName.DRAIN_TRANSACTION_MANAGER: ("stop", ("tm",)),
    StageName.RESTORE_MONITORS: ("start", ("monitord",)),
    StageName.START_TRANSACTION_MANAGERS: ("start", ("tm",)),
    StageName.START_SERVICES: ("start", ("sshd", "httpd")),
}
"""The scripts that a stage runs on a node: the verb, and the services' names."""


class Method(ABC):
    """One place, as one stage acts on it."""

    def __init__(self, proxies: Proxies, place: str) -> None:
        self.proxies = proxies
        self.place = place
        self.replaced = Scripts()
        self.drops = False
        """Whether requests are dropped without effect or answer."""

    def concerns(self, event: RequestEvent) -> bool:
        """Whether this request is one to the place."""
        return event.place == self.place

    @abstractmethod
    def acts(self, event: RequestEvent) -> bool:
        """Whether this request is the action of the stage itself."""

    @abstractmethod
    def refuse(self) -> None:
        """Let the place refuse the action."""

    def cut(self) -> None:
        """Reset and refuse every connection: the admin API is reached through the shell, too."""
        self.proxies.lines[self.place].cut()

    @abstractmethod
    def confuse(self) -> None:
        """Make the state of the place unreadable."""

    def lose(self) -> None:
        """Let the action begin, without effect and without answer."""
        self.drops = True

    def simulate(self, **faults: str) -> None:
        """Let the place simulate these faults."""
        simulate(self.proxies.layout, self.place, **faults)

    def heal(self) -> None:
        """Restore the place."""
        self.drops = False
        self.proxies.heal()
        self.replaced.heal()
        end_simulation(self.proxies.layout, self.place)


class ByScript(Method):
    """By scripts on a node, whose states other scripts print."""

    def __init__(
        self, proxies: Proxies, node: NodeLayout, verb: str, names: tuple[str, ...]
    ) -> None:
        super().__init__(proxies, node.name)
        self.node = node
        self.scripts = tuple(f"{verb}_{name}" for name in names)
        self.readers = tuple(f"status_{name}" for name in names)

    def acts(self, event: RequestEvent) -> bool:
        """A command that contains one of the scripts."""
        files = (self.node.seen(self.node.script(script)) for script in self.scripts)
        return event.protocol == "ssh" and any(file in event.text for file in files)

    def refuse(self) -> None:
        """The scripts refuse, and exit 1."""
        self.simulate(**{f"exit_{script}": REFUSAL for script in self.scripts})

    def confuse(self) -> None:
        """The status scripts print noise."""
        self.simulate(**dict.fromkeys(self.readers, NOISE))

    def lose(self) -> None:
        """The scripts end with their session before they do anything."""
        self.simulate(**{f"hang_{script}": "with_session" for script in self.scripts})


class ByStopAll(ByScript):
    """By ``stop_all``, after which no status script answers."""

    def __init__(self, proxies: Proxies, node: NodeLayout) -> None:
        super().__init__(proxies, node, "stop", ("all",))

    def confuse(self) -> None:
        """PID files, ports and processes are read through the shell, which prints noise."""
        self.simulate(noise=f"{NOISE}\n")


class ByFirstStart(ByScript):
    """By the first start on a node that is down: admin, or all of an Edge."""

    def __init__(self, proxies: Proxies, node: NodeLayout) -> None:
        super().__init__(proxies, node, "start", ("all" if node.kind == "edge" else "admin",))

    def confuse(self) -> None:
        """Its state is read through the shell, which prints noise."""
        self.simulate(noise=f"{NOISE}\n")


class ByProgram(Method):
    """By a program of the machine that is no node, in an operation of the stage."""

    def __init__(self, proxies: Proxies, stage: StageName, words: str, file: Path) -> None:
        super().__init__(proxies, BALANCER)
        self.stage, self.words, self.file = stage, words, file

    def acts(self, event: RequestEvent) -> bool:
        """A command that brings these words, and whose operation is named after the stage."""
        brings = self.stage.value in event.text and self.words in event.text
        return event.protocol == "ssh" and brings

    def refuse(self) -> None:
        """Everything before it succeeds, and the program fails."""
        self.replaced.replace((self.file,), EXITS_1)

    def confuse(self) -> None:
        """The shell prints noise: the program, which goes on in the background, is not replaced."""
        self.simulate(noise=f"{NOISE}\n")

    def lose(self) -> None:
        """The program ends with its session before it does anything."""
        self.replaced.replace((self.file,), KILLS_ITSELF)


class ByRedirect(ByProgram):
    """By the load balancer's own program, after what redirects has been prepared."""

    def __init__(self, proxies: Proxies) -> None:
        balancer = load_balancer(proxies.layout)
        words, file = balancer.redirect_words, balancer.redirect_program
        super().__init__(proxies, StageName.REDIRECT_TRAFFIC, words, file)

    def cut(self) -> None:
        """Its shell, and the probes' logins; clients are not affected."""
        for proxy in (self.proxies.lines[self.place], *self.proxies.probes):
            proxy.cut()

    def confuse(self) -> None:
        """The answers to probes break off."""
        for probe in self.proxies.probes:
            probe.answers_at_most = PARTIAL_LOGIN_BYTES


class ByUpdate(Method):
    """By an update of the zone that has the names of the nodes."""

    def __init__(self, proxies: Proxies) -> None:
        super().__init__(proxies, NAME_SERVER)
        self.words = load_balancer(proxies.layout).redirect_words

    def acts(self, event: RequestEvent) -> bool:
        """An update with an address on the target."""
        return (
            event.protocol == "dns" and event.text.startswith("update") and self.words in event.text
        )

    def refuse(self) -> None:
        """It answers REFUSED to every update, and makes none."""
        self.proxies.name_server.refuses = True

    def confuse(self) -> None:
        """Of every answer, half is missing."""
        self.proxies.name_server.garbles = True


class ByApi(Method):
    """By operations of a node's admin API that start, or stop, Scheduler and Folder Monitor."""

    def __init__(self, proxies: Proxies, place: str, verb: str) -> None:
        super().__init__(proxies, place)
        self.operation = f"operation={verb}"

    def acts(self, event: RequestEvent) -> bool:
        """Such an operation."""
        operates = event.protocol == "rest" and event.text.startswith(OPERATIONS)
        return operates and self.operation in event.text

    def refuse(self) -> None:
        """It answers 200, and that it was not successful."""
        self.simulate(refuse_operations="yes")

    def confuse(self) -> None:
        """It answers an undocumented status."""
        self.simulate(cluster_service_status="Synchronizing.")


class ByStatement(Method):
    """By a statement to a database that contains this text."""

    def __init__(self, proxies: Proxies, place: str, statement: str) -> None:
        super().__init__(proxies, place)
        self.statement = statement

    def acts(self, event: RequestEvent) -> bool:
        """Such a statement."""
        return event.protocol == "sql" and self.statement in event.text

    def refuse(self) -> None:
        """It is answered by an error."""
        self.proxies.databases[self.place].refuses = self.statement

    def cut(self) -> None:
        """Only the product's connections, not the cluster's."""
        self.proxies.databases[self.place].cut()

    def confuse(self) -> None:
        """Answers break off in the middle."""
        self.proxies.databases[self.place].breaks_off = True


class ByReading(Method):
    """By any request to a machine that is only read."""

    def acts(self, event: RequestEvent) -> bool:
        """Everything."""
        return event.place == self.place

    def refuse(self) -> None:
        """Logins are refused."""
        self.simulate(refuses_login="yes")

    def confuse(self) -> None:
        """Status scripts print noise; of the load balancer, a probe's answer breaks off."""
        if self.place == BALANCER:
            for probe in self.proxies.probes:
                probe.answers_at_most = PARTIAL_LOGIN_BYTES
            return
        node = self.proxies.layout.node(self.place)
        names = (service.script for service in services.of(node.kind))
        self.simulate(**{f"status_{name}": NOISE for name in names})


def method_for(proxies: Proxies, stage: StageName, place: str) -> Method:  # noqa: PLR0911 - one for each method
    """Return how this stage acts on this place (docs/securetransport.md, section 2)."""
    match stage:
        case StageName.CHECK_PREREQUISITES if place in proxies.databases:
            return ByStatement(proxies, place, "")
        case StageName.CHECK_PREREQUISITES:
            return ByReading(proxies, place)
        case StageName.SUSPEND_REPLICATION | StageName.RESUME_REPLICATION:
            return _replication_method(proxies, stage, place)
        case StageName.REDIRECT_TRAFFIC if place == NAME_SERVER:
            return ByUpdate(proxies)
        case StageName.REDIRECT_TRAFFIC:
            return ByRedirect(proxies)
        case StageName.STOP_SCHEDULING | StageName.PAUSE_SCHEDULING:
            return ByApi(proxies, place, "stop")
        case StageName.START_SCHEDULING | StageName.RESUME_SCHEDULING:
            return ByApi(proxies, place, "start")
        case StageName.STOP_REMAINING_SERVICES:
            return ByStopAll(proxies, proxies.layout.node(place))
        case StageName.START_ADMIN:
            return ByFirstStart(proxies, proxies.layout.node(place))
        case _:
            return ByScript(proxies, proxies.layout.node(place), *SCRIPTS[stage])


def _replication_method(proxies: Proxies, stage: StageName, place: str) -> Method:
    if place in proxies.databases:
        return ByStatement(proxies, place, ALTER)
    command = program(proxies.layout)
    return ByProgram(proxies, stage, str(command), command)
