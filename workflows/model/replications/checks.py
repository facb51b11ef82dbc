"""The modules with drivers' own checks; each stands beside its estate type."""

from workflows.model.replications import commands_checks, postgresql_checks

MODULES = (postgresql_checks, commands_checks)
