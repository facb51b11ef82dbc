"""The result of every check, place by place."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support import clean_readings as estate
from tests.support import estates
from tests.support.clean_readings import NOW, PLAN
from workflows.model.checks import Check, CheckStatus, Heading, Scope
from workflows.model.estate import Protocol
from workflows.model.findings import Finding
from workflows.model.load_balancers.haproxy_configuration_checks import edges_by_address
from workflows.model.observations import LoginReading, NodeReading, Reading
from workflows.model.results import Service, State
from workflows.planning.plan import Plan
from workflows.planning.switchover import plan_switchover
from workflows.preflight import parity
from workflows.preflight.catalogue import CHECKS, MODULES, by_heading
from workflows.preflight.coverage import Coverage
from workflows.preflight.evaluate import blocking, evaluate
from workflows.preflight.report import (
    CheckResult,
    ReadinessDiff,
    ReadinessReport,
    difference,
    results_of,
    score_of,
)
from workflows.views.readiness_markdown import report_details

EDGE, SERVER = "cluster1-edge1", "cluster1-server1"
NODES = tuple(node.name for node in PLAN.estate.nodes)
DRIVERS = (PLAN.estate.load_balancer, PLAN.estate.replication)
OWN = tuple(
    check
    for check in CHECKS
    if check.only != "rejoin"
    and (check.driver is None or any(isinstance(one, check.driver) for one in DRIVERS))
)
"""The checks of a switchover, with those of the estate's own drivers."""
SILENT = Finding(
    name="node_unreachable_admin",
    place=EDGE,
    seen="no answer",
    expected="an answer",
    advice="check it",
)


LOGINS = {
    f"login {node} {protocol}": LoginReading(place=node, protocol=protocol)
    for node in ("cluster2-edge1", "cluster2-edge2")
    for protocol in (Protocol.SSH, Protocol.HTTP)
}


def clean() -> dict[str, Reading]:
    """Return every reading of an estate without a finding."""
    return {**estate.clean(), **LOGINS}


def changed(subject: str, **changes: Any) -> dict[str, Reading]:  # noqa: ANN401
    """Return the same with one reading changed."""
    return {**LOGINS, **estate.changed(subject, **changes)}


def rows(
    readings: dict[str, Reading], plan: Plan = PLAN, accepted: dict[str, str] | None = None
) -> dict[str, CheckResult]:
    """Return every check of these readings by its name."""
    some = tuple(readings.values())
    found = evaluate(plan, some, NOW)
    return {one.name: one for one in results_of(plan, some, found, accepted or {})}


def verdict(readings: dict[str, Reading], **changes: Any) -> ReadinessReport:  # noqa: ANN401
    """Return the report on these readings."""
    some = tuple(readings.values())
    found = evaluate(PLAN, some, NOW)
    checks = results_of(PLAN, some, found, {})
    usual = ReadinessReport(
        estate="lab",
        source="cluster1",
        target="cluster2",
        ready=not blocking(found),
        score=score_of(checks),
        checks=checks,
        findings=found,
        at=NOW,
        seconds=1.5,
        plan_hash=PLAN.hash,
    )
    return usual.model_copy(update=changes)


def multiplied(report: ReadinessReport, times: int) -> ReadinessReport:
    """Return the report on an estate with so many times its nodes."""
    checks = tuple(
        one.model_copy(
            update={
                "places": {
                    f"{place}{n}" if "-" in place else place: status
                    for place, status in one.places.items()
                    for n in range(times if "-" in place else 1)
                }
            }
        )
        for one in report.checks
    )
    return report.model_copy(update={"checks": checks})


