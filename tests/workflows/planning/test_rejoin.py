"""A rejoin keeps the invariants at every prefix, and its rollback leads back from each of them."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import estates
from tests.support.estate_model import World
from workflows.errors import BadInput
from workflows.model import actions
from workflows.model.observations import NodeReading
from workflows.model.request import RejoinRequest
from workflows.model.results import SCHEDULING, Service
from workflows.model.stages import STAGES, StageName
from workflows.planning.plan import Plan
from workflows.planning.procedures import rollback_of
from workflows.planning.rejoin import plan_rejoin
from workflows.planning.rollback import Baseline


def plan_for(servers: int = 2, edges: int = 2, **changes: object) -> Plan:
    """Plan the rejoin of cluster1 on an estate of this size."""
    request = RejoinRequest(estate="lab", cluster="cluster1")
    return plan_rejoin(estates.estate(servers, edges, **changes), request)


def drained(plan: Plan) -> World:
    """Return the model of an estate whose returning cluster was drained."""
    world = World(plan.estate, plan.target, plan.source)
    world.drain()
    return world


def baseline_of(world: World) -> Baseline:
    """Return what stage 0 reads of the model."""
    services = (Service.MONITOR, *SCHEDULING)
    return Baseline(
        {
            node.name: NodeReading(
                place=node.name, services={one: world.state(node.name, one) for one in services}
            )
            for node in world.estate.nodes
        }
    )


def done(plan: Plan) -> Iterator[tuple[StageName, actions.Action]]:
    """Yield every action after the prerequisites, in sequence."""
    for stage in plan.stages:
        for action in stage.actions:
            yield stage.name, action


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_prefix_of_a_rejoin_breaks_an_invariant(data: st.DataObject) -> None:
    """Never two Schedulers, and the active cluster serves, whatever has been done by then."""
    servers, edges = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    plan = plan_for(servers, edges)
    world = drained(plan)
    world.check()
    executed = 0
    for stage in plan.stages:
        for wave in stage.waves:
            for action in data.draw(st.permutations(wave)):
                world.execute(action)
                executed += 1
    assert world.violations == []
    assert executed == sum(len(stage.actions) for stage in plan.stages) > 0
    passive = World(plan.estate, plan.source, plan.target)
    assert world.picture == passive.picture


@pytest.mark.parametrize("has_effect", [True, False])
def test_a_rollback_leads_back_from_every_prefix(*, has_effect: bool) -> None:
    """Also where the last action was begun and had no effect."""
    plan = plan_for()
    all_actions = tuple(done(plan))
    assert len(all_actions) > 50
    for length in range(1, len(all_actions) + 1):
        world = drained(plan)
        before, baseline = world.picture, baseline_of(world)
        started: dict[StageName, list[actions.Action]] = {}
        for number, (name, action) in enumerate(all_actions[:length], 1):
            if isinstance(action, actions.Change):
                started.setdefault(name, []).append(action)
            if has_effect or number < length:
                world.execute(action)
        for stage in rollback_of(plan, started, baseline):
            for action in stage.actions:
                if not world.is_stopped(action):
                    world.execute(action)
        assert world.violations == [], (length, world.violations)
        assert world.picture == before, (length, all_actions[length - 1])


@pytest.mark.parametrize(
    ("left_out", "violation"),
    [(StageName.PAUSE_SCHEDULING, "1:"), (StageName.START_TRANSACTION_MANAGERS, "")],
)
def test_the_model_notices_scheduling_that_is_not_paused(
    left_out: StageName, violation: str
) -> None:
    """Without the pause a started Transaction Manager may schedule beside the active cluster."""
    plan = plan_for()
    world = drained(plan)
    for name, action in done(plan):
        if name is not left_out:
            world.execute(action)
    assert any(one.startswith("1:") for one in world.violations) is bool(violation)


def test_scheduling_is_not_paused_where_a_site_has_proven_that_it_stays_stopped() -> None:
    """Then the stages are there, and have nothing to do."""
    plan = plan_for(scheduling_returns_with_tm=False)
    assert plan.stage(StageName.PAUSE_SCHEDULING).actions == ()
    assert plan.stage(StageName.RESUME_SCHEDULING).actions == ()
    verified = plan.stage(StageName.START_TRANSACTION_MANAGERS).actions
    assert actions.VerifySchedulingStopped(node="cluster1-server1") in verified
    assert plan_for().stage(StageName.PAUSE_SCHEDULING).actions != ()


def test_the_stages_are_those_of_a_rejoin() -> None:
    """In their sequence, numbered from the prerequisites on."""
    plan = plan_for()
    assert tuple(stage.name for stage in plan.stages) == STAGES["rejoin"]
    assert [stage.name.number for stage in plan.stages] == list(range(9))
    assert all(stage.actions for stage in plan.stages)


def test_starts_on_one_node_take_turns() -> None:
    """Each revives the Monitor and stops it again: no two workers may do that side by side."""
    waves = plan_for().stage(StageName.START_SERVICES).waves
    starts = [wave for wave in waves if isinstance(wave[0], actions.StartProtocolServer)]
    assert len(starts) > 1
    assert all(len({action.place for action in wave}) == len(wave) for wave in starts)
    assert [len(wave) for wave in starts] == [2] * len(starts)


def test_replication_comes_to_the_returning_cluster_first() -> None:
    """And has delivered everything before the way back is resumed."""
    waves = plan_for().stage(StageName.RESUME_REPLICATION).waves
    links = [link for wave in waves for link in _links(wave)]
    back, forth = "cluster1_to_cluster2", "cluster2_to_cluster1"
    first = links.index(("resume_replication", forth))
    assert links.index(("await_delivery", forth)) > first
    assert links.index(("resume_replication", back)) > links.index(("await_delivery", forth))


def test_lost_changes_are_repaired_before_both_sides_are_compared() -> None:
    """And a slot that serves no direction any more is dropped after it was compared with."""
    back, forth = "cluster1_to_cluster2", "cluster2_to_cluster1"
    waves = plan_for().stage(StageName.RESUME_REPLICATION).waves
    links = [link for wave in waves for link in _links(wave)]
    sequence = [
        ("copy_tables", forth),
        ("renew_slot", back),
        ("verify_no_conflicts", forth),
        ("drop_slot", back),
        ("resume_replication", forth),
    ]
    positions = [links.index(one) for one in sequence]
    assert positions == sorted(positions)


def _links(wave: Sequence[actions.Action]) -> list[tuple[str, str]]:
    return [(action.kind, action.place) for action in wave]


def test_an_estates_gates_count_where_the_stage_exists() -> None:
    """What an estate always gates may be a stage of the other procedure."""
    plan = plan_for(approve_before=("redirect_traffic", "resume_replication"))
    assert [stage.name for stage in plan.stages if stage.gated] == [StageName.RESUME_REPLICATION]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cluster": "cluster9"}, "has no cluster cluster9; it has cluster1 and cluster2"),
        ({"approve_before": ("redirect_traffic",)}, "a rejoin has no stage redirect_traffic"),
        ({"approve_before": ("check_prerequisites",)}, "only reads"),
    ],
)
def test_what_cannot_be_planned_is_refused(changes: dict[str, object], words: str) -> None:
    """With the key, and what is possible instead."""
    request = RejoinRequest.model_validate({"estate": "lab", "cluster": "cluster1", **changes})
    with pytest.raises(BadInput, match=words):
        plan_rejoin(estates.estate(), request)
