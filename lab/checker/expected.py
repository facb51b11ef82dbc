"""The effects that the vendor's manual requires, and their order.

An independent reading of docs/securetransport.md, sections 2 and 3: nothing here comes from a plan.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lab.checker.links import subscription_of
from lab.node import services
from lab.recorder.effects import Effect, RecordedEffect
from workflows.model.estate import Cluster, Estate, Node
from workflows.model.load_balancers.dns import DnsLoadBalancer

Variant = Literal["by_stage", "by_node"]
"""The manual's steps one after the other, or each Server shut down at its own pace."""

BEFORE: Mapping[int, tuple[int, ...]] = {
    1: (),
    2: (1,),
    3: (1, 2),
    4: (1, 2, 3),
    5: (1, 2, 3, 4),
    # The manual's own variant may begin to drain earlier. Here scheduling has moved by then, since
    # a drain may take a day.
    6: (1, 2, 3, 4, 5),
    7: (1, 2, 3, 4, 5, 6),
    8: (1, 2, 3, 4, 5, 6, 7),
    9: (1, 2, 3, 4, 5, 6, 7, 8),
}
"""For each step of the manual: the steps all of whose effects come earlier. 9 is not the manual's:
Monitors of the target that step 1 stopped run again."""


@dataclass(frozen=True)
class Expected:
    """One effect and the manual's step that asks for it."""

    step: int
    effect: Effect


Concerns = Callable[[Expected, Expected], bool]
"""Whether the second effect has to come before the first, where its step does."""


def expected_effects(estate: Estate, source: str, target: str) -> tuple[Expected, ...]:
    """Everything a switchover does to an estate in its baseline, once each."""
    steps = _Steps(estate, estate.cluster(source), estate.cluster(target))
    return tuple(
        Expected(step, effect)
        for step, effects in (
            (1, steps.monitors("stop")),
            (2, steps.replication()),
            (3, steps.traffic()),
            (4, steps.scheduling(steps.source, "stop")),
            (5, steps.scheduling(steps.target, "start")),
            (6, steps.protocol_servers()),
            (7, steps.transaction_managers()),
            (8, steps.remaining_services()),
            (9, steps.restored_monitors()),
        )
        for effect in effects
    )


def chains(estate: Estate, variant: Variant) -> Concerns:
    """Say what steps 7 and 8 of a Server wait for: its own earlier ones, and the Edges'."""
    edges = {edge.name for cluster in estate.clusters for edge in cluster.edges}

    def concerns(one: Expected, earlier: Expected) -> bool:
        server = one.effect.place not in edges
        apart = variant == "by_node" and server and one.step in (7, 8) and earlier.step in (6, 7)
        return not apart or earlier.effect.place in {one.effect.place, *edges}

    return concerns


def _everything(_: Expected, __: Expected) -> bool:
    return True


def misordered(
    record: list[RecordedEffect],
    expected: tuple[Expected, ...],
    before: Mapping[int, tuple[int, ...]] = BEFORE,
    concerns: Concerns = _everything,
) -> list[str]:
    """Every expected effect that came before one that has to precede it."""
    first: dict[Effect, float] = {}
    for recorded in record:
        if recorded.changed:
            first.setdefault(recorded.effect, recorded.at)
    there = [one for one in expected if one.effect in first]
    found = []
    for one in there:
        earlier = [o for o in there if o.step in before[one.step] and concerns(one, o)]
        latest = max(earlier, key=lambda o: (first[o.effect], o.effect), default=None)
        if latest is not None and first[latest.effect] > first[one.effect]:
            found.append(f"{one.effect} came before {latest.effect}")
    return found


@dataclass(frozen=True)
class _Steps:
    estate: Estate
    source: Cluster
    target: Cluster

    def monitors(self, effect: str) -> Iterator[Effect]:
        nodes = self.source.nodes
        if self.estate.stop_target_monitors:
            nodes += self.target.nodes
        return (Effect(node.name, "monitor", effect) for node in nodes)

    def replication(self) -> Iterator[Effect]:
        for link in self.estate.replication.links:
            database = self.estate.cluster(link.target).database
            yield Effect(database.name, subscription_of(link), "disable")

    def traffic(self) -> Iterator[Effect]:
        balancer = self.estate.load_balancer
        # Machines that resolve the names of a zone follow it by themselves.
        places = (balancer.name,) if isinstance(balancer, DnsLoadBalancer) else balancer.places
        for place in places:
            yield Effect(place, "traffic", "redirect", self.target.name)

    def scheduling(self, cluster: Cluster, effect: str) -> Iterator[Effect]:
        for server in cluster.servers:
            for service in services.SCHEDULING.values():
                yield Effect(server.name, service, effect)

    def protocol_servers(self) -> Iterator[Effect]:
        for node in self.source.nodes:
            for service in _running(node):
                if service in services.PROTOCOLS:
                    yield Effect(node.name, service, "drain")
                    yield Effect(node.name, service, "stopped")

    def transaction_managers(self) -> Iterator[Effect]:
        for server in self.source.servers:
            yield Effect(server.name, "tm", "drain")
            yield Effect(server.name, "tm", "stopped")

    def remaining_services(self) -> Iterator[Effect]:
        stopped = {"monitor", "tm", *services.PROTOCOLS}
        for node in self.source.nodes:
            for service in _running(node):
                if service not in stopped:
                    yield Effect(node.name, service, "stop")

    def restored_monitors(self) -> Iterator[Effect]:
        if self.estate.stop_target_monitors:
            for node in self.target.nodes:
                yield Effect(node.name, "monitor", "start")


def _running(node: Node) -> tuple[str, ...]:
    """What runs on such a node before a switchover: AS2 and PeSIT need not."""
    return services.baseline(node.kind.value)
