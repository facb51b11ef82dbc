"""Checks that the ``commands`` driver of replication makes of a site's own command."""

from functools import partial

from workflows.model.checks import AccessCheck, Check, Heading, Scope
from workflows.model.replications.commands import CommandsReplication
from workflows.model.stages import StageName

driver_check = partial(
    Check, scope=Scope.LINKS, heading=Heading.REPLICATION, driver=CommandsReplication
)

replication_command_not_runnable = driver_check(
    "replication_command_not_runnable", "The link's command may be run"
)
replication_command_unusable = AccessCheck(
    "replication_command_unusable",
    "The link's command answers as docs/drivers.md asks for",
    Scope.LINKS,
    heading=Heading.REPLICATION,
    driver=CommandsReplication,
    advice="run it by hand as the same user with the word observe, and compare what it prints "
    "with docs/drivers.md",
)
replication_command_reports = driver_check(
    "replication_command_reports",
    "The link's command reports nothing wrong",
    # Later the link is suspended, which it may report.
    until=StageName.SUSPEND_REPLICATION,
)
replication_ledger_not_usable = driver_check(
    "replication_ledger_not_usable", "A suspension can be recorded, and outlives its session"
)
replication_program_missing = driver_check(
    "replication_program_missing", "Every program that a suspension's scripts need is there"
)
replication_behind = driver_check(
    "replication_behind",
    "The subscriber has nearly caught up",
    until=StageName.SUSPEND_REPLICATION,
    acceptable=True,
    only="switchover",
)
conflicts_not_told = driver_check(
    "conflicts_not_told",
    "Whether both sides wrote the same rows can be told",
    # Whoever accepts it answers for it: a rollback and a rejoin resume without a comparison.
    acceptable=True,
)