@pytest.mark.parametrize(
    ("scope", "places"),
    [
        (Scope.NODES, NODES),
        (Scope.SERVERS, tuple(n for n in NODES if "server" in n)),
        (Scope.SOURCE_NODES, tuple(n for n in NODES if "cluster1" in n)),
        (Scope.TARGET_NODES, tuple(n for n in NODES if "cluster2" in n)),
        (Scope.SOURCE_SERVER, (SERVER,)),
        (Scope.FIRST_SERVERS, (SERVER, "cluster2-server1")),
        (Scope.TARGET_FRONT, ("cluster2-edge1", "cluster2-edge2")),
        (Scope.SOURCE, ("cluster1",)),
        (Scope.TARGET, ("cluster2",)),
        (Scope.CLUSTERS, ("cluster1", "cluster2")),
        (Scope.MARKED_CLUSTERS, ()),
        (Scope.LINKS, ("cluster1_to_cluster2", "cluster2_to_cluster1")),
        (Scope.PUBLISHERS, ("database1", "database2")),
        (Scope.SUBSCRIBERS, ("database2", "database1")),
        (Scope.DATABASES, ("database1", "database2")),
        (Scope.HOSTS, ("loadbalancer1",)),
        (Scope.CONFIGURED_HOSTS, ()),
        (Scope.LEDGER_HOSTS, ("loadbalancer1",)),
        (Scope.RELOADED_HOSTS, ("loadbalancer1",)),
        (Scope.RESOLVING_HOSTS, ()),
        (Scope.ZONES, ()),
        (Scope.OWN_QUEUES, ()),
        (Scope.ESTATE, ("lab",)),
        (Scope.EVERYWHERE, ()),
    ],
)
def test_every_scope_has_its_places(scope: Scope, places: tuple[str, ...]) -> None:
    """A check is made where its scope says, and nowhere else."""
    coverage = Coverage(PLAN, clean().values())
    for check in (c for c in OWN if c.scope is scope):
        assert coverage.places(check) == places, check.name


def test_no_scope_is_forgotten() -> None:
    """The table above has all of them."""
    [mark] = test_every_scope_has_its_places.pytestmark  # type: ignore[attr-defined] # pytest's
    assert {scope for scope, _ in mark.args[1]} == set(Scope)


def test_the_delay_of_a_storage_is_measured_where_a_marker_may_be_written() -> None:
    """Elsewhere the check is not made, and does not count as passed."""
    written = estates.written()
    written["clusters"][1]["storage_markers"] = "markers"
    written["load_balancer"]["hosts"][0]["configuration"] = "/etc/haproxy/haproxy.cfg"
    plan = plan_switchover(type(PLAN.estate).model_validate(written), estates.request())
    assert rows(clean())["storage_delay_exceeded"].places == {}
    assert rows(clean(), plan)["storage_delay_exceeded"].places == {"cluster2": CheckStatus.PASSED}
    assert rows(clean(), plan)["sticky_entries"].places == {"loadbalancer1": CheckStatus.PASSED}


def test_a_cluster_s_own_task_queue_is_checked_where_there_is_one() -> None:
    """Each queue is a place, and passes where nothing was found."""
    written = estates.written()
    for cluster in written["clusters"]:
        cluster["task_queue"] = f"near-{cluster['name']}"
    plan = plan_switchover(type(PLAN.estate).model_validate(written), estates.request())
    for name in ("no_worker_polls", "own_worker_differs"):
        assert rows(clean())[name].places == {}
        assert rows(clean(), plan)[name].places == {
            "near-cluster1": CheckStatus.PASSED,
            "near-cluster2": CheckStatus.PASSED,
        }


def test_on_a_clean_estate_every_check_passes() -> None:
    """And those that are not made here are not counted."""
    checks = tuple(rows(clean()).values())
    assert {one.worst for one in checks} == {CheckStatus.PASSED}
    score = score_of(checks)
    assert (score.checks, score.passed, score.unknown) == (len(OWN) - 9, len(OWN) - 9, 0)


def test_a_failing_check_fails_at_its_place_alone() -> None:
    """It passes at every other place."""
    one = rows(changed(EDGE, services={Service.SSH: State.STOPPED}))["protocol_server_not_running"]
    assert one.places == dict.fromkeys(NODES, CheckStatus.PASSED) | {EDGE: CheckStatus.FAILED}
    assert one.worst is CheckStatus.FAILED


