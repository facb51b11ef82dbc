"""What do the lab's records look like after a switchover in which nothing went wrong?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from lab.checker.evidence import Evidence, Tried, Visit
from lab.checker.expected import expected_effects
from lab.checker.invariants import Roles
from lab.checker.rollback import opposite
from lab.checker.verdict import Run, Verdict, judge
from lab.node import services
from lab.recorder.effects import Effect, Recorded
from lab.recorder.samples import Sample

RUN = Run("completed", 0.0, 50.0, ({"stage": "stop_monitors", "seconds": 0.5},))
REDIRECTED = 6.0
"""When traffic moves: right after four Monitors and two subscriptions, one a second."""


def effects(roles: Roles) -> list[Recorded]:
    """Every expected effect in the manual's order, one a second."""
    expected = expected_effects(roles.estate, roles.source, roles.target)
    return [Recorded(float(second), one.effect) for second, one in enumerate(expected)]


def back_and_forth(roles: Roles, step: int) -> list[Recorded]:
    """Every effect up to and with this step, then what takes each back, one a second."""
    forward = expected_effects(roles.estate, roles.source, roles.target)
    done = [one for one in forward if one.step <= step]
    record = [Recorded(float(second), one.effect) for second, one in enumerate(done)]
    back = {
        opposite(roles, one.effect): None
        for wanted in (5, 8, 7, 6, 4, 3, 2, 1)
        for one in done
        if one.step == wanted
    }
    return record + [Recorded(float(len(record) + n), effect) for n, effect in enumerate(back)]


def evidence(roles: Roles) -> Evidence:
    """The records of one client, one application and one switchover."""
    digest, action = "a" * 64, "b" * 64
    stored = {"accounts/partner001/file": digest, "done/drop0001.dat": action}
    source, target = (
        roles.fronts(roles.estate.cluster(c))[0].name for c in (roles.source, roles.target)
    )
    return Evidence(
        effects=effects(roles),
        tried=[
            Tried(4.9, 5.0, "client001", "connect"),
            Tried(5.0, 15.0, "client001", "put", "partner001/file", digest),
            Tried(6.1, 6.2, "client002", "connect"),
            Tried(7.0, 7.1, "application", "drop", "drop0001.dat", action),
        ],
        visits=[
            Visit(5.0, source, "partner001", "begin"),
            Visit(6.2, target, "partner002", "begin"),
            Visit(20.0, source, "partner001", "end"),
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


def find(record: list[Recorded], words: str) -> int:
    """Where the effect with these words stands."""
    return [str(recorded.effect) for recorded in record].index(words)


def moved(record: list[Recorded], words: str, at: float) -> list[Recorded]:
    """The same record with one effect at another time."""
    place = find(record, words)
    changed = [*record[:place], replace(record[place], at=at), *record[place + 1 :]]
    return sorted(changed, key=lambda recorded: recorded.at)


def added(record: list[Recorded], words: str, at: float, *, changed: bool = True) -> list[Recorded]:
    """The same record with one more effect."""
    one = Recorded(at, Effect(*words.split()), changed)
    return sorted([*record, one], key=lambda recorded: recorded.at)


def without(record: list[Recorded], words: str) -> list[Recorded]:
    """The same record with one effect less."""
    return [recorded for recorded in record if str(recorded.effect) != words]
