"""Actions that find their desired state already, by what was read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import get_args

import pytest

from tests.support import estates
from tests.support.clean_readings import leads_to
from workflows.model import actions
from workflows.model import observations as rd
from workflows.model import results as r
from workflows.model.estate import Protocol
from workflows.model.request import RejoinRequest
from workflows.model.results import Service, State
from workflows.planning.already_satisfied import holds
from workflows.planning.observations import Observations
from workflows.planning.plan import Plan
from workflows.planning.rejoin import plan_rejoin
from workflows.planning.switchover import plan_switchover

PLAN = plan_switchover(estates.estate(), estates.request())
SERVER, TARGET = "cluster1-server1", "cluster2-server1"
GRACE = timedelta(seconds=60)
EVERYTHING = dict.fromkeys(Service, State.RUNNING)

OF_SERVICES: list[tuple[actions.Action, bool, tuple[Service, ...]]] = [
    (actions.StopMonitor(node=SERVER), False, (Service.MONITOR,)),
    (actions.StartMonitor(node=TARGET), True, (Service.MONITOR,)),
    (actions.StopScheduling(node=SERVER), False, r.SCHEDULING),
    (actions.VerifySchedulingStopped(node=SERVER), False, r.SCHEDULING),
    (actions.StartScheduling(node=TARGET), True, r.SCHEDULING),
    (actions.StartScheduling(node=TARGET, services=("scheduler",)), True, (Service.SCHEDULER,)),
    (
        actions.StopGracefully(node=SERVER, protocol=Protocol.SSH, grace=GRACE),
        False,
        (Service.SSH,),
    ),
    (actions.StartProtocolServer(node=SERVER, protocol=Protocol.SSH), True, (Service.SSH,)),
    (actions.VerifyStopped(node=SERVER), False, (*r.PROTOCOL_SERVERS, Service.MONITOR)),
    (
        actions.StopTransactionManager(node=SERVER, grace=GRACE),
        False,
        (Service.TRANSACTION_MANAGER,),
    ),
    (actions.StartTransactionManager(node=SERVER), True, (Service.TRANSACTION_MANAGER,)),
    (actions.StopRemaining(node=SERVER), False, tuple(Service)),
]


def held(plan: Plan, action: actions.Action, readings: Sequence[rd.Reading]) -> bool | None:
    """Return whether an action's desired state holds by these readings."""
    return holds(Observations(plan, tuple(readings)), action)


def of_node(action: actions.Action, states: dict[Service, State], **given: int) -> bool | None:
    """Return whether the desired state holds where the place's reading is this one."""
    reading = rd.NodeReading(place=action.place, services=states, sessions=given.get("sessions"))
    return held(PLAN, action, [reading])


@pytest.mark.parametrize(("action", "up", "services"), OF_SERVICES, ids=str)
def test_every_service_of_a_desired_state_counts(
    action: actions.Action,
    up: bool,  # noqa: FBT001 - a case
    services: tuple[Service, ...],
) -> None:
    """It holds where each service has the desired state, and not where one has another."""
    desired, other = (State.RUNNING, State.STOPPED) if up else (State.STOPPED, State.RUNNING)
    states = EVERYTHING | dict.fromkeys(services, desired)
    assert of_node(action, states) is True
    for service in services:
        assert of_node(action, states | {service: other}) is False
        assert of_node(action, states | {service: State.UNKNOWN}) is None
        assert of_node(action, states | {service: State.STOPPING}) is None
        disabled = of_node(action, states | {service: State.DISABLED})
        assert disabled is not up


@pytest.mark.parametrize("action", [case[0] for case in OF_SERVICES], ids=str)
def test_what_was_not_read_is_unknown(action: actions.Action) -> None:
    """Neither another node's reading nor an empty one answers."""
    assert held(PLAN, action, []) is None
    assert of_node(action, {}) is None
    assert (
        of_node(actions.StopRemaining(node=SERVER), dict.fromkeys(r.SCHEDULING, State.STOPPED))
        is None
    )
    elsewhere = rd.NodeReading(place="cluster2-edge1", services=EVERYTHING)
    assert held(PLAN, action, [elsewhere]) is None


def test_scheduling_that_the_plan_pauses_first_says_nothing() -> None:
    """A rejoin stops it on the active cluster, and starts it again."""
    plan = plan_rejoin(PLAN.estate, RejoinRequest(estate="lab", cluster="cluster1"))
    reading = rd.NodeReading(place=TARGET, services=dict.fromkeys(r.SCHEDULING, State.RUNNING))
    assert held(plan, actions.StartScheduling(node=TARGET), [reading]) is None
    assert held(plan, actions.StopScheduling(node=TARGET), [reading]) is False