def test_an_accepted_finding_is_shown_as_such() -> None:
    """A finding that may not be accepted fails all the same."""
    sessions = changed("cluster2-edge2", sessions=2)
    one = rows(sessions, accepted={"target_has_sessions": "ours"})["target_has_sessions"]
    assert one.places["cluster2-edge2"] is CheckStatus.ACCEPTED
    assert one.worst is CheckStatus.PASSED
    other = changed("cluster2-edge1", taeh="b" * 64)
    assert rows(other, accepted={"taeh_differs": "no"})["taeh_differs"].worst is CheckStatus.FAILED


def test_a_severity_of_the_estate_comes_with_its_reason() -> None:
    """The report shows that it differs on this estate, and why."""
    adjusted = {"monitor_not_running": {"severity": "blocks", "reason": "audit wants it"}}
    plan = plan_switchover(estates.estate(checks=adjusted), estates.request())
    one = rows(clean(), plan)["monitor_not_running"]
    assert (one.severity, one.adjusted) == ("blocks", "audit wants it")
    assert rows(clean())["monitor_not_running"].severity == "warns"


def test_what_could_not_be_read_is_unknown() -> None:
    """Only the access checks without a finding pass at a place that was read in part."""
    checks = rows(changed(EDGE, findings=(SILENT,)))
    assert checks["node_unreachable_admin"].places[EDGE] is CheckStatus.FAILED
    assert checks["node_unreachable_ssh"].places[EDGE] is CheckStatus.PASSED
    assert checks["version_differs"].places[EDGE] is CheckStatus.UNKNOWN
    assert checks["version_differs"].places["cluster1-edge2"] is CheckStatus.PASSED
    assert checks["source_not_active"].places == {"cluster1": CheckStatus.UNKNOWN}
    assert checks["target_edge_login_fails"].worst is CheckStatus.PASSED
    score = score_of(checks.values())
    assert score.unknown == len([c for c in checks.values() if c.worst is CheckStatus.UNKNOWN]) > 10


def test_a_reading_that_never_came_leaves_everything_unknown() -> None:
    """The access checks are unknown, too."""
    readings = clean()
    del readings["loadbalancer1"]
    checks = rows(readings)
    assert checks["load_balancer_unreachable"].worst is CheckStatus.UNKNOWN
    assert checks["reload_not_runnable"].worst is CheckStatus.UNKNOWN
    assert checks["database_unreachable"].worst is CheckStatus.PASSED


def test_what_a_version_does_not_have_does_not_count_as_passed() -> None:
    """Nor as unknown: it is counted apart, and its reason is shown."""
    reason = "neither admin API has this list"
    readings = changed("configuration", not_available={"sites_differ": reason})
    checks = rows(readings)
    assert checks["sites_differ"].places == {"cluster2": CheckStatus.NOT_AVAILABLE}
    assert checks["sites_differ"].reasons == {"cluster2": reason}
    assert checks["accounts_differ"].worst is CheckStatus.PASSED
    report = verdict(readings)
    assert (report.ready, report.score.not_available, report.score.unknown) == (True, 1, 0)
    assert report.score.passed == report.score.checks - 1
    text = report_details(report)
    assert "checks passed, 1 not available here" in text
    assert f"- n/a sites\\_differ on cluster2: {reason}" in text
    assert "| n/a | Both clusters have the same sites | n/a cluster2 |" in text


def test_what_could_not_be_told_does_not_count_as_passed() -> None:
    """A check may be unknown although the rest of its reading is complete."""
    readings = changed("shared by cluster1", not_read={"events_stuck": "no time can be read"})
    checks = rows(readings)
    assert checks["events_stuck"].places == {SERVER: CheckStatus.UNKNOWN}
    assert checks["orphaned_files"].places[SERVER] is CheckStatus.PASSED
    assert "? events\\_stuck on cluster1\\-server1: no time can be read" in report_details(
        verdict(readings)
    )


