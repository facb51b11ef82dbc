"""Checks of an HAProxy configuration whose servers have names, whichever driver moves these."""

from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.findings import Severity
from workflows.model.stages import StageName

configuration_check = partial(
    # A rejoin redirects nothing.
    Check,
    scope=Scope.CONFIGURED_HOSTS,
    heading=Heading.TRAFFIC,
    only="switchover",
    until=StageName.REDIRECT_TRAFFIC,
)

edges_by_address = configuration_check("edges_by_address", "Edges are reached by name")
server_not_in_estate = configuration_check(
    "server_not_in_estate", "The estate lists every server that gets clients", acceptable=True
)
sticky_entries = configuration_check(
    "sticky_entries", "No client is pinned to a node", severity=Severity.WARNS
)
hard_stop_after_short = configuration_check(
    "hard_stop_after_short", "A reload does not close old connections", acceptable=True
)
reloads_limited = configuration_check(
    "reloads_limited",
    "A redirect and its undo do not close old connections",
    severity=Severity.WARNS,
)
