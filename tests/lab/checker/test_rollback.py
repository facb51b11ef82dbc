"""Records of rollbacks with one thing wrong, and the problem that the checker must report."""

from dataclasses import replace

import pytest

from lab.checker.evidence import Evidence
from lab.checker.invariants import Roles, in_intervals
from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run, Verdict, judge
from lab.recorder.effects import Effect, RecordedEffect
from tests.support import perfect_records as flawless
from tests.support.perfect_records import (
    Change,
    Record,
    added,
    back_and_forth,
    both,
    find,
    moved,
    time_of,
    without,
)

STEPS = range(1, 9)
DISABLE = "database1 cluster2_to_cluster1 disable"
ENABLE = "database1 cluster2_to_cluster1 enable"
BACK = "loadbalancer1 traffic redirect cluster1"
START = "cluster1-server1 ssh start"
MONITOR = "cluster1-server1 monitor start"
TURN = "cluster2-server1 scheduler stop"
"""The first effect of a rollback from step 5 on."""


def evidence(roles: Roles, step: int) -> Evidence:
    """Flawless records of a run that was rolled back after this step."""
    return replace(flawless.evidence(roles), effects=back_and_forth(roles, step))


def verdict(roles: Roles, rollback_point: RollbackPoint, found: Evidence) -> Verdict:
    """Judge these records of a run that was rolled back there, as expected."""
    run = Run(
        "rolled_back", 0.0, 90.0, expected_outcome="rolled_back", rollback_point=rollback_point
    )
    return judge(roles, run, found)


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_rolled_everything_back_has_no_problem(roles: Roles, step: int) -> None:
    """Wherever the rollback began: in a step, or before the next one; no invariant is broken."""
    for turn in (RollbackPoint(step), RollbackPoint(step + 1, begun=False)):
        judged = verdict(roles, turn, evidence(roles, step))

        assert judged.problems() == []
        assert judged.effects.expected == judged.effects.recorded > 0
        assert judged.as_json()["baseline"] == {"differences": 0}
    assert in_intervals(roles, back_and_forth(roles, step))[1] == []


def test_a_step_that_was_only_begun_need_not_be_complete(roles: Roles) -> None:
    """What a fault prevented need not be rolled back."""
    found = evidence(roles, 1)
    others = [r for r in found.effects if r.effect.place != "cluster1-edge1"]

    assert verdict(roles, RollbackPoint(1), replace(found, effects=others)).problems() == []


def by(effect: str, who: str) -> Change:
    """Let another actor have this effect."""

    def change(record: Record) -> Record:
        place = find(record, effect)
        return [*record[:place], replace(record[place], by=who), *record[place + 1 :]]

    return change


def later(record: Record) -> float:
    """Five seconds after the last effect."""
    return record[-1].at + 5


WRONG: dict[str, dict[str, tuple[int, Change]]] = {
    "1 skipped": {
        "an earlier step that was not complete": (3, both(without(DISABLE), without(ENABLE))),
        "an effect never rolled back": (2, without(ENABLE)),
        "a protocol server that stays down": (6, without(START)),
        "a Monitor that stays down": (5, without("cluster1-edge2 monitor start")),
    },
    "1 repeated": {"a start repeated": (6, added(START, later, changed=False))},
    "1 unexpected": {
        "an effect of a later step": (3, added("cluster1-server1 scheduler stop", 7.5)),
        "a service started that was never stopped": (3, added("cluster1-edge1 as2 start", later)),
    },
    "misordered": {
        "an effect repeated after it was rolled back": (2, added(DISABLE, later)),
        "steps done in another sequence": (
            3,
            moved("loadbalancer1 traffic redirect cluster2", 3.5),
        ),
        "a step still done when the rollback had begun": (
            6,
            moved("cluster1-server1 ssh drain", time_of(TURN, 0.2)),
        ),
        "the source's scheduling started before the target's stopped": (
            5,
            moved("cluster1-server1 scheduler start", time_of(TURN, -0.5)),
        ),
        "a Transaction Manager started under the target's scheduling": (
            7,
            moved("cluster1-server1 tm start", time_of(TURN, -0.5)),
        ),
        "a protocol server started before every Transaction Manager": (
            7,
            moved(START, time_of(TURN, 4.2)),
        ),
        "traffic sent back before the source serves": (6, moved(BACK, time_of(START, -0.5))),
        "replication on before traffic is back": (3, moved(ENABLE, time_of(BACK, -0.5))),
        "a Monitor up before everything else": (4, moved(MONITOR, time_of(BACK, -0.5))),
        "a Monitor that a start script revived and that was not stopped": (
            6,
            both(moved(MONITOR, time_of(START, 0.1)), by(MONITOR, "start_sshd")),
        ),
        "a start that overtook the stop": (
            6,
            moved("cluster1-server1 ssh stopped", time_of(START, 0.1)),
        ),
    },
}


