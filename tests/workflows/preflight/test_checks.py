"""Every check refuses at the right place, and the clean estate has no finding."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support import estates
from tests.support.clean_readings import NOW, PLAN, changed, clean, findings_in, leads_to
from workflows.model.estate import Estate, Kind, Protocol
from workflows.model.excluded_tables import SKIPPED, left_out
from workflows.model.findings import Finding, Severity
from workflows.model.observations import Difference, Member, NodeReading
from workflows.model.results import Service, State
from workflows.model.stages import StageName
from workflows.planning.interrupted_run import find_interrupted_run
from workflows.planning.switchover import plan_switchover
from workflows.preflight import parity
from workflows.preflight.catalogue import BY_NAME, CHECKS
from workflows.preflight.context import EvaluatedCheck
from workflows.preflight.evaluate import blocking


def test_a_clean_estate_has_no_finding() -> None:
    """There is no false alarm."""
    assert findings_in(clean()) == ()


SERVER, EDGE = "cluster1-server1", "cluster1-edge1"
PASSIVE = "cluster2-server1"
LINK = "cluster1_to_cluster2"


MISSING_FILE = Difference(place="cluster1", item="one", seen="a", expected="b")
NEW_ACCOUNT = parity.accounts_differ.finding("cluster2", seen="a", expected="b", advice="c")

Case = tuple[str, dict[str, Any], str, str]


def case(name: str, subject: str, *, where: str = "", **changes: Any) -> Case:  # noqa: ANN401
    """A reading with these changes, and the check that refuses it at its place."""
    return (subject, changes, name, where or subject)


CASES: tuple[Case, ...] = (
    case("protocol_server_not_running", EDGE, services={Service.SSH: State.STOPPED}),
    case("protocol_server_not_running", "cluster2-edge1", services={Service.HTTP: State.STOPPED}),
    case("protocol_server_not_in_estate", EDGE, services={Service.AS2: State.RUNNING}),
    case(
        "transaction_manager_not_running",
        SERVER,
        services={Service.TRANSACTION_MANAGER: State.STOPPED},
    ),
    case("target_not_idle", PASSIVE, services={Service.SCHEDULER: State.RUNNING}),
    case("scheduling_disabled", PASSIVE, services={Service.FOLDER_MONITOR: State.DISABLED}),
    case("target_has_sessions", "cluster2-edge2", sessions=2),
    case(
        "service_unreadable",
        SERVER,
        services={Service.TRANSACTION_MANAGER: State.UNKNOWN},
        texts={Service.TRANSACTION_MANAGER: "tm is pondering"},
    ),
    case("monitor_not_running", EDGE, services={Service.MONITOR: State.STOPPED}),
    case("graceful_timeout_short", EDGE, graceful_timeouts={"Http.GracefulShutdownTimeout": "30"}),
    case(
        "transaction_manager_timeout_short",
        SERVER,
        graceful_timeouts={"TransactionManager.GracefulShutdownTimeout": "29"},
    ),
    case("installation_missing", EDGE, machine={"owner": None}),
    case("script_missing", EDGE, machine={"unusable": ("stop_sshd",)}),
    case("ssh_user_not_owner", SERVER, machine={"owner": "root"}),
    case("ledger_not_writable", SERVER, machine={"ledger_writable": False}),
    case("ledger_not_writable", SERVER, machine={"ledger_exposed": "/ledger is a link"}),
    case("ledger_disk_low", SERVER, machine={"ledger_free": 1024**2}),
    case("kills_user_processes", EDGE, machine={"kills_processes": True}),
    case("kills_user_processes", EDGE, machine={"kills_processes": None}),
    case("graceful_stop_pending", EDGE, machine={"pending": ("sshd",)}),
    case("conf_differs", PASSIVE, machine={"conf": {"a.xml": "2"}}),
    case("conf_differs", PASSIVE, machine={"conf": {"b.xml": "1"}}),
    case("clock_out_of_step", EDGE, clock_ahead=timedelta(seconds=-90)),
    case("node_slow", EDGE, slowest_answer=timedelta(seconds=3)),
    case("port_not_listening", "cluster2-edge1", silent_ports=("ssh 9022",)),
    case("port_not_listening", EDGE, silent_ports=("ssh 9022",)),
    case("taeh_differs", EDGE, taeh="b" * 64),
    case("version_differs", PASSIVE, version="5.4"),
    case("operating_system_differs", PASSIVE, system="AIX"),
    case("database_type_differs", PASSIVE, database="Oracle"),
    case("accounts_differ", "configuration", where="cluster2", findings=(NEW_ACCOUNT,)),
    case(
        "cluster_nodes_differ",
        "shared by cluster1",
        where=SERVER,
        servers=(Member(name="other", address="192.0.2.99"),),
    ),
    case("events_stuck", "shared by cluster1", where=SERVER, oldest_event=timedelta(hours=2)),
    case("orphaned_files", "shared by cluster2", where=PASSIVE, orphans=("/a.m_inproc",)),
    case("maintenance_mode", "shared by cluster2", where=PASSIVE, maintenance=("enabled",)),
    case("replication_not_running", LINK, enabled=False, running=False),
    case("replication_not_running", LINK, running=False),
    case("replication_one_way", LINK, exists=False, enabled=None),
    case("replication_loops", LINK, sends_back=True),
    case("excluded_tables_replicated", LINK, tables=("public.account", "public.event")),
    case("storage_differs", "storage", where="cluster1", differences=(MISSING_FILE,)),
    case("storage_delay_exceeded", "storage", where="cluster1", delays={"cluster1": None}),
    case(
        "storage_delay_exceeded",
        "storage",
        where="cluster2",
        delays={"cluster2": timedelta(minutes=5)},
    ),
    case("target_edge_login_fails", "login", where="cluster2-edge1", failure="listing failed"),
    case(
        "traffic_not_on_source",
        "loadbalancer1",
        destinations=(leads_to("cluster1", "edge1"), leads_to("cluster2", "edge2")),
    ),
    case("traffic_not_on_source", "loadbalancer1", lands_on={Protocol.SSH: "cluster2-edge1"}),
    case(
        "traffic_not_on_source",
        "loadbalancer1",
        destinations=(leads_to("cluster1", "edge1"), leads_to(None, "edge2")),
    ),
    case("switchover_running", "temporal", where="lab", open_run="abc"),
    case("cooling_down", "temporal", where="lab", completed=NOW - timedelta(minutes=5)),
    case(
        "search_attributes_missing",
        "temporal",
        where="lab",
        missing_attributes=("SwitchoverState",),
    ),
    case("workers_differ", "temporal", where="lab", builds={"1@a": "x", "2@b": "y"}),
    case(
        "own_worker_differs",
        "temporal",
        where="near",
        builds={"1@a": "x"},
        own_queues={"near": {"1@b": "x", "2@b": "y"}, "dmz": {"1@c": "x"}},
    ),
)


@pytest.mark.parametrize(
    ("subject", "changes", "name", "where"), CASES, ids=[f"{c[2]}-{c[3]}" for c in CASES]
)
def test_a_prerequisite_that_does_not_hold_is_found(
    subject: str, changes: dict[str, Any], name: str, where: str
) -> None:
    """It has its place, what was seen, what was expected and what to do."""
    [finding] = findings_in(changed(subject, **changes))
    assert (finding.name, finding.place) == (name, where)
    assert finding.severity is BY_NAME[name].severity
    assert finding.seen
    assert finding.expected
    assert finding.advice


def test_every_check_refuses() -> None:
    """The cases are complete, apart from three tests below and from checks that readings decide."""
    evaluated = {
        check.name
        for check in CHECKS
        if isinstance(check, EvaluatedCheck) and check.only != "rejoin"
    }
    below = {"source_not_active", "installation_path_differs", "systems_mixed"}
    assert evaluated <= {case[2] for case in CASES} | below


def test_a_worker_of_a_cluster_is_compared_with_the_main_one() -> None:
    """A finding says which differs, and from what; there is none where the main one is unknown."""
    own = {"near": {"1@b": "x", "2@b": "y"}}
    [finding] = findings_in(changed("temporal", builds={"1@a": "x"}, own_queues=own))
    assert (finding.seen, finding.expected) == (
        "2@b runs y",
        "the build and the seal key of the main worker: x",
    )
    assert findings_in(changed("temporal", builds={}, own_queues=own)) == ()


BACK = "cluster2_to_cluster1"


def test_one_direction_at_a_time_is_an_estate() -> None:
    """Where links send back what arrived, only the one to the target may run, and has to."""
    readings = clean()
    off = {"sends_back": True, "enabled": False, "running": False}
    for link, changes in ((LINK, {"sends_back": True}), (BACK, off)):
        readings[link] = readings[link].model_copy(update=changes)
    assert findings_in(readings) == ()
    back = plan_switchover(estates.estate(), estates.request(source="cluster2", target="cluster1"))
    wrong = [f for f in findings_in(readings, plan=back) if f.name.startswith("replication_")]
    assert [(finding.name, finding.place) for finding in wrong] == [
        ("replication_not_running", BACK)
    ]


def test_two_directions_that_send_back_are_found_on_each_link() -> None:
    """They would send every change in a circle; one that is unread says nothing of the other."""
    readings = clean()
    for link in (LINK, BACK):
        readings[link] = readings[link].model_copy(update={"sends_back": True})
    found = findings_in(readings)
    assert [(f.name, f.place) for f in found] == [
        ("replication_loops", LINK),
        ("replication_loops", BACK),
    ]


def test_a_link_that_rests_is_no_interrupted_switchover() -> None:
    """With every Monitor of the source down, it would look like one."""
    readings = clean()
    off = {"sends_back": True, "enabled": False, "running": False}
    readings[BACK] = readings[BACK].model_copy(update=off)
    readings[LINK] = readings[LINK].model_copy(update={"sends_back": True})
    for node in PLAN.estate.cluster("cluster1").nodes:
        reading = readings[node.name]
        assert isinstance(reading, NodeReading)
        services = {**reading.services, Service.MONITOR: State.STOPPED}
        readings[node.name] = reading.model_copy(update={"services": services})
    begun = find_interrupted_run(PLAN, tuple(readings.values())).begun
    assert begun == frozenset()
    readings[LINK] = readings[LINK].model_copy(update={"enabled": False})
    begun = find_interrupted_run(PLAN, tuple(readings.values())).begun
    assert begun == {StageName.STOP_MONITORS, StageName.SUSPEND_REPLICATION}


@pytest.mark.parametrize(("link", "found"), [(LINK, False), (BACK, True)])
def test_an_estate_may_have_one_link_that_leads_to_the_target(link: str, *, found: bool) -> None:
    """Without one, the target would not know what was written on the source."""
    written = estates.written()
    links = written["replication"]["links"]
    written["replication"]["links"] = [one for one in links if one["name"] == link]
    plan = plan_switchover(Estate.model_validate(written), estates.request())
    readings = {name: reading for name, reading in clean().items() if name not in {LINK, BACK}}
    readings[link] = clean()[link]
    names = [(finding.name, finding.place) for finding in findings_in(readings, plan=plan)]
    assert names == ([("replication_one_way", link)] if found else [])


def test_a_source_that_schedules_nowhere_is_not_the_active_one() -> None:
    """Swapped roles are noticed."""
    readings = clean()
    for server in PLAN.estate.cluster("cluster1").servers:
        reading = readings[server.name]
        assert isinstance(reading, NodeReading)
        services = {**reading.services, Service.SCHEDULER: State.STOPPED}
        readings[server.name] = reading.model_copy(update={"services": services})
    assert {finding.name for finding in findings_in(readings)} == {"source_not_active"}


def test_an_installation_elsewhere_is_found() -> None:
    """Its path is the estate's; a part of it that is the node's own name is no difference."""
    written = estates.written()
    written["clusters"][1]["nodes"][0]["filedrivehome"] = "/opt/other"
    for node in written["clusters"][0]["nodes"]:
        node["filedrivehome"] = f"/opt/{node['name']}/st"
    for node in written["clusters"][1]["nodes"][1:]:
        node["filedrivehome"] = f"/opt/{node['name']}/st"
    plan = plan_switchover(Estate.model_validate(written), estates.request())
    [finding] = findings_in(clean(), plan=plan)
    assert (finding.name, finding.place) == ("installation_path_differs", PASSIVE)


def test_two_operating_systems_in_a_cluster_are_a_finding() -> None:
    """The estate says which node has which."""
    written = estates.written()
    node = written["clusters"][0]["nodes"][0]
    node |= {"system": "windows", "filedrivehome": "C:\\ST", "ledger": "C:\\switchover"}
    plan = plan_switchover(Estate.model_validate(written), estates.request())
    found = {finding.name: finding for finding in findings_in(clean(), plan=plan)}
    assert found.keys() == {"systems_mixed", "installation_path_differs"}
    mixed = found["systems_mixed"]
    assert (mixed.place, mixed.seen) == ("cluster1", f"{node['name']} has windows")
    assert mixed.expected == "linux, as the other nodes of cluster1"


@pytest.mark.parametrize(("kills", "seen"), [(True, "did not outlive"), (None, "not be tried")])
def test_a_node_of_windows_is_judged_in_its_own_words(*, kills: bool | None, seen: str) -> None:
    """What an administrator does there is another thing."""
    windows = {"system": "windows", "filedrivehome": "C:\\ST", "ledger": "C:\\switchover"}
    written = estates.written()
    written["defaults"] |= windows
    for cluster in written["clusters"]:
        cluster["storage"] = r"S:\ST"
    plan = plan_switchover(Estate.model_validate(written), estates.request())
    changes = {"kills_processes": kills, "ledger_writable": False}
    killed, unwritable = findings_in(changed(EDGE, machine=changes), plan=plan)[::-1]
    assert seen in killed.seen
    assert "wmic" in killed.advice
    assert r"icacls C:\switchover /inheritance:r" in unwritable.advice


def test_servers_and_edges_may_have_a_taeh_each() -> None:
    """Where the estate says so; one that differs within its kind is still found."""
    plan = plan_switchover(estates.estate(taeh="by_kind"), estates.request())
    readings = clean()
    for node in PLAN.estate.nodes:
        reading = readings[node.name]
        if node.kind is Kind.EDGE:
            readings[node.name] = reading.model_copy(update={"taeh": "e" * 64})
    assert findings_in(readings, plan=plan) == ()
    assert {finding.name for finding in findings_in(readings)} == {"taeh_differs"}
    readings[EDGE] = readings[EDGE].model_copy(update={"taeh": "f" * 64})
    assert [finding.place for finding in findings_in(readings, plan=plan)] == [EDGE]


def shared_by_source(**members: tuple[Member, ...]) -> list[str]:
    """Return what the check of the source's nodes sees, where the cluster knows these machines."""
    found = findings_in(changed("shared by cluster1", **members))
    assert {finding.name for finding in found} <= {"cluster_nodes_differ"}
    return [finding.seen for finding in found]


