"""What a rejoin checks: one cluster serves alone, the other one is down and can be started."""

from typing import Any

import pytest

from tests.support import estates
from tests.support.clean_readings import NOW, clean, leads_to
from workflows.model import observations as rd
from workflows.model.findings import Finding
from workflows.model.request import RejoinRequest
from workflows.model.results import SCHEDULING, Service, State
from workflows.model.stages import StageName
from workflows.planning.interrupted_rejoin import find_interrupted_rejoin
from workflows.planning.plan import Plan
from workflows.planning.rejoin import plan_rejoin
from workflows.preflight.access import node_unreachable_admin, node_unreachable_ssh
from workflows.preflight.evaluate import blocking, evaluate, evaluate_first
from workflows.preflight.report import results_of

PLAN: Plan = plan_rejoin(estates.estate(), RejoinRequest(estate="lab", cluster="cluster2"))
ACTIVE, RETURNING, EDGE = "cluster1-server1", "cluster2-server1", "cluster2-edge1"
LINK = "cluster1_to_cluster2"


def drained() -> dict[str, rd.Reading]:
    """Return the readings of an estate whose cluster2 is down, without a finding."""
    readings = clean()
    for key, reading in readings.items():
        if isinstance(reading, rd.NodeReading) and reading.place.startswith("cluster2"):
            readings[key] = dark(reading)
        if isinstance(reading, rd.ReplicationReading):
            readings[key] = changed(reading, enabled=False, running=False)
    for key in ("shared by cluster2", "configuration", "login"):
        del readings[key]
    return readings


def dark(reading: rd.NodeReading) -> rd.NodeReading:
    """Return what is read of a node on which nothing runs."""
    unread = node_unreachable_admin.unread(reading.place, "connection refused")
    stopped = {one: State.STOPPED for one in reading.services if one not in SCHEDULING}
    return rd.NodeReading(
        place=reading.place,
        services=stopped,
        machine=reading.machine,
        silent_ports=("ssh 9022",),
        findings=(unread,),
    )


def changed(reading: Any, **changes: Any) -> Any:  # noqa: ANN401 - a reading of any kind
    """Return the reading with these changes."""
    return reading.model_copy(update=changes)


def findings(subject: str = "", **changes: Any) -> tuple[Finding, ...]:  # noqa: ANN401
    """Return what stage 0 of a rejoin finds if one reading is changed."""
    readings = drained()
    if subject:
        readings[subject] = changed(readings[subject], **changes)
    _, found = evaluate_first(PLAN, tuple(readings.values()), NOW, ())
    return found


def test_a_drained_cluster_has_no_finding() -> None:
    """That its nodes do not answer over their admin APIs is what a rejoin begins with."""
    assert findings() == ()


def up() -> dict[str, Any]:
    """Return the services of a returning Server whose Transaction Manager runs."""
    services = {Service.ADMIN: State.RUNNING, Service.TRANSACTION_MANAGER: State.RUNNING}
    return {"services": services | dict.fromkeys(SCHEDULING, State.STOPPED), "findings": ()}


def paused(readings: dict[str, rd.Reading]) -> dict[str, rd.Reading]:
    """Return the same readings, without scheduling on the active cluster."""
    return readings | {
        name: changed(reading, services={**reading.services, **STOPPED})
        for name, reading in readings.items()
        if name.startswith("cluster1-server") and isinstance(reading, rd.NodeReading)
    }


SCHEDULES = up()["services"] | {Service.SCHEDULER: State.RUNNING}
STOPPED = dict.fromkeys(SCHEDULING, State.STOPPED)


@pytest.mark.parametrize(
    ("name", "subject", "changes", "place"),
    [
        ("traffic_not_on_active", "loadbalancer1", {"destinations": (leads_to(None, "e"),)}, ""),
        ("returning_schedules", RETURNING, {"services": SCHEDULES, "findings": ()}, ""),
        ("replication_not_suspended", LINK, {"enabled": True}, ""),
        ("changes_lost", LINK, {"changes_kept": False}, ""),
        ("half_returned", RETURNING, up(), "cluster2"),
        ("protocol_server_not_running", ACTIVE, {"services": {Service.SSH: State.STOPPED}}, ""),
        ("port_not_listening", ACTIVE, {"silent_ports": ("ssh 9022",)}, ""),
        ("script_missing", RETURNING, {"machine": None}, ""),
        ("target_has_sessions", EDGE, {**up(), "sessions": 2}, ""),
    ],
)
def test_a_check_refuses(name: str, subject: str, changes: dict[str, Any], place: str) -> None:
    """At its place, whatever else is found there."""
    if name == "script_missing":
        machine = drained()[RETURNING].machine  # type: ignore[union-attr] # a node's reading
        changes = {"machine": changed(machine, unusable=("start_admin",))}
    found = {finding.name: finding.place for finding in findings(subject, **changes)}
    assert found.get(name) == (place or subject)