@pytest.mark.parametrize(
    ("problem", "name"), [(problem, name) for problem, some in WRONG.items() for name in some]
)
def test_what_went_wrong_in_the_rollback_is_a_problem(
    roles: Roles, problem: str, name: str
) -> None:
    """Each mistake is reported by its own number."""
    step, spoil = WRONG[problem][name]
    found = evidence(roles, step)

    problems = verdict(
        roles, RollbackPoint(step), replace(found, effects=spoil(found.effects))
    ).problems()

    assert any("effects: " in one and problem in one for one in problems), problems


def test_an_estate_that_differs_from_its_baseline_is_a_problem(roles: Roles) -> None:
    """However good the record is; the details name the difference."""
    found = replace(evidence(roles, 3), differences=["cluster1-edge1: runs admin"])
    judged = verdict(roles, RollbackPoint(3), found)

    assert judged.problems() == ["baseline: 1 differences"]
    assert judged.details["differences"] == ["cluster1-edge1: runs admin"]


def test_another_outcome_than_expected_is_a_problem(roles: Roles) -> None:
    """A fault that the run did not notice proves nothing."""
    other = replace(flawless.RUN, expected_outcome="rolled_back")

    assert judge(roles, other, flawless.evidence(roles)).problems() == [
        "the outcome is completed, expected rolled_back"
    ]


def test_a_revived_monitor_that_was_stopped_again_is_no_effect(roles: Roles) -> None:
    """Every start revives it: the product may only set that right."""
    found = evidence(roles, 6)
    started = found.effects[find(found.effects, START)].at
    monitor = Effect("cluster1-server1", "monitor", "start")
    revived = [
        RecordedEffect(started + 0.1, monitor, by="start_sshd"),
        RecordedEffect(started + 0.2, replace(monitor, effect="stop"), by="stop_monitord"),
    ]
    record = sorted([*found.effects, *revived], key=lambda recorded: recorded.at)

    assert verdict(roles, RollbackPoint(6), replace(found, effects=record)).problems() == []


def test_start_all_starts_what_several_steps_have_stopped(roles: Roles) -> None:
    """It may start an Edge's protocol server before another node's Transaction Manager."""
    found, edge = evidence(roles, 8), "cluster1-edge1 ssh start"
    early = both(moved(edge, time_of("cluster1-server1 admin start")), by(edge, "start_all"))
    found = replace(found, effects=early(found.effects))

    assert verdict(roles, RollbackPoint(8), found).problems() == []


def test_a_reload_makes_sure_of_a_redirect_that_failed(roles: Roles) -> None:
    """It changes nothing, and is allowed exactly where the redirect may have been begun."""
    found = evidence(roles, 2)
    found = replace(found, effects=added(BACK, 5.5, changed=False)(found.effects))

    assert verdict(roles, RollbackPoint(3), found).problems() == []
    for turn in (RollbackPoint(3, begun=False), RollbackPoint(2)):
        assert "effects: 1 unexpected" in verdict(roles, turn, found).problems()


def test_no_session_has_to_span_a_redirect_that_did_not_happen(roles: Roles) -> None:
    """A denominator may be zero where the rollback began before it; not where traffic moved."""
    calm = replace(flawless.evidence(roles), sessions=[])
    before = replace(calm, effects=back_and_forth(roles, 2))
    after = replace(calm, effects=back_and_forth(roles, 3))

    assert verdict(roles, RollbackPoint(3), before).problems() == []
    assert verdict(roles, RollbackPoint(3), after).problems() == [
        "traffic: no client moved from the source to the target"
    ]


def test_a_run_that_never_began_has_done_nothing(roles: Roles) -> None:
    """Neither after findings nor after the first gate's rejection is there any effect."""
    calm = replace(flawless.evidence(roles), effects=[])
    spoilt = replace(calm, effects=back_and_forth(roles, 1))

    for turn in (RollbackPoint(0), RollbackPoint(1, begun=False)):
        assert verdict(roles, turn, calm).problems() == []
        assert "effects: 8 unexpected" in verdict(roles, turn, spoilt).problems()
    assert "effects: recorded is zero, so nothing was proved" in (
        verdict(roles, RollbackPoint(1), calm).problems()
    )
