"""Every prerequisite is seen to refuse, on the right place, and the clean estate has no finding."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import estates
from workflows.checks import Severity
from workflows.estate import Kind, Protocol
from workflows.plan import Plan, plan_switchover
from workflows.prerequisites.judgement import PREREQUISITES, blocking, objections
from workflows.readings import NodeReading, Reading, ReplicationReading, TrafficReading
from workflows.reports import SCHEDULING, Finding, Service, State
from workflows.stages import Slug
from workflows.tables import LEFT_OUT, left_out

PLAN: Plan = plan_switchover(estates.estate(), estates.request())


def clean() -> dict[str, Reading]:
    """Return what is read of an estate on which nothing is wrong, by place."""
    estate = PLAN.estate
    readings: list[Reading] = []
    for node in estate.nodes:
        services = dict.fromkeys(
            (Service.MONITOR, Service.ADMIN, *map(Service, node.protocols)), State.RUNNING
        )
        services |= {Service.AS2: State.STOPPED, Service.FTP: State.DISABLED}
        if node.kind is Kind.SERVER:
            active = estate.cluster_of(node.name).name == PLAN.source
            services[Service.TRANSACTION_MANAGER] = State.RUNNING
            services |= dict.fromkeys(SCHEDULING, State.RUNNING if active else State.STOPPED)
        readings.append(
            NodeReading(
                place=node.name,
                services=services,
                taeh="a" * 64,
                version="5.5",
                sessions=0,
                graceful_timeouts={"Http.GracefulShutdownTimeout": "600"},
                clock_ahead=timedelta(seconds=1),
            )
        )
    readings += [
        ReplicationReading(place=link.name, enabled=True, running=True, tables=("public.account",))
        for link in estate.replication.links
    ]
    names = estate.load_balancer.names
    readings.append(
        TrafficReading(
            place="loadbalancer1",
            resolves_to={name: addresses["cluster1"] for name, addresses in names.items()},
            lands_on={Protocol.SSH: "cluster1-edge1", Protocol.HTTP: "cluster1-edge2"},
        )
    )
    return {reading.place: reading for reading in readings}


def found(place: str, **changes: Any) -> tuple[Finding, ...]:  # noqa: ANN401 - any field
    """Judge the clean estate with one reading changed; services are changed one by one."""
    readings = clean()
    reading = readings[place]
    if "services" in changes and isinstance(reading, NodeReading):
        changes["services"] = {**reading.services, **changes["services"]}
    readings[place] = reading.model_copy(update=changes)
    return objections(PLAN, tuple(readings.values()))


def test_a_clean_estate_has_no_finding() -> None:
    """No false alarm."""
    assert objections(PLAN, tuple(clean().values())) == ()


SERVER, EDGE = "cluster1-server1", "cluster1-edge1"
PASSIVE = "cluster2-server1"


@pytest.mark.parametrize(
    ("place", "changes", "name", "where"),
    [
        (EDGE, {"services": {Service.SSH: State.STOPPED}}, "protocol_server_not_running", EDGE),
        (
            "cluster2-edge1",
            {"services": {Service.HTTP: State.STOPPED}},
            "protocol_server_not_running",
            "cluster2-edge1",
        ),
        (EDGE, {"services": {Service.AS2: State.RUNNING}}, "protocol_server_not_in_estate", EDGE),
        (
            SERVER,
            {"services": {Service.TRANSACTION_MANAGER: State.STOPPED}},
            "transaction_manager_not_running",
            SERVER,
        ),
        (PASSIVE, {"services": {Service.SCHEDULER: State.RUNNING}}, "target_not_idle", PASSIVE),
        (
            PASSIVE,
            {"services": {Service.FOLDER_MONITOR: State.DISABLED}},
            "scheduling_disabled",
            PASSIVE,
        ),
        ("cluster2-edge2", {"sessions": 2}, "target_has_sessions", "cluster2-edge2"),
        (
            SERVER,
            {
                "services": {Service.TRANSACTION_MANAGER: State.UNKNOWN},
                "words": {Service.TRANSACTION_MANAGER: "tm is pondering"},
            },
            "service_unreadable",
            SERVER,
        ),
        (EDGE, {"taeh": "b" * 64}, "taeh_differs", EDGE),
        (PASSIVE, {"version": "5.4"}, "version_differs", PASSIVE),
        (
            "cluster1_to_cluster2",
            {"enabled": False, "running": False},
            "replication_not_running",
            "cluster1_to_cluster2",
        ),
        (
            "cluster1_to_cluster2",
            {"running": False},
            "replication_not_running",
            "cluster1_to_cluster2",
        ),
        (
            "cluster2_to_cluster1",
            {"tables": ("public.account", "public.event")},
            "excluded_tables_replicated",
            "cluster2_to_cluster1",
        ),
        (
            "loadbalancer1",
            {"resolves_to": {"edge1": "192.0.2.21", "edge2": "192.0.2.12"}},
            "traffic_not_on_source",
            "loadbalancer1",
        ),
        (
            "loadbalancer1",
            {"lands_on": {Protocol.SSH: "cluster2-edge1"}},
            "traffic_not_on_source",
            "loadbalancer1",
        ),
        (
            EDGE,
            {"graceful_timeouts": {"Http.GracefulShutdownTimeout": "30"}},
            "graceful_timeout_short",
            EDGE,
        ),
        (EDGE, {"services": {Service.MONITOR: State.STOPPED}}, "monitor_not_running", EDGE),
        (EDGE, {"clock_ahead": timedelta(seconds=-90)}, "clock_out_of_step", EDGE),
    ],
)
def test_a_prerequisite_that_does_not_hold_is_found(
    place: str, changes: dict[str, Any], name: str, where: str
) -> None:
    """Each with its place, what was seen, what was expected and what to do."""
    [finding] = found(place, **changes)
    assert (finding.name, finding.place) == (name, where)
    assert finding.seen
    assert finding.expected
    assert finding.advice


def test_a_source_that_schedules_nowhere_is_not_the_active_one() -> None:
    """Source and target the wrong way round is noticed."""
    readings = clean()
    for server in PLAN.estate.cluster("cluster1").servers:
        reading = readings[server.name]
        assert isinstance(reading, NodeReading)
        services = {**reading.services, Service.SCHEDULER: State.STOPPED}
        readings[server.name] = reading.model_copy(update={"services": services})
    names = {finding.name for finding in objections(PLAN, tuple(readings.values()))}
    assert names == {"source_not_active"}


def test_trouble_of_a_reading_is_a_finding() -> None:
    """What could not be read stands beside what was read."""
    trouble = Finding(name="node_unreachable_ssh", place=EDGE, seen="a", expected="b", advice="c")
    [finding] = found(EDGE, services={}, trouble=(trouble,))
    assert finding == trouble


@pytest.mark.parametrize("prerequisite", PREREQUISITES, ids=lambda p: p.objections.__name__)
def test_a_prerequisite_ends_with_the_stage_that_ends_it(prerequisite: Any) -> None:  # noqa: ANN401
    """Once its stage has begun, what that stage changes is no finding any more."""
    if prerequisite.until is Slug.SUSPEND_REPLICATION:
        readings = clean()
        for link in PLAN.estate.replication.links:
            readings[link.name] = ReplicationReading(place=link.name, enabled=False, running=False)
        seen = tuple(readings.values())
        assert objections(PLAN, seen)
        assert objections(PLAN, seen, frozenset({prerequisite.until})) == ()
    assert prerequisite.until in (None, *Slug)


def test_only_what_blocks_and_is_not_accepted_stops_a_run() -> None:
    """A warning never does; an acceptance counts only for what may be accepted."""
    warning = found(EDGE, services={Service.MONITOR: State.STOPPED})
    assert [f.severity for f in warning] == [Severity.WARNS]
    assert blocking(warning) == ()
    sessions = found("cluster2-edge2", sessions=2)
    assert blocking(sessions) == sessions
    assert blocking(sessions, {"target_has_sessions": "known"}) == ()
    digests = found(EDGE, taeh="b" * 64)
    assert blocking(digests, {"taeh_differs": "known"}) == digests


@pytest.mark.parametrize(
    ("table", "profile", "stays"),
    [
        ("event", "5.4", True),
        ("public.EVENT", "5.5", True),
        ("auditlog", "5.5", True),
        ("auditlog", "5.4", False),
        ("logging_event_temp_20260101", "5.5", True),
        ("transferdata_p20260101", "5.5", True),
        ("account", "5.5", False),
        ("eventual", "5.5", False),
        ("dmz_zone_note", "5.5", False),
    ],
)
def test_excluded_tables_are_known_with_their_partitions(
    table: str, profile: str, *, stays: bool
) -> None:
    """Log tables are daily partitions, so a prefix with a date counts; another word does not."""
    assert left_out(table, profile) is stays


def test_the_profiles_are_the_vendors() -> None:
    """Three tables in 5.4, twenty-five in 5.5, which includes them."""
    assert len(LEFT_OUT["5.4"]) == 3
    assert len(LEFT_OUT["5.5"]) == 25
    assert LEFT_OUT["5.4"] < LEFT_OUT["5.5"]
