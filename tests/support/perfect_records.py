"""The records of a switchover in which nothing went wrong."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

from lab.checker.evidence import ClientOperation, Evidence, SessionEvent
from lab.checker.expected import expected_effects
from lab.checker.invariants import Roles
from lab.checker.rollback import opposite
from lab.checker.verdict import Run, Verdict, judge
from lab.node import services
from lab.recorder.effects import Effect, RecordedEffect
from lab.recorder.samples import Sample

Record = list[RecordedEffect]
Change = Callable[[Record], Record]
When = Callable[[Record], float]

RUN = Run("completed", 0.0, 50.0, ({"stage": "stop_monitors", "seconds": 0.5},))
REDIRECTED = 6.0
"""When traffic moves: right after four Monitors and two subscriptions, one a second."""


def effects(roles: Roles) -> Record:
    """Every expected effect in the manual's sequence, one a second."""
    expected = expected_effects(roles.estate, roles.source, roles.target)
    return [RecordedEffect(float(second), one.effect) for second, one in enumerate(expected)]


def back_and_forth(roles: Roles, step: int) -> Record:
    """Every effect up to and with this step, then what undoes each, one a second."""
    forward = expected_effects(roles.estate, roles.source, roles.target)
    done = [one for one in forward if one.step <= step]
    record = [RecordedEffect(float(second), one.effect) for second, one in enumerate(done)]
    back = {
        opposite(roles, one.effect): None
        for wanted in (5, 8, 7, 6, 4, 3, 2, 1)
        for one in done
        if one.step == wanted
    }
    return record + [
        RecordedEffect(float(len(record) + n), effect) for n, effect in enumerate(back)
    ]


def evidence(roles: Roles) -> Evidence:
    """The records of one client, one application and one switchover."""
    digest, action = "a" * 64, "b" * 64
    stored = {"accounts/partner001/file": digest, "done/drop0001.dat": action}
    source, target = (
        roles.client_facing_nodes(roles.estate.cluster(c))[0].name
        for c in (roles.source, roles.target)
    )
    return Evidence(
        effects=effects(roles),
        operations=[
            ClientOperation(4.9, 5.0, "client001", "connect"),
            ClientOperation(5.0, 15.0, "client001", "put", "partner001/file", digest),
            ClientOperation(6.1, 6.2, "client002", "connect"),
            ClientOperation(7.0, 7.1, "application", "drop", "drop0001.dat", action),
        ],
        sessions=[
            SessionEvent(5.0, source, "partner001", "begin"),
            SessionEvent(6.2, target, "partner002", "begin"),
            SessionEvent(20.0, source, "partner001", "end"),
        ],
        work=Counter({("event", "id1"): 1, ("pickup", "drop0001.dat"): 1, ("schedule", "t@1"): 1}),
        samples=[sample(roles)],
        uploads={"id1": "partner001/file"},
        stored={"cluster1": stored, "cluster2": dict(stored)},
    )


def sample(roles: Roles) -> Sample:
    """The baseline, as it was seen."""
    nodes = roles.estate.nodes
    source = {node.name for node in roles.estate.cluster(roles.source).servers}
    return Sample(
        at=0.0,
        traffic=roles.source,
        synced=True,
        running={node.name: list(services.baseline(node.kind.value)) for node in nodes},
        scheduling={n.name: ["scheduler"] if n.name in source else [] for n in nodes},
        serving={node.name: ["ssh", "http"] for node in nodes},
    )


def verdict(roles: Roles, evidence: Evidence) -> Verdict:
    """Judge these records."""
    return judge(roles, RUN, evidence)


def find(record: Record, effect: str) -> int:
    """Where this effect stands."""
    return [str(recorded.effect) for recorded in record].index(effect)


def time_of(effect: str, offset: float = 0.0) -> When:
    """The time of an effect, and so many seconds later."""
    return lambda record: record[find(record, effect)].at + offset


def moved(effect: str, at: float | When) -> Change:
    """Move one effect to another time."""

    def change(record: Record) -> Record:
        place = find(record, effect)
        late = replace(record[place], at=at(record) if callable(at) else at)
        return sorted([*record[:place], late, *record[place + 1 :]], key=lambda one: one.at)

    return change


def added(effect: str, at: float | When, *, changed: bool = True) -> Change:
    """Add one more effect."""

    def change(record: Record) -> Record:
        one = RecordedEffect(at(record) if callable(at) else at, Effect(*effect.split()), changed)
        return sorted([*record, one], key=lambda recorded: recorded.at)

    return change


def without(effect: str) -> Change:
    """Remove one effect."""
    return lambda record: [recorded for recorded in record if str(recorded.effect) != effect]


def both(*changes: Change) -> Change:
    """Make several changes, one after the other."""
    return lambda record: reduce(lambda changed, change: change(changed), changes, record)


def server2_drains_late(late: str) -> Change:
    """Let a Transaction Manager drain after the other one has stopped; meanwhile comes *late*."""
    stopped = "cluster1-server1 tm stopped"
    return both(
        moved("cluster1-server2 tm drain", time_of(stopped, 0.7)),
        moved("cluster1-server2 tm stopped", time_of(stopped, 0.8)),
        moved(late, time_of(stopped, 0.5)),
    )
