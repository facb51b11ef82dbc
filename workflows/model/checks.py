"""Which prerequisites there are: the one list that verdicts, tables and documents derive from.

A check has the name of its finding. Names of findings that only say that something could not be
read are among them: not to know is a finding of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from workflows.model.base import Value
from workflows.model.findings import Severity
from workflows.model.stages import StageName


class Scope(StrEnum):
    """Which places of an estate a check looks at."""

    NODES = "nodes"
    SERVERS = "servers"
    SOURCE_NODES = "source_nodes"
    TARGET_NODES = "target_nodes"
    SOURCE_SERVER = "source_server"
    """The source's first Server, which sees what all of them share."""
    FIRST_SERVERS = "first_servers"
    TARGET_FRONT = "target_front"
    """The nodes of the target that the load balancer reaches."""
    SOURCE = "source"
    TARGET = "target"
    CLUSTERS = "clusters"
    LINKS = "links"
    PUBLISHERS = "publishers"
    SUBSCRIBERS = "subscribers"
    HOSTS = "hosts"
    CONFIGURED_HOSTS = "configured_hosts"
    """Load balancer hosts whose configuration the estate names."""
    ESTATE = "estate"
    EVERYWHERE = "everywhere"
    """Wherever a reading could not be made at all."""


class Check(Value):
    """One thing that must hold before traffic is moved."""

    name: str
    title: str
    """What holds, as a sentence."""
    scope: Scope
    severity: Severity = Severity.BLOCKS
    until: StageName | None = None
    """The stage whose work ends it; None where it must hold all the way."""
    acceptable: bool = False
    """Whether an operator may let it stand, with a reason; the rest would break the promise."""


_B, _W = Severity.BLOCKS, Severity.WARNS
_MONITORS, _REPLICATION, _TRAFFIC = (
    StageName.STOP_MONITORS,
    StageName.SUSPEND_REPLICATION,
    StageName.REDIRECT_TRAFFIC,
)
_DRAIN, _MANAGER = StageName.DRAIN_PROTOCOL_SERVERS, StageName.DRAIN_TRANSACTION_MANAGER
_N, _HOST = Scope.NODES, Scope.CONFIGURED_HOSTS


def _check(  # noqa: PLR0913 - a row of the list below
    name: str,
    title: str,
    scope: Scope,
    severity: Severity = _B,
    until: StageName | None = None,
    *,
    acceptable: bool = False,
) -> Check:
    return Check(
        name=name, title=title, scope=scope, severity=severity, until=until, acceptable=acceptable
    )


