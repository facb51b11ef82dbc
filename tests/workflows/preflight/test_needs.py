"""Nothing is learned late: whatever a later stage needs, a check of stage 0 names.

A new action fails here until its needs are listed; a need without a check cannot be listed.
"""

from collections.abc import Iterator

import pytest

from tests.support import estates
from workflows.model import actions
from workflows.model.findings import Severity
from workflows.model.observations import NodeReading
from workflows.model.stages import StageName
from workflows.planning.plan import Plan
from workflows.planning.rollback import Baseline, plan_rollback
from workflows.planning.switchover import plan_switchover
from workflows.preflight.catalogue import BY_NAME

SHELL = {"node_unreachable_ssh", "ssh_access_refused"}
LEDGER = {"ledger_not_writable", "ledger_disk_low", "kills_user_processes"}
STATUS = SHELL | {"installation_missing", "script_missing", "service_unreadable"}
SCRIPT = STATUS | LEDGER | {"ssh_user_not_owner"}
API = {"node_unreachable_admin", "admin_access_refused", "reading_unusable"}
DATABASE = {"database_unreachable", "database_too_old", "access_refused"}
LINK = DATABASE | {"replication_not_alterable", "replication_not_running"}
PROBE = {"probe_unreachable", "access_refused", "target_edge_login_fails"}

NEEDS: dict[type, set[str]] = {
    actions.StopMonitor: SCRIPT,
    actions.StartMonitor: SCRIPT,
    actions.SuspendReplication: LINK,
    actions.ResumeReplication: LINK | {"wal_headroom_low"},
    actions.BeginSlot: DATABASE | {"slot_not_creatable", "replication_not_alterable"},
    actions.DropSlot: DATABASE | {"slot_not_creatable", "replication_not_alterable"},
    actions.VerifyNoConflicts: DATABASE | {"replication_not_comparable"},
    actions.Redirect: {
        *("load_balancer_unreachable", "access_refused", "reload_not_runnable"),
        *("hosts_file_not_writable", "hosts_file_not_changeable", "hosts_file_mounted_elsewhere"),
        *("host_ledger_not_usable", "server_not_in_estate", "reload_keeps_addresses"),
        *("haproxy_socket_unusable", "haproxy_socket_read_only", "haproxy_server_missing"),
        *("haproxy_configuration_not_changeable", "haproxy_configuration_not_writable"),
        *("haproxy_reload_undoes", "haproxy_state_file_not_writable"),
    },
    actions.VerifyTraffic: PROBE | API,
    actions.StopScheduling: API,
    actions.VerifySchedulingStopped: API,
    actions.StartScheduling: API | {"scheduling_disabled"},
    actions.AwaitInFlightEvents: API,
    actions.AwaitSessions: SHELL | API,
    actions.StopGracefully: SCRIPT,
    actions.StartProtocolServer: SCRIPT,
    actions.VerifyStopped: STATUS,
    actions.VerifyServing: STATUS,
    actions.AwaitQueue: API,
    actions.StopTransactionManager: SCRIPT,
    actions.StartTransactionManager: SCRIPT,
    actions.FindOrphanedFiles: SHELL | {"storage_unreadable"},
    actions.FindUnfinishedWork: API,
    actions.CountRecords: API,
    actions.StopRemaining: SCRIPT,
    actions.StartAll: SCRIPT,
}
"""For each action after stage 0: the checks that find what would keep it from being done."""
WARNINGS = {"replication_not_comparable"}
"""A need that some estates have no use for: only a rollback compares."""


def later(plan: Plan) -> Iterator[actions.Action]:
    """Yield every action after stage 0, then those of the longest rollback."""
    stages = plan.stages[1:]
    started = {stage.name: stage.actions for stage in stages}
    readings = [NodeReading(place=node.name) for node in plan.estate.nodes]
    baseline = Baseline.of(readings, assume_all_ran=True)
    for stage in (*stages, *plan_rollback(plan, started, baseline)):
        yield from stage.actions
    started.pop(StageName.DRAIN_PROTOCOL_SERVERS)
    for stage in plan_rollback(plan, started, baseline):
        yield from stage.actions


@pytest.mark.parametrize("variant", ["by_stage", "by_node"])
def test_every_later_action_has_its_needs_checked(variant: str) -> None:
    """Each kind of action of plan and rollback is listed, and nothing else is."""
    estate = estates.estate(stop_target_monitors=True)
    plan = plan_switchover(estate, estates.request(variant=variant))
    assert {type(action) for action in later(plan)} == NEEDS.keys()


@pytest.mark.parametrize("kind", NEEDS)
def test_a_need_is_a_check_that_stops_a_run(kind: type) -> None:
    """Before its first effect; one that only warns would be learned late."""
    assert NEEDS[kind]
    blocking = {name for name, check in BY_NAME.items() if check.severity is Severity.BLOCKS}
    assert NEEDS[kind] - WARNINGS <= blocking
    assert NEEDS[kind] & WARNINGS <= BY_NAME.keys()
