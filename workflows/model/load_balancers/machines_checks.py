"""Checks of load balancer machines that several drivers make; at which places, their scopes say."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope

# A rejoin redirects nothing.
machine_check = partial(Check, heading=Heading.TRAFFIC, only="switchover")

host_ledger_not_usable = machine_check(
    "host_ledger_not_usable",
    "A redirect can be recorded, and outlives its session",
    Scope.LEDGER_HOSTS,
)
host_program_missing = machine_check(
    "host_program_missing",
    "Every program that a redirect's scripts need is there",
    Scope.LEDGER_HOSTS,
)
reload_not_runnable = machine_check(
    "reload_not_runnable", "The reload command may be run", Scope.RELOADED_HOSTS
)
