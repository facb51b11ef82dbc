"""The plan keeps the invariants at every prefix, whatever the sequence within a wave."""

import itertools
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import estates
from tests.support.estate_model import World
from workflows.errors import BadInput
from workflows.model import actions
from workflows.model.results import SCHEDULING, Service
from workflows.model.stages import STAGES, StageName
from workflows.planning.plan import Chain, Parallel, Plan
from workflows.planning.switchover import plan_switchover

SIZES = st.tuples(st.integers(1, 4), st.integers(0, 4))


def plan_for(servers: int = 2, edges: int = 2, **changes: object) -> Plan:
    """Plan a switchover of an estate of this size."""
    return plan_switchover(estates.estate(servers, edges, **changes), estates.request())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_prefix_of_the_plan_breaks_an_invariant(data: st.DataObject) -> None:
    """Whatever has been done when everything stops, all seven invariants hold."""
    servers, edges = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    both = data.draw(st.booleans())
    plan = plan_for(servers, edges, stop_target_monitors=both)
    world = World(plan.estate, plan.source, plan.target)
    world.check()
    executed = 0
    for stage in plan.stages:
        for wave in stage.waves:
            for action in data.draw(st.permutations(wave)):
                world.execute(action)
                executed += 1
    assert world.violations == []
    assert executed == sum(len(stage.actions) for stage in plan.stages) > 0


def interleaved(chains: Sequence[Chain], data: st.DataObject) -> Iterator[actions.Action]:
    """Yield the actions of chains in any sequence that the chains allow."""
    waves = [[list(wave) for stage in one.stages for wave in stage.waves] for one in chains]
    while any(waves):
        free = [
            own
            for own, chain in zip(waves, chains, strict=True)
            if own and not any(waves[position] for position in chain.after)
        ]
        wave, *_ = chosen = free[data.draw(st.integers(0, len(free) - 1))]
        yield wave.pop(data.draw(st.integers(0, len(wave) - 1)))
        if not wave:
            chosen.remove(wave)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_interleaving_by_node_breaks_an_invariant(data: st.DataObject) -> None:
    """Nothing drains before scheduling has moved, and no proxy stops before the last TM."""
    servers, edges = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    estate = estates.estate(servers, edges)
    plan = plan_switchover(estate, estates.request(variant="by_node"))
    world = World(estate, plan.source, plan.target)
    world.by_node = True
    moved = {(s.name, x) for s in estate.cluster(plan.target).servers for x in SCHEDULING}
    managers = {(s.name, Service.TRANSACTION_MANAGER) for s in estate.cluster(plan.source).servers}
    executed = 0
    for step in plan.sequence:
        chains = step.chains if isinstance(step, Parallel) else (Chain(stages=(step,)),)
        for action in interleaved(chains, data):
            if isinstance(action, actions.AwaitSessions | actions.StopGracefully):
                assert moved <= world.running
            if isinstance(action, actions.StopRemaining) and "edge" in action.node:
                assert not managers & world.running
            world.execute(action)
            executed += 1
    assert world.violations == []
    assert executed == sum(len(stage.actions) for stage in plan.stages) > 0


@pytest.mark.parametrize(
    ("earlier", "later", "invariant"),
    [
        (StageName.START_SCHEDULING, StageName.STOP_SCHEDULING, "1"),
        (StageName.DRAIN_PROTOCOL_SERVERS, StageName.REDIRECT_TRAFFIC, "2"),
        (StageName.DRAIN_TRANSACTION_MANAGER, StageName.DRAIN_PROTOCOL_SERVERS, "3"),
        (StageName.REDIRECT_TRAFFIC, StageName.SUSPEND_REPLICATION, "4"),
        (StageName.DRAIN_PROTOCOL_SERVERS, StageName.STOP_MONITORS, "6"),
    ],
)
def test_the_model_notices_a_wrong_sequence(
    earlier: StageName, later: StageName, invariant: str
) -> None:
    """Two stages the wrong way round break just the invariant that forbids it."""
    plan = plan_for()
    world = World(plan.estate, plan.source, plan.target)
    stages = [stage for stage in plan.stages if stage.name not in (earlier, later)]
    stages.insert(0, plan.stage(later))
    stages.insert(0, plan.stage(earlier))
    for stage in stages:
        for action in stage.actions:
            world.execute(action)
    assert any(words.startswith(f"{invariant}:") for words in world.violations)


def test_the_model_notices_a_stop_on_the_target() -> None:
    """Invariant 5: a protocol server of the target is not ours to stop."""
    plan = plan_for()
    world = World(plan.estate, plan.source, plan.target)
    world.execute(actions.StopMonitor(node="cluster2-edge1"))
    assert world.violations == []
    world.running.add(("cluster2-server1", Service.SCHEDULER))  # not by this run
    world.execute(actions.StopScheduling(node="cluster2-server1"))
    assert any(words.startswith("5:") for words in world.violations)


def test_the_model_notices_a_repeated_stop() -> None:
    """Invariant 7: a graceful stop is asked for once."""
    plan = plan_for()
    world = World(plan.estate, plan.source, plan.target)
    world.execute(actions.StopMonitor(node="cluster1-server1"))
    world.traffic = dict.fromkeys(world.traffic, "cluster2")
    stop = next(action for action in plan.stage(StageName.DRAIN_PROTOCOL_SERVERS).waves[1])
    world.execute(stop)
    world.execute(stop)
    assert any(words.startswith("7:") for words in world.violations)