def test_scheduling_is_unread_only_where_it_could_run() -> None:
    """Nobody knows what the admin API says of it while its Transaction Manager is down."""
    unknown = dict.fromkeys(SCHEDULING, State.UNKNOWN)
    for manager, found in ((State.STOPPED, False), (State.RUNNING, True)):
        services = {**up()["services"], **unknown, Service.TRANSACTION_MANAGER: manager}
        names = {one.name for one in findings(RETURNING, services=services, findings=())}
        assert ("service_unreadable" in names) is found


def test_what_a_way_back_has_to_deliver_is_nothing_lost() -> None:
    """The returning side owes nothing: a link that nothing keeps for it can be made anew."""
    found = findings("cluster2_to_cluster1", changes_kept=False)
    assert found == findings(LINK, changes_kept=None) == ()


def test_a_node_that_cannot_be_reached_blocks() -> None:
    """Whether it is down is not known: only the machine itself can say so."""
    unread = node_unreachable_ssh.unread(EDGE, "no answer")
    found = findings(EDGE, services={}, machine=None, findings=(unread,))
    assert [finding.name for finding in blocking(found, (), "rejoin")] == ["node_unreachable_ssh"]


def test_a_cluster_that_serves_is_no_interrupted_rejoin() -> None:
    """Nothing is known of a rejoin, and nothing of it is a rollback's."""
    readings = tuple(clean().values())
    swapped = plan_rejoin(estates.estate(), RejoinRequest(estate="lab", cluster="cluster1"))
    assert find_interrupted_rejoin(swapped, readings).begun == frozenset()
    _, found = evaluate_first(swapped, readings, NOW, ())
    names = {finding.name for finding in found}
    assert "traffic_not_on_active" in names
    assert "already_returned" not in names


def test_a_passive_cluster_has_returned_already() -> None:
    """Twice, or of one that never left."""
    _, found = evaluate_first(PLAN, tuple(clean().values()), NOW, ())
    assert "already_returned" in {finding.name for finding in found}


def test_what_an_interrupted_rejoin_began_is_found() -> None:
    """A rollback concerns it, too."""
    readings = drained()
    readings[RETURNING] = changed(readings[RETURNING], **up())
    begun = find_interrupted_rejoin(PLAN, tuple(readings.values())).begun
    assert begun == {StageName.START_ADMIN, StageName.START_TRANSACTION_MANAGERS}
    begun = find_interrupted_rejoin(PLAN, tuple(paused(readings).values())).begun
    assert StageName.PAUSE_SCHEDULING in begun


def test_a_prerequisite_ends_with_the_stage_that_ends_it() -> None:
    """Resumed replication and paused scheduling are no findings of a recheck."""
    readings = drained()
    readings[LINK] = changed(readings[LINK], enabled=True)
    all_ = tuple(paused(readings).values())
    names = {one.name for one in evaluate(PLAN, all_, NOW)}
    assert {"replication_not_suspended", "active_not_scheduling"} <= names
    begun = frozenset({StageName.PAUSE_SCHEDULING, StageName.RESUME_REPLICATION})
    later = {one.name for one in evaluate(PLAN, all_, NOW, begun)}
    assert not {"replication_not_suspended", "active_not_scheduling"} & later


def test_scheduling_that_came_along_is_a_finding_only_beside_the_active_clusters() -> None:
    """The run that started the Transaction Manager stops it next."""
    readings = drained()
    readings[RETURNING] = changed(readings[RETURNING], services=SCHEDULES, findings=())
    begun = frozenset({StageName.START_TRANSACTION_MANAGERS})
    both = evaluate(PLAN, tuple(readings.values()), NOW, begun)
    assert "returning_schedules" in {one.name for one in both}
    alone = evaluate(PLAN, tuple(paused(readings).values()), NOW, begun)
    assert "returning_schedules" not in {one.name for one in alone}


def test_only_a_rejoin_accepts_other_versions() -> None:
    """No client is sent to the cluster before the next switchover, which checks again."""
    readings = clean()
    readings[RETURNING] = changed(readings[RETURNING], version="5.4")
    found = tuple(
        one for one in evaluate(PLAN, tuple(readings.values()), NOW) if "version" in one.name
    )
    assert len(found) == 1
    assert blocking(found, {"version_differs"}, "switchover") == found
    assert blocking(found, {"version_differs"}, "rejoin") == ()


def test_a_report_lists_the_procedures_own_checks() -> None:
    """And none of the other one's."""
    names = {result.name for result in results_of(PLAN, tuple(drained().values()), (), ())}
    assert "traffic_not_on_active" in names
    assert "traffic_not_on_source" not in names