def test_a_finding_outweighs_a_reason() -> None:
    """What was found wrong is never hidden by what could not be told besides."""
    found = parity.sites_differ.finding("cluster2", seen="a", expected="b", advice="c")
    one = rows(changed("configuration", findings=(found,), not_read={"sites_differ": "half"}))
    assert one["sites_differ"].worst is CheckStatus.FAILED


def test_a_finding_elsewhere_is_not_lost() -> None:
    """A place where a check is not made is shown if there is a finding."""
    odd = SILENT.model_copy(update={"name": "configuration_unreadable", "place": SERVER})
    checks = rows(changed("configuration", findings=(odd,)))
    assert checks["configuration_unreadable"].places[SERVER] is CheckStatus.FAILED
    assert checks["options_differ"].places[SERVER] is CheckStatus.PASSED


def test_changes_are_found_by_name_and_place() -> None:
    """Another text about the same thing is no change."""
    before = verdict(changed("cluster2-edge2", sessions=2))
    after = verdict(changed("cluster2-edge2", sessions=3))
    assert difference(after.findings, before) == ReadinessDiff(since=NOW)
    clean_again = difference(verdict(clean()).findings, before)
    assert [(m.name, m.place) for m in clean_again.resolved] == [
        ("target_has_sessions", "cluster2-edge2")
    ]
    assert difference(before.findings, verdict(clean())).new == clean_again.resolved
    assert difference(before.findings, None) == ReadinessDiff()


def test_every_check_is_listed_under_a_heading() -> None:
    """The list is complete, and no heading is empty."""
    assert [check for _, some in by_heading() for check in some] == list(CHECKS)
    assert [heading for heading, some in by_heading() if some] == list(Heading)


def test_a_check_and_its_object_have_the_same_name() -> None:
    """So a renamed check is renamed everywhere, and none hides another one."""
    objects = [pair for module in MODULES for pair in vars(module).items()]
    found = [(name, one) for name, one in objects if isinstance(one, Check)]
    assert [name for name, one in found if name != one.name] == []
    assert len(found) == len(CHECKS)


def test_a_drivers_check_is_made_only_where_the_driver_is_used() -> None:
    """On an estate with another driver it does not count as passed."""
    coverage = Coverage(PLAN, clean().values())
    used = replace(edges_by_address, scope=Scope.HOSTS, driver=type(PLAN.estate.load_balancer))
    assert coverage.places(used) == ("loadbalancer1",)
    assert coverage.places(replace(used, driver=NodeReading)) == ()


def test_a_finding_that_a_driver_makes_hides_nothing() -> None:
    """Only a finding of an access check means that a part of the place was not read."""
    found = edges_by_address.finding("loadbalancer1", seen="a", expected="b", advice="c")
    checks = rows(changed("loadbalancer1", findings=(found,)))
    assert checks["edges_by_address"].places == {"loadbalancer1": CheckStatus.FAILED}
    assert checks["load_balancer_unreachable"].worst is CheckStatus.PASSED
    assert checks["traffic_not_on_source"].places == {"loadbalancer1": CheckStatus.PASSED}
    foreign = found.model_copy(update={"name": "sun_is_up"})
    checks = rows(changed("loadbalancer1", findings=(foreign,)))
    assert checks["traffic_not_on_source"].places == {"loadbalancer1": CheckStatus.UNKNOWN}


def test_the_web_ui_shows_findings_and_checks() -> None:
    """As Markdown, in which the text of a place is never markup."""
    readings = changed("cluster2-edge1", version="<b>5.4</b>|x")
    text = report_details(verdict(readings, ready=False))
    assert "not ready" in text
    assert "| blocks | cluster2\\-edge1 | `version_differs` | \\<b\\>5.4\\</b\\>\\|x |" in text
    assert "| ✖ | Version and update level are equal everywhere | ✖ cluster2\\-edge1 |" in text
    assert all(f"**{heading}**" in text for heading in Heading)
