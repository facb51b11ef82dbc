"""Records of rejoins with one thing wrong, and the problem that the checker must report."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.checker.evidence import Evidence
from lab.checker.invariants import Roles, in_intervals, in_samples
from lab.checker.rejoin import ADMIN, BACK, MANAGERS, OVER, PAUSE, RESUME, SERVICES
from lab.checker.rollback import RollbackPoint
from lab.recorder.effects import RecordedEffect
from tests.support import perfect_rejoin as flawless
from tests.support.perfect_records import Change, added, both, moved, time_of, without

STEPS = (ADMIN, PAUSE, MANAGERS, RESUME, SERVICES, OVER, BACK)
TM = "cluster1-server1 tm start"
OVER_THERE = "database1 cluster2_to_cluster1 enable"
BACK_HERE = "database2 cluster1_to_cluster2 enable"
PAUSED = "cluster2-server1 scheduler stop"
RESUMED = "cluster2-server1 scheduler start"
RETURNED = "cluster1-server1 scheduler start"
OFF = "cluster1-server1 scheduler stop"
SSH = "cluster1-server1 ssh start"


@pytest.fixture
def back(roles: Roles) -> Roles:
    """Cluster1 comes back beside cluster2."""
    return replace(roles, source="cluster2", target="cluster1", procedure="rejoin")


@pytest.mark.parametrize("returns", [True, False])
def test_a_flawless_rejoin_has_no_problem(back: Roles, *, returns: bool) -> None:
    """Whether scheduling returned with its Transaction Managers or not."""
    record = flawless.effects(back, returns=returns)
    verdict = flawless.verdict(back, flawless.evidence(back, record))

    assert verdict.problems() == []
    assert verdict.effects.expected == verdict.effects.recorded == 22 + 2 + 8 + 8 * returns
    assert verdict.as_json()["procedure"] == "rejoin"
    assert verdict.seconds.drain == 0
    assert in_intervals(back, record)[1] == []


def test_a_pause_may_be_left_out_only_where_the_estate_says_so(back: Roles) -> None:
    """A site that has proven that its scheduling stays stopped need not pause, and may."""
    whole = flawless.effects(back, returns=False)
    without_pause = [r for r in whole if "cluster2-server" not in r.effect.place]
    proven = replace(
        back, estate=back.estate.model_copy(update={"scheduling_returns_with_tm": False})
    )

    for record in (whole, without_pause):
        assert flawless.verdict(proven, flawless.evidence(proven, record)).problems() == []
    found = flawless.verdict(back, flawless.evidence(back, without_pause)).problems()
    assert found == ["effects: 8 skipped"]


def test_a_revived_monitor_may_stay_or_be_stopped_and_started_again(back: Roles) -> None:
    """Any start revives it; what counts is that it runs in the end."""
    monitor = "cluster1-server1 monitor"
    early = both(
        moved(f"{monitor} start", time_of(TM, -0.5)),
        lambda record: [
            replace(r, by="start_admin") if str(r.effect) == f"{monitor} start" else r
            for r in record
        ],
    )
    stopped = both(
        early,
        added(f"{monitor} stop", time_of(TM, -0.2)),
        added(f"{monitor} start", time_of(BACK_HERE, 0.5)),
    )
    for change in (early, stopped):
        record = change(flawless.effects(back))
        assert flawless.verdict(back, flawless.evidence(back, record)).problems() == []


Wrong = Callable[[Evidence], Evidence]


def effects(change: Change) -> Wrong:
    """Change the record of effects."""
    return lambda evidence: replace(evidence, effects=change(evidence.effects))


WRONG: dict[str, dict[str, Wrong]] = {
    "effects: 1 skipped": {
        "a protocol server that was never started": effects(without(SSH)),
        "an Edge's proxy that was never started": effects(without("cluster1-edge1 socks start")),
        "a Monitor that stays down": effects(without("cluster1-edge2 monitor start")),
        "a way back that stays off": effects(without(BACK_HERE)),
        "one service that was not paused": effects(
            both(
                without("cluster2-server2 folder_monitor stop"),
                added("cluster2-server2 folder_monitor start", time_of(RESUMED), changed=False),
            )
        ),
        "scheduling that never started again": effects(without(RESUMED)),
        "scheduling that returned and stays": effects(without(OFF)),
    },
    "effects: 1 repeated": {
        "a start": effects(added(SSH, time_of(SSH, 3), changed=False)),
        "a resumption": effects(added(OVER_THERE, time_of(BACK_HERE, 1), changed=False)),
    },
    "effects: 1 unexpected": {
        "a service that did not run before": effects(added("cluster1-edge1 as2 start", 60)),
        "traffic that is redirected": effects(added("loadbalancer1 traffic redirect cluster2", 60)),
        "a service that died": effects(added("cluster1-edge1 ssh died", 60)),
    },
    "effects: 1 misordered": {
        "the way back before the way there": effects(moved(BACK_HERE, time_of(OVER_THERE, -0.5))),
        "replication before the services are up": effects(moved(SSH, time_of(BACK_HERE, -0.5))),
    },
    "misordered": {
        "a TM before the pause": effects(moved(TM, time_of(PAUSED, -0.5))),
        "scheduling resumed while it returned": effects(moved(RESUMED, time_of(OFF, -0.5))),
    },
    "invariants: 1 violations": {
        "a protocol server of the active cluster that is stopped": effects(
            added("cluster2-server1 ssh stop", 60)
        ),
        "a Monitor of the active cluster that is stopped": effects(
            added("cluster2-server1 monitor stop", 60)
        ),
        "scheduling that returns beside the active cluster's": effects(
            moved(RESUMED, time_of(OFF, -0.5))
        ),
        "scheduling that is never paused": effects(
            lambda record: [r for r in record if "cluster2-server" not in r.effect.place]
        ),
    },
    "invariants": {
        "an active cluster that does not serve": effects(
            both(*(added(f"cluster2-edge{n} ssh stop", 60) for n in (1, 2)))
        )
    },
    "baseline: 1 differences": {
        "an estate that is not as it should be": lambda e: replace(e, differences=["x"])
    },
    "traffic: 1 failed": {
        "a client operation that failed": lambda e: replace(
            e, operations=[*e.operations, replace(e.operations[0], ok=False)]
        )
    },
    "effects: recorded is zero": {"no effect": lambda e: replace(e, effects=[])},
    "traffic: attempted is zero": {"no traffic": lambda e: replace(e, operations=[])},
    "files: expected is zero": {"no file": lambda e: replace(e, operations=e.operations[:1])},
    "events: expected is zero": {"no event": lambda e: replace(e, operations=e.operations[:1])},
    "invariants: samples is zero": {"no sample": lambda e: replace(e, samples=[])},
}


@pytest.mark.parametrize(
    ("problem", "name"), [(problem, name) for problem, some in WRONG.items() for name in some]
)
def test_what_went_wrong_is_a_problem(back: Roles, problem: str, name: str) -> None:
    """Each fault, and each thing that was not measured, is reported by its own number."""
    problems = flawless.verdict(back, WRONG[problem][name](flawless.evidence(back))).problems()

    assert any(problem in one for one in problems), problems


def test_in_samples_the_active_cluster_keeps_all_its_services(back: Roles) -> None:
    """The one that comes back may be anywhere between down and up."""
    good = flawless.sample(back)
    spoilt = replace(good, running={**good.running, "cluster2-edge1": ["ssh", "http"]})

    assert in_samples(back, [good])[1] == []
    assert [one.number for one in in_samples(back, [good, spoilt])[1]] == [5]


def rolled_back(back: Roles, step: int, change: Change = lambda record: record) -> list[str]:
    """The problems of a rejoin that was rolled back after this step, and changed so."""
    record = change(flawless.there_and_back(back, step))
    found = flawless.evidence(back, record)
    return flawless.verdict(back, found, RollbackPoint(step)).problems()


@pytest.mark.parametrize("step", STEPS)
def test_a_rejoin_that_rolled_everything_back_has_no_problem(back: Roles, step: int) -> None:
    """Wherever the rollback began: in a step, or before the next one."""
    assert rolled_back(back, step) == []
    found = flawless.evidence(back, flawless.there_and_back(back, step))
    turn = RollbackPoint(step + 1, begun=False)
    assert flawless.verdict(back, found, turn).problems() == []
    assert flawless.verdict(back, found, turn).effects.expected > 0


def test_what_is_left_may_stop_in_any_sequence(back: Roles) -> None:
    """One script stops a node, and several nodes stop side by side; no TM is up by then."""
    record = flawless.there_and_back(back, ADMIN)
    stops = [r for r in record if r.effect.effect in ("stop", "drain", "stopped")]
    services = {r.effect for r in stops if r.effect.service != "monitor"}
    left = sorted({replace(e, effect="stop") for e in services})
    kept = [r for r in record if r.effect not in services]
    at = record[-1].at
    by_script = [RecordedEffect(at + n, e, by="stop_all") for n, e in enumerate(left)]

    found = flawless.evidence(back, [*kept, *by_script])
    assert len(by_script) == 2 + 2 * 5
    assert flawless.verdict(back, found, RollbackPoint(ADMIN)).problems() == []


ROLLED_BACK_WRONGLY: dict[str, dict[str, tuple[int, Change]]] = {
    "1 skipped": {
        "an admin service that still runs": (ADMIN, without("cluster1-server1 admin stop")),
        "a link that still replicates": (OVER, without("database1 cluster2_to_cluster1 disable")),
        "scheduling that stays paused": (MANAGERS, without(RESUMED)),
        "a Monitor that still runs": (SERVICES, without("cluster1-edge1 monitor stop")),
        "an earlier step that was not complete": (
            MANAGERS,
            both(without("cluster1-server1 admin start"), without("cluster1-server1 admin stop")),
        ),
    },
    "1 repeated": {
        "a stop": (
            SERVICES,
            added("cluster1-edge1 socks stop", lambda record: record[-1].at + 1, changed=False),
        )
    },
    "1 unexpected": {
        "a later step": (ADMIN, added(TM, 15.5)),
        "a service that was never started": (ADMIN, added("cluster1-edge1 as2 stop", 30)),
    },
    "misordered": {
        "a start after the rollback began": (
            SERVICES,
            moved(SSH, time_of("cluster1-server1 http stopped", 0.1)),
        ),
        "replication that is on while services stop": (
            OVER,
            moved(
                "database1 cluster2_to_cluster1 disable",
                time_of("cluster1-server1 tm stopped", 0.1),
            ),
        ),
        "an admin service that stops first": (
            SERVICES,
            moved("cluster1-server1 admin stop", time_of("cluster1-server1 ssh drain", -0.5)),
        ),
    },
    "violations": {
        "a TM that stops before protocol servers": (
            SERVICES,
            moved("cluster1-server1 tm drain", time_of("cluster1-server1 ssh drain", -0.5)),
        ),
        "a graceful stop under a Monitor": (
            SERVICES,
            moved("cluster1-server1 monitor stop", time_of("cluster1-server1 ssh drain", 0.5)),
        ),
        "a graceful stop of the active cluster": (
            SERVICES,
            added("cluster2-server1 ssh drain", time_of(SSH, 0.5)),
        ),
    },
}


@pytest.mark.parametrize(
    ("problem", "name"),
    [(problem, name) for problem, some in ROLLED_BACK_WRONGLY.items() for name in some],
)
def test_what_went_wrong_in_the_rollback_is_a_problem(back: Roles, problem: str, name: str) -> None:
    """Each mistake is reported by its own number."""
    problems = rolled_back(back, *ROLLED_BACK_WRONGLY[problem][name])

    assert any(problem in one for one in problems), problems


def test_a_cluster_that_is_not_drained_again_is_a_problem(back: Roles) -> None:
    """However good the record is."""
    found = flawless.evidence(back, flawless.there_and_back(back, SERVICES))
    spoilt = replace(found, differences=["cluster1-edge1: runs admin"])

    verdict = flawless.verdict(back, spoilt, RollbackPoint(SERVICES))
    assert verdict.problems() == ["baseline: 1 differences"]
