"""The places at which a check is made, and what their readings allow to say; pure.

Both follow from the actions of stage 0: what an action reads is what some checks are evaluated on,
at some places. So no list of places has to be kept beside the plan.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import assert_never

from workflows.model import actions
from workflows.model.checks import AccessCheck, Check, CheckStatus, Scope
from workflows.model.estate import Kind
from workflows.model.findings import Finding
from workflows.model.observations import LoginReading, Reading
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.preflight.catalogue import BY_NAME

Place = tuple[Scope, str]
Excuse = tuple[CheckStatus, str]
"""Why a check did not pass at a place where nothing was found wrong."""


class ReadingQuality(IntEnum):
    """How well a place could be read; the worst of its readings counts."""

    COMPLETE = 0
    PARTIAL = 1
    """A part of a reading could not be made."""
    MISSING = 2
    """A reading could not be made at all."""


class Coverage:
    """The places that stage 0 reads, and how well it could."""

    def __init__(self, plan: Plan, readings: Iterable[Reading]) -> None:
        self._estate, self._procedure = plan.estate, plan.procedure
        by_key = {_key(reading): reading for reading in readings}
        self._excuses = {
            (name, reading.place): excuse
            for reading in by_key.values()
            for name, excuse in _excuses(reading)
        }
        self._quality: dict[Scope, dict[str, ReadingQuality]] = {scope: {} for scope in Scope}
        for action in plan.stage(StageName.CHECK_PREREQUISITES).actions:
            if isinstance(action, actions.Observation):
                quality = _quality(by_key.get(_expected_key(action)))
                for scope, place in places_of(action, plan):
                    known = self._quality[scope]
                    known[place] = max(quality, known.get(place, quality))

    def places(self, check: Check) -> tuple[str, ...]:
        """Return where the check is made; nowhere, if it is only shown where it fails."""
        if check.only not in (None, self._procedure):
            return ()
        drivers = (self._estate.load_balancer, self._estate.replication)
        if check.driver is not None and not any(isinstance(one, check.driver) for one in drivers):
            return ()
        return tuple(self._quality[check.scope])

    def status(self, check: Check, place: str) -> CheckStatus:
        """Return what can be said of a check without a finding at the place."""
        if self._is_unknown(check, place):
            return CheckStatus.UNKNOWN
        status, _ = self._excuses.get((check.name, place), (CheckStatus.PASSED, ""))
        return status

    def reason(self, check: Check, place: str) -> str:
        """Return why the check did not pass, where no finding says so."""
        _, reason = self._excuses.get((check.name, place), (CheckStatus.PASSED, ""))
        return reason

    def _is_unknown(self, check: Check, place: str) -> bool:
        """Return whether a part of the place's reading is missing."""
        quality = self._quality[check.scope].get(place, ReadingQuality.COMPLETE)
        # A reading without the finding of an access check is proof that the access works.
        enough = (
            ReadingQuality.PARTIAL if isinstance(check, AccessCheck) else ReadingQuality.COMPLETE
        )
        return quality > enough


def places_of(action: actions.Observation, plan: Plan) -> Iterator[Place]:
    """Yield the scopes of the checks that an action's reading is for, and the place in each."""
    match action:
        case actions.ObserveNode():
            yield from _node(action.node, plan)
        case actions.ObserveCluster():
            yield from _cluster(action.node, plan)
        case actions.CompareConfiguration():
            yield Scope.TARGET, action.target
        case actions.CompareStorage():
            yield from _storage(action, plan)
        case actions.TryLogin():
            yield Scope.TARGET_FRONT, action.node
        case actions.ObserveReplication():
            yield from _link(action.link, plan)
        case actions.ObserveTraffic():
            for scope in plan.estate.load_balancer.check_scopes(action.host):
                yield scope, action.host
        case actions.ObserveTemporal():
            yield Scope.ESTATE, action.estate
            yield from ((Scope.OWN_QUEUES, queue) for queue in action.task_queues)
        case _:
            assert_never(action)


def _node(name: str, plan: Plan) -> Iterator[Place]:
    yield Scope.NODES, name
    if plan.estate.node(name).kind is Kind.SERVER:
        yield Scope.SERVERS, name
    if plan.estate.cluster_of(name).name == plan.source:
        yield Scope.SOURCE_NODES, name
        # A check of the whole source is evaluated on the readings of all its nodes.
        yield Scope.SOURCE, plan.source
    else:
        yield Scope.TARGET_NODES, name


def _cluster(server: str, plan: Plan) -> Iterator[Place]:
    yield Scope.FIRST_SERVERS, server
    if plan.estate.cluster_of(server).name == plan.source:
        yield Scope.SOURCE_SERVER, server


def _storage(action: actions.CompareStorage, plan: Plan) -> Iterator[Place]:
    for name in (action.source, action.target):
        yield Scope.CLUSTERS, name
        if plan.estate.cluster(name).storage_markers is not None:
            yield Scope.MARKED_CLUSTERS, name


def _link(name: str, plan: Plan) -> Iterator[Place]:
    link = plan.estate.link(name)
    yield Scope.LINKS, name
    publisher, subscriber = (
        plan.estate.cluster(name).database.name for name in (link.source, link.target)
    )
    yield Scope.PUBLISHERS, publisher
    yield Scope.SUBSCRIBERS, subscriber
    yield from ((Scope.DATABASES, database) for database in (publisher, subscriber))


def _excuses(reading: Reading) -> Iterator[tuple[str, Excuse]]:
    """Yield each check that a reading says nothing about, and why."""
    for name, reason in reading.not_available.items():
        yield name, (CheckStatus.NOT_AVAILABLE, reason)
    for name, reason in reading.not_read.items():
        yield name, (CheckStatus.UNKNOWN, reason)


def _expected_key(action: actions.Observation) -> Sequence[str]:
    return _KIND_OF_READING[type(action)], action.place, action.subject


def _key(reading: Reading) -> Sequence[str]:
    protocol = reading.protocol if isinstance(reading, LoginReading) else ""
    return reading.kind, reading.place, protocol


def _quality(reading: Reading | None) -> ReadingQuality:
    if reading is None:
        return ReadingQuality.MISSING
    partial = any(map(_means_unread, reading.findings))
    return ReadingQuality.PARTIAL if partial else ReadingQuality.COMPLETE


def _means_unread(finding: Finding) -> bool:
    """Return whether a finding means a missing part; one that only another build has may do so."""
    check = BY_NAME.get(finding.name)
    return check is None or isinstance(check, AccessCheck)


_KIND_OF_READING: dict[type[actions.Observation], str] = {
    actions.ObserveNode: "node",
    actions.ObserveReplication: "replication",
    actions.ObserveTraffic: "traffic",
    actions.ObserveCluster: "cluster",
    actions.CompareConfiguration: "parity",
    actions.CompareStorage: "storage",
    actions.TryLogin: "login",
    actions.ObserveTemporal: "temporal",
}
"""The kind of reading that each action brings."""