def test_a_clusters_machines_are_compared_by_address() -> None:
    """Titles are no host names; one of several addresses is enough, in any way of writing it."""
    first, second = PLAN.estate.cluster("cluster1").edges
    gateways = (
        Member(name="Gateway 1", address="2001:DB8::1", further=(first.address,)),
        Member(name="Gateway 2", address=second.address),
    )
    assert shared_by_source(edges=gateways) == []
    assert shared_by_source(edges=gateways[:1]) == [f"no Edge {second.name}"]
    [seen] = shared_by_source(edges=(*gateways, Member(name="Gateway 3", address="192.0.2.99")))
    assert seen == "Edge Gateway 3 (192.0.2.99), not in the estate"


def test_a_zone_may_list_servers_and_the_other_site() -> None:
    """Only a machine that the estate does not list at all would be forgotten."""
    nodes = [*PLAN.estate.cluster("cluster2").edges, *PLAN.estate.cluster("cluster1").nodes]
    every = tuple(Member(name=f"entry {n}", address=node.address) for n, node in enumerate(nodes))
    assert shared_by_source(edges=every) == []


def test_a_clusters_machines_are_known_by_their_own_addresses() -> None:
    """Where the estate reaches a node by a name, the addresses of its machine tell which it is."""
    first, second = PLAN.estate.cluster("cluster1").edges
    edges = (
        Member(name="Gateway 1", address="198.51.100.1"),
        Member(name="Gateway 2", address=second.address),
    )
    readings = changed("shared by cluster1", edges=edges)
    assert [finding.name for finding in findings_in(readings)] == ["cluster_nodes_differ"]
    known = changed(first.name, machine={"addresses": ("198.51.100.1",)})[first.name]
    assert findings_in({**readings, first.name: known}) == ()