def test_the_stages_are_the_manuals() -> None:
    """All ten stages, in the sequence of the manual, each with something to do on this estate."""
    plan = plan_for(stop_target_monitors=True)
    assert tuple(stage.name for stage in plan.stages) == STAGES["switchover"]
    assert all(stage.actions for stage in plan.stages)


def test_the_reverse_is_the_same_procedure() -> None:
    """With the roles swapped the plan says the same of the other cluster."""
    there = plan_for()
    back = plan_switchover(estates.estate(), estates.request(source="cluster2", target="cluster1"))
    swap = {"cluster1": "cluster2", "cluster2": "cluster1"}
    for stage in there.stages[3:]:  # the first ones read both sides alike
        messages = [re.sub(r"cluster[12]", lambda m: swap[m[0]], str(o)) for o in stage.actions]
        assert [str(action) for action in back.stage(stage.name).actions] == messages


def test_every_effect_knows_its_undo() -> None:
    """An action either only reads, or names the action that undoes it."""
    reading = ("observe_", "compare_", "try_", "verify_", "await_", "find_", "count_")
    actions = [action for stage in plan_for().stages for action in stage.actions]
    assert actions
    for action in actions:
        assert (action.undo is None) == action.kind.startswith(reading), action


@given(SIZES)
@settings(max_examples=20, deadline=None)
def test_a_plan_survives_its_journey(size: tuple[int, int]) -> None:
    """The plan in history is the plan that was made, hash and all."""
    servers, edges = size
    if edges == 0:
        return
    plan = plan_for(servers, edges)
    again = Plan.model_validate_json(plan.model_dump_json())
    assert again == plan
    assert again.hash == plan.hash


def test_actions_of_a_stage_have_names_of_their_own() -> None:
    """An action's key is part of its operation id, so no two actions of a stage share one."""
    for stage in plan_for(4, 4).stages:
        keys = [action.key for action in stage.actions]
        assert len(set(keys)) == len(keys)


def test_by_node_plans_the_same_actions_in_another_sequence() -> None:
    """Every action once; only the wait for the queue is made on each Server."""
    by_stage = plan_for()
    by_node = plan_switchover(by_stage.estate, estates.request(variant="by_node"))
    for one, other in zip(by_stage.stages, by_node.stages, strict=True):
        more = {a.key for a in other.actions} - {a.key for a in one.actions}
        assert {a.key for a in one.actions} <= {a.key for a in other.actions}
        assert more <= {"await_queue.cluster1-server2"}
        assert len({a.key for a in other.actions}) == len(other.actions)
    scheduled = StageName.DRAIN_PROTOCOL_SERVERS.number
    managers = StageName.DRAIN_TRANSACTION_MANAGER.number
    assert by_node.sequence[:scheduled] == by_stage.sequence[:scheduled]
    [parallel] = [step for step in by_node.sequence if isinstance(step, Parallel)]
    assert [chain.after for chain in parallel.chains] == [(), (), (0, 1), (), (0, 3), (2, 4)]
    kinds = [{a.kind for a in wave} for wave in by_node.stages[managers].waves]
    assert kinds == [
        {"verify_stopped"},  # of the Edges, which come first
        *({a.kind for a in wave} for wave in by_stage.stages[managers].waves),
    ]
    assert Plan.model_validate_json(by_node.model_dump_json()) == by_node


@pytest.mark.parametrize("variant", ["by_stage", "by_node"])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1)])
def test_what_is_left_is_read_at_the_end_through_a_server_that_is_still_up(
    variant: str, size: tuple[int, int]
) -> None:
    """After every Transaction Manager has stopped, before that Server's admin API stops."""
    plan = plan_switchover(estates.estate(*size), estates.request(variant=variant))
    steps = [
        action
        for step in plan.sequence
        for stage in (
            itertools.chain.from_iterable(chain.stages for chain in step.chains)
            if isinstance(step, Parallel)
            else (step,)
        )
        for action in stage.actions
    ]
    kinds = (actions.FindOrphanedFiles, actions.FindUnfinishedWork, actions.CountRecords)
    readings = [number for number, one in enumerate(steps) if isinstance(one, kinds)]
    [reader] = {steps[number].place for number in readings}
    managers = [n for n, one in enumerate(steps) if isinstance(one, actions.StopTransactionManager)]
    [down] = [
        number
        for number, one in enumerate(steps)
        if isinstance(one, actions.StopRemaining) and one.place == reader
    ]
    assert len(readings) == len(kinds)
    assert max(managers) < min(readings) < max(readings) < down
    for step in plan.sequence:
        if isinstance(step, Parallel):  # the last chain waits for the chain of every Server
            assert len(step.chains[-1].after) == size[0]


def test_gates_come_from_the_request_and_from_the_estate() -> None:
    """Whichever asks for more."""
    estate = estates.estate(approve_before=["stop_monitors"])
    plan = plan_switchover(estate, estates.request(approve_before=["redirect_traffic"]))
    gated = [stage.name for stage in plan.stages if stage.gated]
    assert gated == [StageName.STOP_MONITORS, StageName.REDIRECT_TRAFFIC]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "cluster9"}, "has no cluster cluster9; it has cluster1 and cluster2"),
        ({"approve_before": ["check_prerequisites"]}, "only reads; gate a later stage"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, object], words: str) -> None:
    """A request that does not fit the estate is refused in one sentence."""
    with pytest.raises(BadInput, match=words):
        plan_switchover(estates.estate(), estates.request(**changes))


def test_a_plan_for_forty_nodes_a_side_stays_small() -> None:
    """The plan goes into history, whose payloads are limited to 2 MB."""
    assert len(plan_for(20, 20).model_dump_json()) < 400_000
