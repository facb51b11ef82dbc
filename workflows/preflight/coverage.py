"""Which places a check looks at, and how well each of them could be seen; pure.

Both are told from the orders of stage 0: what an order brings is what some checks judge, at some
places. So no list of places has to be kept beside the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import product
from typing import assert_never

from workflows.model import actions
from workflows.model.checks import Check, Scope
from workflows.model.estate import Kind
from workflows.model.observations import LoginReading, Reading
from workflows.model.stages import StageName
from workflows.planning.plan import Plan

Place = tuple[Scope, str]

REACHABILITY_CHECKS = frozenset(
    (
        *("no_reading", "reading_unusable", "access_refused"),
        *("node_unreachable_ssh", "ssh_access_refused"),
        *("node_unreachable_admin", "admin_access_refused"),
        *("configuration_unreadable", "database_unreachable", "storage_unreadable"),
        *("load_balancer_unreachable", "probe_unreachable", "temporal_unreadable"),
    )
)
"""Checks that a reading itself decides: where there is one without their finding, they hold."""


class ReadingQuality(IntEnum):
    """How well a place could be seen; the worst of its readings counts."""

    COMPLETE = 0
    PARTIAL = 1
    """A part of a reading could not be made."""
    MISSING = 2
    """A reading could not be made at all."""


class Coverage:
    """What stage 0 looks at, and how much of it was seen."""

    def __init__(self, plan: Plan, readings: Iterable[Reading]) -> None:
        self._plan = plan
        came = {_key(reading): reading for reading in readings}
        self._seen: dict[Scope, dict[str, ReadingQuality]] = {scope: {} for scope in Scope}
        for action in plan.stage(StageName.CHECK_PREREQUISITES).actions:
            if isinstance(action, actions.Observation):
                clarity = _clarity(came.get(_wanted(action)))
                for scope, place in concerns(action, plan):
                    there = self._seen[scope]
                    there[place] = max(clarity, there.get(place, clarity))

    def places(self, check: Check) -> tuple[str, ...]:
        """Return where the check looks; nowhere, if it is only made where a reading fails."""
        places = self._seen[check.scope]
        if check.name == "storage_delay_exceeded":
            # Only a cluster on which a marker file may be written is measured.
            clusters = self._plan.estate.clusters
            places = {c.name: places[c.name] for c in clusters if c.storage_markers is not None}
        return tuple(places)

    def is_unknown(self, check: Check, place: str) -> bool:
        """Whether nobody can tell that the check holds there, although nothing was found."""
        clarity = self._seen[check.scope].get(place, ReadingQuality.COMPLETE)
        worst = (
            ReadingQuality.PARTIAL if check.name in REACHABILITY_CHECKS else ReadingQuality.COMPLETE
        )
        return clarity > worst


def concerns(action: actions.Observation, plan: Plan) -> Iterator[Place]:
    """Yield what the checks of which scopes learn from an order, and where."""
    match action:
        case actions.ObserveNode():
            yield from _node(action.node, plan)
        case actions.ObserveCluster():
            yield from _cluster(action.node, plan)
        case actions.CompareConfiguration():
            yield Scope.TARGET, action.target
        case actions.CompareStorage():
            yield from product((Scope.CLUSTERS,), (action.source, action.target))
        case actions.TryLogin():
            yield Scope.TARGET_FRONT, action.node
        case actions.ObserveReplication():
            yield from _link(action.link, plan)
        case actions.ObserveTraffic():
            yield from _host(action.host, plan)
        case actions.ObserveTemporal():
            yield Scope.ESTATE, action.estate
        case _:
            assert_never(action)


def _node(name: str, plan: Plan) -> Iterator[Place]:
    yield Scope.NODES, name
    if plan.estate.node(name).kind is Kind.SERVER:
        yield Scope.SERVERS, name
    if plan.estate.cluster_of(name).name == plan.source:
        yield Scope.SOURCE_NODES, name
        # What is true of the whole side is told from all of its nodes.
        yield Scope.SOURCE, plan.source
    else:
        yield Scope.TARGET_NODES, name


def _cluster(server: str, plan: Plan) -> Iterator[Place]:
    yield Scope.FIRST_SERVERS, server
    if plan.estate.cluster_of(server).name == plan.source:
        yield Scope.SOURCE_SERVER, server


def _link(name: str, plan: Plan) -> Iterator[Place]:
    link = plan.estate.link(name)
    yield Scope.LINKS, name
    yield Scope.PUBLISHERS, plan.estate.cluster(link.source).database.name
    yield Scope.SUBSCRIBERS, plan.estate.cluster(link.target).database.name


def _host(name: str, plan: Plan) -> Iterator[Place]:
    yield Scope.HOSTS, name
    if plan.estate.load_balancer_host(name).configuration is not None:
        yield Scope.CONFIGURED_HOSTS, name


def _wanted(action: actions.Observation) -> Sequence[str]:
    return _BRINGS[type(action)], action.place, action.subject


def _key(reading: Reading) -> Sequence[str]:
    protocol = reading.protocol if isinstance(reading, LoginReading) else ""
    return reading.kind, reading.place, protocol


def _clarity(reading: Reading | None) -> ReadingQuality:
    if reading is None:
        return ReadingQuality.MISSING
    incomplete = any(finding.name in REACHABILITY_CHECKS for finding in reading.findings)
    return ReadingQuality.PARTIAL if incomplete else ReadingQuality.COMPLETE


_BRINGS: dict[type[actions.Observation], str] = {
    actions.ObserveNode: "node",
    actions.ObserveReplication: "replication",
    actions.ObserveTraffic: "traffic",
    actions.ObserveCluster: "cluster",
    actions.CompareConfiguration: "parity",
    actions.CompareStorage: "storage",
    actions.TryLogin: "login",
    actions.ObserveTemporal: "temporal",
}
"""The kind of reading that answers an order."""