def test_a_cluster_whose_machines_were_not_read_differs_in_nothing() -> None:
    """No zone without an Edge is taken for a difference where no zone was read."""
    assert findings_in({**changed("shared by cluster1", servers=None, edges=None)}) == ()
    assert shared_by_source(edges=()) == ["no Edge cluster1-edge1, no Edge cluster1-edge2"]


def test_a_finding_of_a_reading_counts() -> None:
    """What could not be read is reported beside what was read."""
    trouble = Finding(name="node_unreachable_ssh", place=EDGE, seen="a", expected="b", advice="c")
    [finding] = findings_in(changed(EDGE, services={}, machine={}, findings=(trouble,)))
    assert finding == trouble


@pytest.mark.parametrize(
    ("subject", "changes", "name", "where"),
    [case for case in CASES if BY_NAME[case[2]].until is not None],
    ids=[f"{c[2]}-{c[3]}" for c in CASES if BY_NAME[c[2]].until is not None],
)
def test_a_prerequisite_ends_with_the_stage_that_ends_it(
    subject: str, changes: dict[str, Any], name: str, where: str
) -> None:
    """Once its stage has begun, what that stage changes is no finding any more."""
    until = BY_NAME[name].until
    assert until is not None
    assert findings_in(changed(subject, **changes), until) == ()


