"""Records of rollbacks with one thing wrong, and the problem that the checker must report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.evidence import Evidence
from lab.checker.invariants import Roles, in_intervals
from lab.checker.rollback import RollbackPoint
from lab.checker.verdict import Run, Verdict, judge
from lab.recorder.effects import Effect, RecordedEffect
from tests.support import perfect_records as flawless
from tests.support.perfect_records import added, back_and_forth, find, moved, without

STEPS = range(1, 9)


def run(rollback_point: RollbackPoint) -> Run:
    """A run that turned back there, as it should."""
    return Run(
        "rolled_back", 0.0, 90.0, expected_outcome="rolled_back", rollback_point=rollback_point
    )


def evidence(roles: Roles, step: int) -> Evidence:
    """Flawless records of a run that turned back after this step."""
    return replace(flawless.evidence(roles), effects=back_and_forth(roles, step))


def verdict(roles: Roles, rollback_point: RollbackPoint, seen: Evidence) -> Verdict:
    """Judge these records."""
    return judge(roles, run(rollback_point), seen)


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_took_everything_back_has_no_problem(roles: Roles, step: int) -> None:
    """Wherever it turned: in a step, or before the next one began."""
    for turn in (RollbackPoint(step), RollbackPoint(step + 1, begun=False)):
        judged = verdict(roles, turn, evidence(roles, step))

        assert judged.problems() == []
        assert judged.effects.expected == judged.effects.recorded > 0
        assert judged.as_json()["baseline"] == {"differences": 0}


@pytest.mark.parametrize("step", STEPS)
def test_no_invariant_is_broken_on_the_way_back(roles: Roles, step: int) -> None:
    """The order in which things are taken back is one in which the promise holds throughout."""
    assert in_intervals(roles, back_and_forth(roles, step))[1] == []


def test_a_step_that_was_only_begun_need_not_be_whole(roles: Roles) -> None:
    """What a fault kept from being done need not be taken back."""
    seen = evidence(roles, 1)
    left = [r for r in seen.effects if r.effect.place != "cluster1-edge1"]

    assert verdict(roles, RollbackPoint(1), replace(seen, effects=left)).problems() == []


Change = Callable[[list[RecordedEffect]], list[RecordedEffect]]
START = "cluster1-server1 ssh start"


def by(record: list[RecordedEffect], words: str, who: str) -> list[RecordedEffect]:
    """The same record, with that effect by another actor."""
    place = find(record, words)
    return [*record[:place], replace(record[place], by=who), *record[place + 1 :]]


def after_all(change: Callable[[list[RecordedEffect], float], list[RecordedEffect]]) -> Change:
    """Change a record at a event after its last effect."""
    return lambda record: change(record, record[-1].at + 5)


def turn_of(record: list[RecordedEffect]) -> float:
    """Just before the way back begins."""
    return record[find(record, "cluster2-server1 scheduler stop")].at - 0.5


WRONG: dict[str, tuple[int, Change, str]] = {
    "a step before that was not whole": (
        3,
        lambda r: without(without(r, "database1 cluster2_to_cluster1 disable"), ENABLE),
        "1 skipped",
    ),
    "an effect never taken back": (2, lambda r: without(r, ENABLE), "1 skipped"),
    "an effect done again after it was taken back": (
        2,
        after_all(lambda r, at: added(r, "database1 cluster2_to_cluster1 disable", at)),
        "misordered",
    ),
    "a protocol server that stays down": (6, lambda r: without(r, START), "1 skipped"),
    "a Monitor that stays down": (
        5,
        lambda r: without(r, "cluster1-edge2 monitor start"),
        "1 skipped",
    ),
    "a start repeated": (
        6,
        after_all(lambda r, at: added(r, START, at, changed=False)),
        "1 repeated",
    ),
    "something of a later step": (
        3,
        lambda r: added(r, "cluster1-server1 scheduler stop", 7.5),
        "1 unexpected",
    ),
    "something never stopped started": (
        3,
        after_all(lambda r, at: added(r, "cluster1-edge1 as2 start", at)),
        "1 unexpected",
    ),
    "steps done in another order": (
        3,
        lambda r: moved(r, "loadbalancer1 traffic redirect cluster2", 3.5),
        "misordered",
    ),
    "a step still done when the way back had begun": (
        6,
        lambda r: moved(r, "cluster1-server1 ssh drain", turn_of(r) + 0.7),
        "misordered",
    ),
    "the source's scheduling started before the target's stopped": (
        5,
        lambda r: moved(r, "cluster1-server1 scheduler start", turn_of(r)),
        "misordered",
    ),
    "a Transaction Manager started under the target's scheduling": (
        7,
        lambda r: moved(r, "cluster1-server1 tm start", turn_of(r)),
        "misordered",
    ),
    "a protocol server started before every Transaction Manager": (
        7,
        lambda r: moved(r, START, turn_of(r) + 4.7),
        "misordered",
    ),
    "traffic sent back before the source serves": (
        6,
        lambda r: moved(r, BACK, r[find(r, START)].at - 0.5),
        "misordered",
    ),
    "replication on before traffic is back": (
        3,
        lambda r: moved(r, ENABLE, r[find(r, BACK)].at - 0.5),
        "misordered",
    ),
    "a Monitor up before everything else": (
        4,
        lambda r: moved(r, "cluster1-server1 monitor start", r[find(r, BACK)].at - 0.5),
        "misordered",
    ),
    "a Monitor that a start script revived and that was not stopped": (
        6,
        lambda r: by(
            moved(r, "cluster1-server1 monitor start", r[find(r, START)].at + 0.1),
            "cluster1-server1 monitor start",
            "start_sshd",
        ),
        "misordered",
    ),
    "a start that overtook the stop": (
        6,
        lambda r: moved(r, "cluster1-server1 ssh stopped", r[find(r, START)].at + 0.1),
        "misordered",
    ),
}
ENABLE = "database1 cluster2_to_cluster1 enable"
BACK = "loadbalancer1 traffic redirect cluster1"


@pytest.mark.parametrize("name", WRONG)
def test_what_went_wrong_on_the_way_back_is_a_problem(roles: Roles, name: str) -> None:
    """Each shows up under its own number."""
    step, spoil, problem = WRONG[name]
    seen = evidence(roles, step)

    problems = verdict(
        roles, RollbackPoint(step), replace(seen, effects=spoil(seen.effects))
    ).problems()

    assert any("effects: " in one and problem in one for one in problems), problems


def test_an_estate_that_differs_from_its_baseline_is_a_problem(roles: Roles) -> None:
    """However good the record is; and the words say in what."""
    seen = replace(evidence(roles, 3), differences=["cluster1-edge1: runs admin"])
    judged = verdict(roles, RollbackPoint(3), seen)

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
    seen = evidence(roles, 6)
    started = seen.effects[find(seen.effects, START)].at
    monitor = Effect("cluster1-server1", "monitor", "start")
    revived = [
        RecordedEffect(started + 0.1, monitor, by="start_sshd"),
        RecordedEffect(started + 0.2, replace(monitor, effect="stop"), by="stop_monitord"),
    ]
    record = sorted([*seen.effects, *revived], key=lambda recorded: recorded.at)

    assert verdict(roles, RollbackPoint(6), replace(seen, effects=record)).problems() == []


def test_start_all_starts_what_several_steps_have_stopped(roles: Roles) -> None:
    """One Edge's protocol servers may come before another node's Transaction Manager, by it."""
    seen = evidence(roles, 8)
    record = seen.effects
    early = record[find(record, "cluster1-server1 admin start")].at
    record = by(moved(record, "cluster1-edge1 ssh start", early), *EDGE_STARTS)

    assert verdict(roles, RollbackPoint(8), replace(seen, effects=record)).problems() == []


EDGE_STARTS = "cluster1-edge1 ssh start", "start_all"


def test_a_reload_makes_sure_of_a_redirect_that_failed(roles: Roles) -> None:
    """It changes nothing, and is allowed exactly where the redirect may have been begun."""
    seen = evidence(roles, 2)
    record = added(seen.effects, BACK, 5.5, changed=False)
    seen = replace(seen, effects=record)

    assert verdict(roles, RollbackPoint(3), seen).problems() == []
    for turn in (RollbackPoint(3, begun=False), RollbackPoint(2)):
        assert "effects: 1 unexpected" in verdict(roles, turn, seen).problems()


def test_nothing_has_to_straddle_a_redirect_that_never_was(roles: Roles) -> None:
    """A denominator may be zero where the run turned back before it; not where traffic moved."""
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
