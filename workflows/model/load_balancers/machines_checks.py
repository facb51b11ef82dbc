"""Checks of every driver that redirects on machines, through their ledgers."""

from workflows.model.checks import Check, Heading, Scope
from workflows.model.load_balancers.machines import LoadBalancerMachines

host_ledger_not_usable = Check(
    "host_ledger_not_usable",
    "A redirect can be recorded, and outlives its session",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
    driver=LoadBalancerMachines,
    # A rejoin redirects nothing.
    only="switchover",
)
