"""A model of an estate that executes actions and records every broken invariant."""

from workflows.model import actions
from workflows.model.estate import Estate, Kind, Node
from workflows.model.results import SCHEDULING, Service, State

Place = tuple[str, Service]


class World:
    """What would run where; *violations* lists every broken invariant of docs/architecture.md."""

    def __init__(self, estate: Estate, source: str, target: str) -> None:
        self.estate = estate
        self.source = source
        self.target = target
        self.running: set[Place] = set()
        self.replicating = {link.name for link in estate.replication.links}
        self.slots: set[str] = set()
        """Links that are off, and keep what their source writes."""
        self.traffic = dict.fromkeys(estate.load_balancer.places, source)
        self.stopped_gracefully: list[Place] = []
        self.violations: list[str] = []
        self.started: set[Place] = set()
        """What was started since the baseline: only that may be stopped on the target."""
        self.by_node = False
        """Whether invariant 3 is meant in its per-node form."""
        for node in estate.nodes:
            services = {Service.MONITOR, Service.ADMIN, *map(Service, node.protocols)}
            if node.kind is Kind.SERVER:
                services.add(Service.TRANSACTION_MANAGER)
                if estate.cluster_of(node.name).name == source:
                    services.update(SCHEDULING)
            self.running |= {(node.name, service) for service in services}

    def drain(self) -> None:
        """Make it what a completed switchover leaves: the source is down."""
        serving = {node.name for node in self.estate.cluster(self.target).nodes}
        servers = self.estate.cluster(self.target).servers
        self.started = {(server.name, service) for server in servers for service in SCHEDULING}
        self.running = {place for place in self.running if place[0] in serving} | self.started
        self.replicating.clear()
        self.slots = {link.name for link in self.estate.replication.links}
        self.traffic = dict.fromkeys(self.traffic, self.target)

    @property
    def picture(
        self,
    ) -> tuple[frozenset[Place], frozenset[str], frozenset[str], tuple[tuple[str, str], ...]]:
        """Everything that can be compared with a baseline."""
        return (
            frozenset(self.running),
            frozenset(self.replicating),
            frozenset(self.slots),
            tuple(sorted(self.traffic.items())),
        )

    def state(self, node: str, service: Service) -> State:
        """Whether a service runs."""
        return State.RUNNING if (node, service) in self.running else State.STOPPED

    def dies(self, node: str) -> None:
        """A node's power is off."""
        self.running = {place for place in self.running if place[0] != node}

    def is_stopped(self, action: actions.Action) -> bool:
        """Whether what the action would stop gracefully is down already."""
        match action:
            case actions.StopGracefully():
                return (action.node, Service(action.protocol)) not in self.running
            case actions.StopTransactionManager():
                return (action.node, Service.TRANSACTION_MANAGER) not in self.running
            case _:
                return False

    def execute(self, action: actions.Action) -> None:  # noqa: C901, PLR0912 - one case an action
        """Make the action's desired state true, then check the invariants."""
        match action:
            case actions.StopMonitor():
                self._stop(action.node, Service.MONITOR)
            case actions.StartMonitor():
                self.running.add((action.node, Service.MONITOR))
            case actions.SuspendReplication():
                self.replicating.discard(action.link)
                # The slot of a link from the passive side is not taken for granted: it may rest.
                if self.estate.link(action.link).source in self.traffic.values():
                    self.slots.add(action.link)
            case actions.ResumeReplication():
                self.replicating.add(action.link)
                self.slots.discard(action.link)
            case actions.BeginSlot():
                writer = self.estate.link(action.link).source
                began = action.link in self.slots or writer not in self.traffic.values()
                self._expect(began, f"a slot begins after traffic reached {writer}")
                self.slots.add(action.link)
            case actions.DropSlot():
                self.slots.discard(action.link)
            case actions.Redirect():
                self._expect(not self.replicating, "4: traffic moves while replication runs")
                kept = action.to != self.target or self._resting() <= self.slots
                self._expect(kept, f"nothing keeps what {action.to} writes when traffic moves")
                self.traffic[action.host] = action.to
            case actions.StopScheduling():
                for service in SCHEDULING:
                    self._stop(action.node, service)
            case actions.StartScheduling():
                self._start(action.node, *map(Service, action.services))
            case actions.StopGracefully():
                self._stop_gracefully(action.node, Service(action.protocol))
            case actions.StartProtocolServer():
                self._start(action.node, Service(action.protocol))
            case actions.StopTransactionManager():
                self._stop_transaction_manager(action.node)
            case actions.StartTransactionManager():
                # It is not documented whether they return with it: the model takes the worse case.
                self._start(action.node, Service.TRANSACTION_MANAGER, *SCHEDULING)
            case actions.StopRemaining():
                self.running = {place for place in self.running if place[0] != action.node}
            case actions.StartAdmin():
                self._start(action.node, Service.ADMIN)
            case actions.StartAll():
                self._start(action.node, *self._all_of(action.node))
            case actions.VerifyServing():
                down = self._all_of(action.node) - {
                    service for node, service in self.running if node == action.node
                }
                self._expect(not down - {*SCHEDULING}, f"{action.node} does not serve: {down}")
            case _:
                assert action.undo is None, action
        self.check()

    def _resting(self) -> set[str]:
        """Links that may have no slot as long as replication runs: those to the source."""
        replication = self.estate.replication
        links = replication.links if replication.has_slots else ()
        return {link.name for link in links if link.source == self.target}

    def _all_of(self, name: str) -> set[Service]:
        node = self.estate.node(name)
        services = {Service.ADMIN, *map(Service, node.protocols)}
        if node.kind is Kind.SERVER:
            services |= {Service.TRANSACTION_MANAGER, *SCHEDULING}
        return services

    def _start(self, node: str, *services: Service) -> None:
        self.started |= {(node, service) for service in services}
        self.running |= {(node, service) for service in services}
        self.stopped_gracefully = [
            place
            for place in self.stopped_gracefully
            if place[0] != node or place[1] not in services
        ]

    def fronts(self, cluster: str) -> tuple[Node, ...]:
        """The nodes that clients reach."""
        return self.estate.cluster(cluster).edges or self.estate.cluster(cluster).servers

    def check(self) -> None:
        """Check the invariants that hold at every instant."""
        scheduling = {
            self.estate.cluster_of(node).name
            for node, service in self.running
            if service in SCHEDULING
        }
        self._expect(len(scheduling) < 2, "1: scheduling runs on both clusters")
        for cluster in self.traffic.values():
            for edge in self.fronts(cluster):
                for protocol in edge.protocols:
                    serves = (edge.name, Service(protocol)) in self.running
                    self._expect(serves, f"2: traffic points at {edge.name}, {protocol} is down")

    def _stop(self, node: str, service: Service) -> None:
        if self.estate.cluster_of(node).name == self.target:
            ours = service in SCHEDULING and (node, service) in self.started
            idle = (node, service) not in self.running  # what does not run is not stopped
            allowed = service is Service.MONITOR or ours or (service in SCHEDULING and idle)
            self._expect(allowed, f"5: {service} of {node} on the target is stopped")
        self.running.discard((node, service))

    def _stop_gracefully(self, node: str, service: Service) -> None:
        place = (node, service)
        self._expect((node, Service.MONITOR) not in self.running, f"6: Monitor of {node} runs")
        self._expect(place not in self.stopped_gracefully, f"7: {place} is stopped twice")
        self.stopped_gracefully.append(place)
        self._stop(node, service)

    def _stop_transaction_manager(self, node: str) -> None:
        cluster = self.estate.cluster_of(node)
        nodes = {n.name for n in cluster.nodes}
        if self.by_node:
            nodes = {node, *(n.name for n in cluster.edges)}
        running = [
            place
            for place in sorted(self.running)
            if place[0] in nodes and place[1] in set(map(Service, ("ftp", "http", "as2", "ssh")))
        ]
        self._expect(not running, f"3: the TM of {node} is stopped while {running} run")
        self._stop_gracefully(node, Service.TRANSACTION_MANAGER)
        # What it hosts ends with it (docs/securetransport.md, section 7).
        self.running -= {(node, service) for service in SCHEDULING}

    def _expect(self, holds: bool, violation: str) -> None:  # noqa: FBT001 - it is the sentence's truth
        if not holds:
            self.violations.append(violation)
