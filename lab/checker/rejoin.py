"""Check the effects of a rejoin, and those of one that rolled back.

An independent reading of docs/securetransport.md, sections 2, 3 and 7, and of what a rejoin
promises: everything that belongs to the returning cluster is started once, scheduling never runs on
both, and replication brings over what the active cluster wrote before anything flows back. Nothing
here comes from a plan.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lab.checker.expected import Expected, misordered
from lab.checker.invariants import SCHEDULING, EstateState, Roles
from lab.checker.links import subscription_of
from lab.checker.rollback import EffectJudgement, RollbackPoint, without_revivals
from lab.node import services
from lab.recorder.effects import Effect, RecordedEffect
from workflows.model.estate import Node

ADMIN, PAUSE, MANAGERS, OFF, RESUME, SERVICES, OVER, BACK, MONITORS = range(1, 10)
"""The steps: the Edges and the Servers' admin services start; the active cluster's scheduling is
stopped; Transaction Managers start; scheduling that returned with them is stopped; the active
cluster's scheduling starts again; the Servers' other services start; replication is resumed to the
returning cluster, then back; the Monitors watch, which any start may have revived before."""
BEFORE: Mapping[int, tuple[int, ...]] = {
    ADMIN: (),
    PAUSE: (),
    MANAGERS: (PAUSE,),
    OFF: (),
    RESUME: (PAUSE, MANAGERS, OFF),
    SERVICES: (),
    OVER: (ADMIN, MANAGERS, SERVICES),
    BACK: (OVER,),
    MONITORS: (),
}
"""For each step: the steps all of whose effects come earlier."""
UNDONE_BEFORE: Mapping[int, tuple[int, ...]] = {
    BACK: (),
    OVER: (),
    SERVICES: (OVER, BACK),
    MANAGERS: (OVER, BACK, SERVICES),
    ADMIN: (OVER, BACK, SERVICES, MANAGERS),
}
"""For each step's opposite: the steps whose opposites come earlier, as in the manual: replication
is off before anything stops, protocol servers stop before Transaction Managers, and what is left
stops last."""
STOP_ALL = "stop_all"
UNDOES = {
    "stop": "start",
    "drain": "start",
    "stopped": "start",
    "disable": "enable",
    "start": "stop",
}


def expected_of_rejoin(roles: Roles, record: Iterable[RecordedEffect]) -> tuple[Expected, ...]:
    """Everything that a rejoin does to a drained cluster, once each.

    Whether scheduling returned with its Transaction Managers only the record tells.
    """
    steps = _Steps(roles)
    return (
        *steps.started(),
        *(steps.paused() if pauses(roles, record) else ()),
        *steps.returned(record),
        *steps.replication(),
    )


def pauses(roles: Roles, record: Iterable[RecordedEffect]) -> bool:
    """Whether the active cluster's scheduling must pause, or did although it need not."""
    active = {server.name for server in roles.estate.cluster(roles.source).servers}
    return roles.estate.scheduling_returns_with_tm or any(
        recorded.effect.place in active and recorded.effect.service in SCHEDULING
        for recorded in record
    )


def judge_rejoin(roles: Roles, record: list[RecordedEffect]) -> EffectJudgement:
    """Judge the record of a rejoin that went all the way."""
    record = without_revivals(record)
    expected = expected_of_rejoin(roles, record)
    effects = frozenset(one.effect for one in expected)
    done = frozenset(recorded.effect for recorded in record if recorded.changed)
    return EffectJudgement(
        expected=effects,
        done=effects & done,
        skipped=sorted(str(effect) for effect in effects - done),
        misordered=misordered(record, expected, BEFORE),
        unexpected=[r for r in record if not (r.changed and r.effect in effects)],
    )


def judge_rejoin_rollback(
    roles: Roles, rollback_point: RollbackPoint, record: list[RecordedEffect]
) -> EffectJudgement:
    """Judge the record of a rejoin whose rollback began there: the cluster is drained again."""
    record = without_revivals(record)
    last = rollback_point.step if rollback_point.begun else rollback_point.step - 1
    every = expected_of_rejoin(roles, record)
    allowed = {one.effect: one.step for one in every if one.step <= last or _revives(one)}
    changed = [r for r in record if r.changed]
    required = {effect for effect, step in allowed.items() if step < rollback_point.step}
    done = {r.effect for r in changed if r.effect in allowed}
    kept = set(_kept(roles, record))
    missing = sorted(str(effect) for effect in required - done)
    undone = {r.effect for r in changed if _undone_by(r.effect) in allowed} - allowed.keys()
    return EffectJudgement(
        expected=frozenset(required | done | undone | kept),
        done=frozenset(done | undone),
        skipped=missing + [f"{effect}, which undoes it" for effect in sorted(map(str, kept))],
        misordered=[
            *misordered(record, every, BEFORE),
            *misordered(record, tuple(_undo_steps(changed, allowed)), UNDONE_BEFORE),
            *_forward_again(changed, allowed),
        ],
        unexpected=[
            recorded
            for recorded in record
            if not recorded.changed
            or not (recorded.effect in allowed or _undone_by(recorded.effect) in allowed)
        ],
    )