CHECKS = (
    # How places are reached.
    _check("no_reading", "Every place could be looked at", Scope.EVERYWHERE),
    _check("reading_unusable", "Every answer is understood", Scope.EVERYWHERE),
    _check("node_unreachable_ssh", "The node answers over SSH", _N),
    _check("ssh_access_refused", "SSH accepts our key, and its host key is the known one", _N),
    _check("node_unreachable_admin", "The node's admin API answers", _N),
    _check("admin_access_refused", "The admin API accepts our account", _N),
    _check("access_refused", "Load balancer, databases and probes accept us", Scope.EVERYWHERE),
    # The machine.
    _check("ssh_user_not_owner", "Commands run as SecureTransport's own user", _N, acceptable=True),
    _check("installation_missing", "FILEDRIVEHOME and its bin directory are there", _N),
    _check("script_missing", "Every script that is needed is there and executable", _N),
    _check("ledger_not_writable", "The ledger can be written", _N),
    _check("ledger_disk_low", "The ledger's disk has room", _N, acceptable=True),
    _check("kills_user_processes", "The end of a session does not end its processes", _N),
    _check("clock_out_of_step", "The clocks are in step", _N, _W),
    _check("graceful_stop_pending", "No graceful stop is pending", _N, until=_TRAFFIC),
    # Both sides are the same.
    _check("version_differs", "Version and update level are the same everywhere", _N),
    _check("operating_system_differs", "The operating systems are of one type", _N),
    _check("database_type_differs", "The databases are of one type", _N),
    _check(
        "installation_path_differs", "FILEDRIVEHOME is the same everywhere", _N, acceptable=True
    ),
    _check("taeh_differs", "The taeh file is the same", _N),
    _check("conf_differs", "Files under conf are the same", _N, until=_TRAFFIC, acceptable=True),
    _check("options_differ", "System options are the same", _N, until=_TRAFFIC, acceptable=True),
    _check("accounts_differ", "Both sides have the same accounts", Scope.TARGET, until=_TRAFFIC),
    _check(
        "business_units_differ",
        "Both sides have the same business units",
        Scope.TARGET,
        until=_TRAFFIC,
    ),
    _check("sites_differ", "Both sides have the same sites", Scope.TARGET, until=_TRAFFIC),
    _check("routes_differ", "Both sides have the same routes", Scope.TARGET, until=_TRAFFIC),
    _check(
        "subscriptions_differ",
        "Both sides have the same subscriptions",
        Scope.TARGET,
        until=_TRAFFIC,
    ),
    _check(
        "applications_differ", "Both sides have the same applications", Scope.TARGET, until=_TRAFFIC
    ),
    _check(
        "certificates_differ", "Both sides have the same certificates", Scope.TARGET, until=_TRAFFIC
    ),
    _check(
        "configuration_unreadable",
        "The configuration of both sides can be compared",
        Scope.TARGET,
        until=_TRAFFIC,
    ),
    _check(
        "cluster_nodes_differ",
        "The cluster knows the nodes that the estate knows",
        Scope.FIRST_SERVERS,
        until=_TRAFFIC,
    ),
    # What runs.
    _check("service_unreadable", "Every service's state is known", _N, acceptable=True),
    _check("protocol_server_not_running", "Every protocol server that is listed runs", _N),
    _check(
        "protocol_server_not_in_estate",
        "Every protocol server that runs is listed",
        Scope.SOURCE_NODES,
        until=_DRAIN,
    ),
    _check(
        "transaction_manager_not_running",
        "Every Transaction Manager runs",
        Scope.SERVERS,
        until=_MANAGER,
    ),
    _check(
        "source_not_active",
        "Scheduler and Folder Monitor run on the source",
        Scope.SOURCE,
        until=StageName.STOP_SCHEDULING,
    ),
    _check(
        "target_not_idle",
        "Scheduler and Folder Monitor do not run on the target",
        Scope.TARGET_NODES,
        until=StageName.START_SCHEDULING,
    ),
    _check(
        "scheduling_disabled",
        "Scheduler and Folder Monitor can be started on the target",
        Scope.TARGET_NODES,
        until=StageName.START_SCHEDULING,
    ),
    _check(
        "target_has_sessions",
        "No client is on the target",
        Scope.TARGET_NODES,
        until=_TRAFFIC,
        acceptable=True,
    ),
    _check(
        "target_edge_login_fails",
        "A login and a listing straight on the target's front nodes succeed",
        Scope.TARGET_FRONT,
    ),
    _check("monitor_not_running", "The Monitor runs", Scope.SOURCE_NODES, _W, _MONITORS),
    _check(
        "graceful_timeout_short",
        "Graceful timeouts are at least a minute",
        Scope.SOURCE_NODES,
        _W,
    ),
    _check(
        "transaction_manager_timeout_short",
        "The Transaction Manager's graceful timeout is at least 30 s",
        Scope.SOURCE_NODES,
        _W,
    ),
    _check(
        "events_stuck",
        "No event has been queued for long",
        Scope.SOURCE_SERVER,
        _W,
        until=_TRAFFIC,
    ),
    _check(
        "orphaned_files",
        "No unfinished file lies on the storage",
        Scope.FIRST_SERVERS,
        _W,
        until=_TRAFFIC,
    ),
    _check(
        "maintenance_mode", "No cluster is under maintenance", Scope.FIRST_SERVERS, until=_TRAFFIC
    ),
    # Replication and databases.
    _check("database_unreachable", "Both databases answer", Scope.LINKS),
    _check("replication_not_running", "Replication runs", Scope.LINKS, until=_REPLICATION),
    _check("replication_one_way", "Both directions are there", Scope.LINKS, until=_REPLICATION),
    _check(
        "replication_lagging",
        "The subscriber is close behind",
        Scope.LINKS,
        until=_REPLICATION,
        acceptable=True,
    ),
    _check(
        "excluded_tables_replicated",
        "Tables that stay local are not published",
        Scope.LINKS,
        until=_REPLICATION,
    ),
    _check("replication_not_comparable", "A roll-back can compare rows", Scope.LINKS, _W),
    _check(
        "unknown_subscription",
        "Every subscription is one of the estate's",
        Scope.SUBSCRIBERS,
        until=_REPLICATION,
        acceptable=True,
    ),
    _check(
        "commit_timestamps_off",
        "Databases keep the time of each commit",
        Scope.SUBSCRIBERS,
        _W,
    ),
    _check(
        "wal_headroom_low",
        "The publisher can keep its WAL while replication is off",
        Scope.PUBLISHERS,
        until=_REPLICATION,
        acceptable=True,
    ),
    # Files.
    _check("storage_differs", "Files are the same on both sides", Scope.CLUSTERS, until=_TRAFFIC),
    _check(
        "storage_unreadable",
        "Both storages can be read",
        Scope.CLUSTERS,
        until=_TRAFFIC,
        acceptable=True,
    ),
    _check(
        "storage_delay_exceeded",
        "What one side writes, the other sees in time",
        Scope.CLUSTERS,
        until=_TRAFFIC,
        acceptable=True,
    ),
    # Traffic.
    _check("load_balancer_unreachable", "The load balancer host answers", Scope.HOSTS),
    _check("probe_unreachable", "Clients are answered at the load balancer", Scope.HOSTS),
    _check("traffic_not_on_source", "Traffic goes to the source", Scope.HOSTS, until=_TRAFFIC),
    _check("reload_not_runnable", "The reload command may be run", Scope.HOSTS),
    _check("hosts_file_not_writable", "The hosts file may be written", Scope.HOSTS),
    _check("edges_by_address", "Edges are reached by name", _HOST, until=_TRAFFIC),
    _check("sticky_entries", "No client is pinned to a node", _HOST, _W, _TRAFFIC),
    _check(
        "hard_stop_after_short",
        "A reload leaves old connections alone",
        _HOST,
        until=_TRAFFIC,
        acceptable=True,
    ),
    # Temporal.
    _check("switchover_running", "No other switchover is under way", Scope.ESTATE),
    _check(
        "cooling_down",
        "The last switchover was long enough ago",
        Scope.ESTATE,
        until=_MONITORS,
        acceptable=True,
    ),
    _check("search_attributes_missing", "Temporal knows our search attributes", Scope.ESTATE),
    _check("workers_differ", "All workers run the same build", Scope.ESTATE, _W),
    _check("temporal_unreadable", "Temporal answers the worker", Scope.ESTATE),
    # A switchover that was interrupted.
    _check("half_switched", "No switchover was interrupted", Scope.SOURCE, _W),
    _check("already_switched_over", "There is something left to be done", Scope.SOURCE),
)

BY_NAME = {check.name: check for check in CHECKS}


def check_of(name: str) -> Check:
    """Return a finding's check; one that only another build knows blocks, and nobody accepts it."""
    return BY_NAME.get(name) or _check(name, name, Scope.EVERYWHERE)


def _known(name: str) -> str:
    if name not in BY_NAME:
        raise ValueError(f"there is no check {name}; `switchover check --list` shows all of them")
    return name


CheckName = Annotated[str, AfterValidator(_known)]
