"""Check what a run that rolled back has undone, and in which order.

An independent reading of the manual, backwards: what was done, and the opposite of each effect, in
the reverse order of the steps. Nothing here comes from a plan.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.checker.expected import Expected, chains, expected_effects, misordered
from lab.checker.invariants import Roles
from lab.recorder.effects import Effect, RecordedEffect

REDIRECT = 3
EVERYTHING = 8
"""The step whose opposite, ``start_all``, starts what other steps have stopped."""
OPPOSITE = {
    "stop": "start",
    "drain": "start",
    "stopped": "start",
    "start": "stop",
    "disable": "enable",
}
BEFORE = {
    5: (),
    8: (5,),
    7: (5, 8),
    6: (5, 7, 8),
    # Of these two either may come first: both need what is above, and neither needs the other.
    4: (5, 6, 7, 8),
    3: (5, 6, 7, 8),
    2: (3, 4, 5, 6, 7, 8),
    1: (2, 3, 4, 5, 6, 7, 8),
}
"""For each step's opposite: the steps whose opposites all come earlier, if they are due. Scheduling
of the target ends before anything of the source is started, Transaction Managers start before
protocol servers, traffic returns to a cluster that serves, replication runs only once traffic is
back, and the Monitors watch again when all else is done."""


@dataclass(frozen=True)
class RollbackPoint:
    """Where a run began its rollback."""

    step: int
    """Of the manual; 0: it never began, since a prerequisite did not hold."""
    begun: bool = True
    """Whether anything of the step itself may have been done."""


@dataclass(frozen=True)
class EffectJudgement:
    """What a run was to do, and what it did of that, or amiss."""

    expected: frozenset[Effect]
    done: frozenset[Effect]
    """Which of them."""
    skipped: list[str]
    misordered: list[str]
    unexpected: list[RecordedEffect]


def judge_rollback(
    roles: Roles, rollback_point: RollbackPoint, record: list[RecordedEffect]
) -> EffectJudgement:
    """Judge the record of a run whose rollback began there."""
    record = without_revivals(record)
    steps = _forward(roles, rollback_point)
    done = {r.effect for r in record if r.changed and r.effect in steps}
    there = {effect for effect, step in steps.items() if step < rollback_point.step} | done
    back = _back(roles, {effect: steps[effect] for effect in done}, record)
    expected = there | {one.effect for one in back}
    missing = [effect for effect in there if effect not in done]
    kept = [effect for effect in done if not _was_undone(roles, effect, record)]
    return EffectJudgement(
        expected=frozenset(expected),
        done=frozenset(expected - set(missing) - {opposite(roles, effect) for effect in kept}),
        skipped=sorted(
            [str(effect) for effect in missing]
            + list({f"{opposite(roles, effect)}, which undoes it" for effect in kept})
        ),
        misordered=[
            *misordered(record, _as_expected(steps), concerns=chains(roles.estate, roles.variant)),
            *misordered(record, back, BEFORE),
            *_too_late(record, done, {one.effect for one in back}),
        ],
        unexpected=[
            recorded
            for recorded in record
            if not (recorded.changed and recorded.effect in expected)
            and not _reload_again(roles, rollback_point, recorded)
        ],
    )


def opposite(roles: Roles, effect: Effect) -> Effect:
    """The effect that undoes this effect of a switchover."""
    if effect.effect == "redirect":
        return Effect(effect.place, effect.service, "redirect", roles.source)
    return Effect(effect.place, effect.service, OPPOSITE[effect.effect])


def without_revivals(record: Iterable[RecordedEffect]) -> list[RecordedEffect]:
    """Leave out Monitors that a start script revived, where they were stopped again."""
    kept: list[RecordedEffect] = []
    revived: dict[str, RecordedEffect] = {}
    for recorded in record:
        effect = recorded.effect
        if effect.service == "monitor" and recorded.changed:
            before = revived.pop(effect.place, None)
            if effect.effect == "stop" and before is not None:
                kept.remove(before)
                continue
            if effect.effect == "start" and recorded.by not in ("", "start_monitord"):
                revived[effect.place] = recorded
        kept.append(recorded)
    return kept


def _forward(roles: Roles, rollback_point: RollbackPoint) -> dict[Effect, int]:
    """Every effect that may have been done before the rollback began, and its step."""
    last = rollback_point.step if rollback_point.begun else rollback_point.step - 1
    expected = expected_effects(roles.estate, roles.source, roles.target)
    return {one.effect: one.step for one in expected if one.step <= last}


def _as_expected(steps: dict[Effect, int]) -> tuple[Expected, ...]:
    return tuple(Expected(step, effect) for effect, step in steps.items())


def _back(
    roles: Roles, done: dict[Effect, int], record: list[RecordedEffect]
) -> tuple[Expected, ...]:
    """Return the opposite of each, with the step it belongs to."""
    by_script = {r.effect for r in record if r.changed and r.by == "start_all"}
    steps = {opposite(roles, effect): step for effect, step in done.items()}
    return tuple(
        Expected(EVERYTHING if effect in by_script else step, effect)
        for effect, step in steps.items()
    )


def _was_undone(roles: Roles, effect: Effect, record: list[RecordedEffect]) -> bool:
    back = opposite(roles, effect)
    last = max(r.at for r in record if r.changed and r.effect == effect)
    return any(r.changed and r.effect == back and r.at > last for r in record)


def _too_late(record: list[RecordedEffect], done: set[Effect], back: set[Effect]) -> list[str]:
    """Everything that was still done forward after the rollback began; stops may complete late."""
    first_undo = next((r for r in record if r.changed and r.effect in back), None)
    return [
        f"{recorded.effect} came after {first_undo.effect}"
        for recorded in record
        if first_undo is not None
        and recorded.changed
        and recorded.effect in done
        and recorded.effect.effect != "stopped"
        and recorded.at > first_undo.at
    ]


def _reload_again(roles: Roles, rollback_point: RollbackPoint, recorded: RecordedEffect) -> bool:
    """Whether a redirect that failed half-way was undone by a reload that changed nothing.

    The hosts file does not show what the load balancer has loaded.
    """
    effect = recorded.effect
    here = rollback_point.begun and rollback_point.step == REDIRECT and not recorded.changed
    return here and (effect.effect, effect.to) == ("redirect", roles.source)