def _revives(one: Expected) -> bool:
    """Every start may start the Monitor as well."""
    return one.step == MONITORS


def _kept(roles: Roles, record: Iterable[RecordedEffect]) -> Iterator[Effect]:
    """What would have to be done until everything is as it was before."""
    begun, state = EstateState.before(roles), EstateState.before(roles)
    for recorded in record:
        state.apply(recorded.effect)
    yield from (Effect(*service, "stop") for service in state.running - begun.running)
    yield from (Effect(*service, "start") for service in begun.running - state.running)
    yield from (Effect("", link, "disable") for link in state.replicating)


def _undone_by(effect: Effect) -> Effect | None:
    """What this effect undoes."""
    verb = UNDOES.get(effect.effect)
    return Effect(effect.place, effect.service, verb) if verb else None


def _undo_steps(
    record: Iterable[RecordedEffect], allowed: Mapping[Effect, int]
) -> Iterator[Expected]:
    """Every effect that undid one, with the step of what it undid."""
    for recorded in record:
        effect, undone = recorded.effect, _undone_by(recorded.effect)
        if undone is None or effect.effect == "drain" or effect.service in SCHEDULING:
            continue
        if undone not in allowed:
            continue
        # An Edge's protocol servers start with the Edge, and stop with all others, or with it.
        step = SERVICES if effect.service in services.PROTOCOLS else allowed[undone]
        step = ADMIN if recorded.by == STOP_ALL else step
        if step in UNDONE_BEFORE:
            yield Expected(step, effect)


def _forward_again(
    record: Iterable[RecordedEffect], allowed: Mapping[Effect, int]
) -> Iterator[str]:
    """Everything that was still started or resumed after the rollback had begun."""
    first: RecordedEffect | None = None
    for recorded in record:
        effect = recorded.effect
        if effect.service in SCHEDULING or effect.service == "monitor":
            continue
        if effect.effect in ("stop", "drain", "stopped", "disable"):
            first = first or recorded
        elif first is not None and effect in allowed:
            yield f"{effect} came after {first.effect}"


@dataclass(frozen=True)
class _Steps:
    roles: Roles

    def started(self) -> Iterator[Expected]:
        """Everything that belongs to the returning cluster."""
        for node in self.roles.estate.cluster(self.roles.target).nodes:
            for service in services.baseline(node.kind.value):
                yield Expected(_step(node, service), Effect(node.name, service, "start"))

    def paused(self) -> Iterator[Expected]:
        """The active cluster's scheduling, stopped and started."""
        for server in self.roles.estate.cluster(self.roles.source).servers:
            for service in SCHEDULING:
                yield Expected(PAUSE, Effect(server.name, service, "stop"))
                yield Expected(RESUME, Effect(server.name, service, "start"))

    def returned(self, record: Iterable[RecordedEffect]) -> Iterator[Expected]:
        """What the returning Servers began to schedule by themselves, and its stop."""
        began = {recorded.effect for recorded in record if recorded.changed}
        for server in self.roles.estate.cluster(self.roles.target).servers:
            for service in SCHEDULING:
                start = Effect(server.name, service, "start")
                if start in began:
                    yield Expected(MANAGERS, start)
                    yield Expected(OFF, Effect(server.name, service, "stop"))

    def replication(self) -> Iterator[Expected]:
        """Both links, by the database that receives the changes."""
        for link in self.roles.estate.replication.links:
            database = self.roles.estate.cluster(link.target).database
            step = OVER if link.target == self.roles.target else BACK
            yield Expected(step, Effect(database.name, subscription_of(link), "enable"))


def _step(node: Node, service: str) -> int:
    if service == "monitor":
        return MONITORS
    if service == "tm":
        return MANAGERS
    return ADMIN if service == "admin" or node.kind.value == "edge" else SERVICES
