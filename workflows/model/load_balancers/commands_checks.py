"""Checks that the ``commands`` driver makes of a site's own command."""

from workflows.model.checks import AccessCheck, Check, Heading, Scope
from workflows.model.load_balancers.commands import CommandsLoadBalancer
from workflows.model.stages import StageName

site_command_not_runnable = Check(
    "site_command_not_runnable",
    "The site's command may be run",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
    driver=CommandsLoadBalancer,
    # A rejoin redirects nothing.
    only="switchover",
)
site_command_unusable = AccessCheck(
    "site_command_unusable",
    "The site's command answers as docs/drivers.md asks for",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
    driver=CommandsLoadBalancer,
    advice="run it by hand as the same user with the word observe, and compare what it prints "
    "with docs/drivers.md",
)
site_command_reports = Check(
    "site_command_reports",
    "The site's command reports nothing wrong",
    Scope.HOSTS,
    heading=Heading.TRAFFIC,
    driver=CommandsLoadBalancer,
    # Later the source's nodes are down, which a load balancer reports.
    until=StageName.REDIRECT_TRAFFIC,
    only="switchover",
)