def test_the_sources_protocol_servers_may_be_down_once_they_drain() -> None:
    """The target's still have to run, and to listen."""
    for node, expected in (("cluster1-edge1", 0), ("cluster2-edge1", 1)):
        stopped = changed(node, services={Service.SSH: State.STOPPED})
        for readings in (stopped, changed(node, silent_ports=("ssh 8022",))):
            assert len(findings_in(readings, StageName.DRAIN_PROTOCOL_SERVERS)) == expected


def test_only_what_blocks_and_is_not_accepted_stops_a_run() -> None:
    """A warning never does, and only acceptable findings can be accepted."""
    warning = findings_in(changed(EDGE, services={Service.MONITOR: State.STOPPED}))
    assert [f.severity for f in warning] == [Severity.WARNS]
    assert blocking(warning) == ()
    sessions = findings_in(changed("cluster2-edge2", sessions=2))
    assert blocking(sessions) == sessions
    assert blocking(sessions, {"target_has_sessions": "known"}) == ()
    digests = findings_in(changed(EDGE, taeh="b" * 64))
    assert blocking(digests, {"taeh_differs": "known"}) == digests


def test_a_finding_that_only_another_build_knows_blocks() -> None:
    """A newer worker may report it; it cannot be accepted, and no workflow task fails."""
    strange = Finding(name="sun_is_up", place=EDGE, seen="a", expected="b", advice="c")
    found = findings_in(changed(EDGE, findings=(strange,)))
    assert found == (strange,)
    assert blocking(found, {"sun_is_up": "known"}) == found


def test_a_site_may_give_a_check_another_severity() -> None:
    """With a reason, and both ways."""
    adjusted = {
        "clock_out_of_step": {"severity": "blocks", "reason": "audit"},
        "conf_differs": {"severity": "warns", "reason": "known"},
    }
    plan = plan_switchover(estates.estate(checks=adjusted), estates.request())
    clock = findings_in(changed(EDGE, clock_ahead=timedelta(seconds=9)), plan=plan)
    assert blocking(clock) == clock != ()
    conf = findings_in(changed(PASSIVE, machine={"conf": {"a.xml": "2"}}), plan=plan)
    assert conf != ()
    assert blocking(conf) == ()
    with pytest.raises(ValidationError, match="reason"):
        estates.estate(checks={"conf_differs": {"severity": "warns", "reason": ""}})


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
    assert len(SKIPPED["5.4"]) == 3
    assert len(SKIPPED["5.5"]) == 25
    assert SKIPPED["5.4"] < SKIPPED["5.5"]
