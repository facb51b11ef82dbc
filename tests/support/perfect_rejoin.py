"""The records of a rejoin in which nothing went wrong, and of one that rolled everything back."""

from collections.abc import Iterator
from dataclasses import replace

from lab.checker.evidence import Evidence
from lab.checker.expected import Expected
from lab.checker.invariants import SCHEDULING, Roles
from lab.checker.rejoin import (
    ADMIN,
    BACK,
    MANAGERS,
    MONITORS,
    OFF,
    OVER,
    PAUSE,
    RESUME,
    SERVICES,
    expected_of_rejoin,
)
from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run, Verdict, judge
from lab.node import services
from lab.recorder.effects import Effect, RecordedEffect
from lab.recorder.samples import Sample
from tests.support import perfect_records
from tests.support.perfect_records import Record

RUN = Run("completed", 0.0, 90.0)
UNDONE = (MONITORS, BACK, OVER, SERVICES, MANAGERS, PAUSE, ADMIN)
"""The steps in the sequence in which a rollback undoes them."""


def effects(roles: Roles, *, returns: bool = True) -> Record:
    """Every expected effect in sequence, one a second; scheduling returns with its TM, or not."""
    return _one_a_second(one.effect for one in forward(roles, returns=returns))


def forward(roles: Roles, *, returns: bool) -> list[Expected]:
    """The expected effects in the sequence of their steps."""
    target = roles.estate.cluster(roles.target)
    began = [Effect(s.name, service, "start") for s in target.servers for service in SCHEDULING]
    record = [RecordedEffect(0.0, effect) for effect in began] if returns else []
    return sorted(expected_of_rejoin(roles, record), key=lambda one: one.step)


def there_and_back(roles: Roles, step: int) -> Record:
    """Every effect up to and with this step, then what undoes each, one a second.

    The Monitors are revived by the first start, as in every lab.
    """
    done = [e for e in forward(roles, returns=True) if e.step <= step or e.step == MONITORS]
    done.sort(key=lambda one: one.step if one.step != MONITORS else ADMIN)
    record = _one_a_second(one.effect for one in done)
    for number, recorded in enumerate(record):
        if recorded.effect.service == "monitor":
            record[number] = replace(recorded, by="start_admin")
    back = _one_a_second(_undo(done, step))
    return record + [replace(one, at=one.at + len(record)) for one in back]


def _undo(done: list[Expected], last: int) -> Iterator[Effect]:
    for wanted in UNDONE:
        for one in done:
            effect = one.effect
            step = SERVICES if effect.service in services.PROTOCOLS else one.step
            if step != wanted:
                continue
            if effect.service in SCHEDULING:
                if step == PAUSE and last < RESUME:
                    yield replace(effect, effect="start")
                elif step == MANAGERS and last < OFF:
                    yield replace(effect, effect="stop")
            elif effect.effect == "enable":
                yield replace(effect, effect="disable")
            elif effect.service in services.GRACEFUL:
                yield replace(effect, effect="drain")
                yield replace(effect, effect="stopped")
            else:
                yield replace(effect, effect="stop")


def _one_a_second(effects: Iterator[Effect]) -> Record:
    return [RecordedEffect(float(second), effect) for second, effect in enumerate(effects)]


def evidence(roles: Roles, record: Record | None = None) -> Evidence:
    """The records of one client, one application and one rejoin."""
    switched = perfect_records.evidence(roles)
    return replace(
        switched,
        effects=effects(roles) if record is None else record,
        sessions=[visit for visit in switched.sessions if roles.source in visit.node],
        samples=[sample(roles)],
    )


def sample(roles: Roles) -> Sample:
    """The source serves, and nothing of the target runs."""
    good = perfect_records.sample(roles)
    down = {node.name for node in roles.estate.cluster(roles.target).nodes}
    return replace(
        good,
        running={name: [] if name in down else up for name, up in good.running.items()},
        serving={name: [] if name in down else up for name, up in good.serving.items()},
    )


def verdict(roles: Roles, found: Evidence, rollback_point: RollbackPoint | None = None) -> Verdict:
    """Judge these records of a rejoin that completed, or rolled back there."""
    if rollback_point is None:
        return judge(roles, RUN, found)
    rolled = replace(
        RUN, outcome="rolled_back", expected_outcome="rolled_back", rollback_point=rollback_point
    )
    return judge(roles, rolled, found)
