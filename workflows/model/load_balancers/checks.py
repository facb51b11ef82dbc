"""The modules with drivers' own checks; each stands beside its estate type."""

from workflows.model.load_balancers import (
    commands_checks,
    dns_checks,
    haproxy_checks,
    haproxy_configuration_checks,
    hosts_file_checks,
    machines_checks,
)

MODULES = (
    machines_checks,
    hosts_file_checks,
    haproxy_configuration_checks,
    commands_checks,
    dns_checks,
    haproxy_checks,
)