def test_a_monitor_that_the_plan_stops_first_says_nothing() -> None:
    """It runs now, and will be stopped by the time it is to be started."""
    plan = plan_switchover(estates.estate(stop_target_monitors=True), estates.request())
    [action, *_] = plan.stages[-1].actions
    reading = rd.NodeReading(place=action.place, services=EVERYTHING)
    assert held(plan, action, [reading]) is None
    assert held(PLAN, action, [reading]) is True


@pytest.mark.parametrize(("sessions", "remaining"), [(0, True), (3, False), (None, None)])
def test_a_node_without_sessions(sessions: int | None, remaining: bool | None) -> None:  # noqa: FBT001 - a case
    """It is the desired state only once traffic is on the other cluster."""
    reading = rd.NodeReading(place=SERVER, services=EVERYTHING, sessions=sessions)
    for cluster, expected in (("cluster1", None), ("cluster2", remaining)):
        there = (leads_to(cluster, "edge1"), leads_to(cluster, "edge2"))
        traffic = rd.TrafficReading(place="loadbalancer1", destinations=there)
        assert held(PLAN, actions.AwaitSessions(node=SERVER), [reading, traffic]) is expected
    assert held(PLAN, actions.AwaitSessions(node=SERVER), [reading]) is None


@pytest.mark.parametrize("enabled", [True, False, None])
def test_replication(enabled: bool | None) -> None:  # noqa: FBT001 - a case
    """A link is suspended, or it is not, or that is unknown."""
    link = "cluster1_to_cluster2"
    reading = rd.ReplicationReading(place=link, enabled=enabled)
    suspended = held(PLAN, actions.SuspendReplication(link=link), [reading])
    resumed = held(PLAN, actions.ResumeReplication(link=link), [reading])
    assert resumed is enabled
    assert suspended is (None if enabled is None else not enabled)


@pytest.mark.parametrize("kept", [True, False, None])
def test_slots(kept: bool | None) -> None:  # noqa: FBT001 - a case
    """A link that rests has a slot only while it is needed; any other link has its own."""
    link = "cluster2_to_cluster1"
    kinds = (actions.BeginSlot, actions.DropSlot, actions.CopyTables, actions.RenewSlot)

    def read(**facts: bool | None) -> list[bool | None]:
        reading = rd.ReplicationReading(place=link, changes_kept=kept, **facts)
        return [held(PLAN, kind(link=link), [reading]) for kind in kinds]

    lacks = None if kept is None else not kept
    assert read(enabled=False, sends_back=True) == [kept, lacks, kept, kept]
    assert read(enabled=False, sends_back=False) == [True, True, kept, kept]
    assert read(enabled=True, sends_back=True) == [True, True, kept, kept]
    assert read(enabled=None, sends_back=True) == read(enabled=False) == [None] * 4


def test_traffic_is_where_every_name_and_every_login_is() -> None:
    """One name or one login on the other cluster is enough for "no"."""
    there = leads_to("cluster2", "edge1")
    redirect = actions.Redirect(host="loadbalancer1", to="cluster2", back_to="cluster1")
    proof = actions.VerifyTraffic(protocol=Protocol.SSH, to="cluster2")

    def read(*leads: rd.Destination, **lands: str) -> tuple[bool | None, bool | None]:
        landed = {Protocol(protocol): node for protocol, node in lands.items()}
        reading = rd.TrafficReading(place="loadbalancer1", destinations=leads, lands_on=landed)
        return held(PLAN, redirect, [reading]), held(PLAN, proof, [reading])

    assert read(there, ssh="cluster2-edge1") == (True, True)
    assert read(there, leads_to(None, "edge2"), ssh="cluster1-edge1") == (False, False)
    assert read(there, rd.Destination(item="edge2"), http="cluster2-edge1") == (False, None)
    assert read() == (None, None)


def test_no_action_is_answered_without_a_reading() -> None:
    """This holds for every action of the plan; an action that only reads has no desired state."""
    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(actions.Action)[0])}
    stateful = {case[0].kind for case in OF_SERVICES} | {
        *("suspend_replication", "resume_replication", "redirect", "verify_traffic"),
        "await_sessions",
    }
    for stage in PLAN.stages:
        for action in stage.actions:
            assert held(PLAN, action, []) is None
    assert stateful < kinds
