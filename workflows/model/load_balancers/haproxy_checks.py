"""Checks that the ``haproxy`` driver makes: whether a redirect can work, and lasts."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.load_balancers.haproxy import HaproxyLoadBalancer
from workflows.model.stages import StageName

driver_check = partial(
    # A rejoin redirects nothing.
    Check,
    scope=Scope.HOSTS,
    heading=Heading.TRAFFIC,
    driver=HaproxyLoadBalancer,
    only="switchover",
)

haproxy_socket_unusable = driver_check(
    "haproxy_socket_unusable", "HAProxy answers on its runtime socket"
)
haproxy_socket_read_only = driver_check(
    "haproxy_socket_read_only", "The runtime socket may change servers"
)
haproxy_server_missing = driver_check(
    "haproxy_server_missing", "HAProxy has every server that the estate lists"
)
haproxy_server_not_in_estate = driver_check(
    "haproxy_server_not_in_estate",
    "The estate lists every server of HAProxy that gets clients",
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
haproxy_addresses_resolved = driver_check(
    "haproxy_addresses_resolved", "No name server decides the address of a server"
)
haproxy_configuration_not_changeable = driver_check(
    "haproxy_configuration_not_changeable", "HAProxy's configuration can be changed as it is"
)
haproxy_configuration_not_writable = driver_check(
    "haproxy_configuration_not_writable", "HAProxy's configuration may be written"
)
haproxy_configuration_managed = driver_check(
    "haproxy_configuration_managed",
    "No program writes HAProxy's configuration anew",
    severity=Severity.WARNS,
)
haproxy_configuration_mounted_elsewhere = driver_check(
    "haproxy_configuration_mounted_elsewhere",
    "A container that has HAProxy's configuration mounted sees what a redirect writes",
    acceptable=True,
)
haproxy_configuration_differs = driver_check(
    "haproxy_configuration_differs",
    "HAProxy sends clients where its configuration says",
    until=StageName.REDIRECT_TRAFFIC,
    acceptable=True,
)
haproxy_reload_undoes = driver_check(
    "haproxy_reload_undoes", "A reload of HAProxy keeps the addresses of a redirect"
)
haproxy_state_file_not_writable = driver_check(
    "haproxy_state_file_not_writable", "HAProxy's server state file may be written"
)
haproxy_health_elsewhere = driver_check(
    "haproxy_health_elsewhere",
    "HAProxy asks for a server's health where it sends its clients",
    acceptable=True,
)
haproxy_sessions_cut = driver_check(
    "haproxy_sessions_cut",
    "HAProxy closes no session because of a health check",
    severity=Severity.WARNS,
)
