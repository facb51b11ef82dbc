"""Checks of the nodes' operating systems and installations."""

from collections.abc import Iterator
from functools import partial

from workflows.model.checks import Check, Heading, Scope
from workflows.model.estate import Machine
from workflows.model.findings import Finding, Severity
from workflows.model.stages import StageName
from workflows.model.text import listed
from workflows.preflight.context import MEBIBYTE, CheckContext, declare, outliers

check = partial(declare, heading=Heading.MACHINE)


def ledger_advice(machine: Machine, user: str) -> str:
    """Say how a machine gets a ledger that only this user can write."""
    if machine.system == "windows":
        return (
            f"as an administrator: mkdir {machine.ledger}, then icacls {machine.ledger} "
            "/inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F "
            f"{user}:(OI)(CI)F, then icacls {machine.ledger} /setowner {user}"
        )
    return (
        f"create it: install -d -o {user} -m 700 {machine.ledger}; let only root, or {user}, write "
        "to the directories above it"
    )


program_missing = Check(
    "program_missing",
    "Every program that the worker's scripts need is there",
    Scope.NODES,
    Heading.MACHINE,
)


@check(Scope.CLUSTERS, acceptable=True)
def systems_mixed(context: CheckContext) -> Iterator[Finding]:
    """The nodes of a cluster have one operating system."""
    # The vendor's clusters are of one system; scripts, paths and files differ between two.
    for cluster in context.estate.clusters:
        for place, system, common in outliers({n.name: n.system for n in cluster.nodes}):
            yield systems_mixed.finding(
                cluster.name,
                seen=f"{place} has {system}",
                expected=f"{common}, as the other nodes of {cluster.name}",
                advice="correct `system` of the node in the estate",
            )


@check(Scope.NODES, acceptable=True)
def ssh_user_not_owner(context: CheckContext) -> Iterator[Finding]:
    """Commands run as SecureTransport's own user."""
    # Files that a script writes would otherwise change their owner (section 3).
    for node, facts in context.machines:
        if facts.owner is not None and facts.owner != facts.user:
            yield ssh_user_not_owner.finding(
                node.name,
                seen=f"commands run as {facts.user}, {node.filedrivehome} belongs to {facts.owner}",
                expected="the same user",
                advice=f"set ssh.user of the node to {facts.owner}, or ssh.run_as where that "
                "account has no login",
            )


@check(Scope.NODES)
def installation_missing(context: CheckContext) -> Iterator[Finding]:
    """FILEDRIVEHOME and its bin directory exist."""
    for node, facts in context.machines:
        if facts.owner is None:
            yield installation_missing.finding(
                node.name,
                seen=f"no directory {node.filedrivehome}/bin",
                expected="an installation of SecureTransport",
                advice="correct filedrivehome in the estate, or mount the missing file system",
            )


@check(Scope.NODES)
def script_missing(context: CheckContext) -> Iterator[Finding]:
    """Every script that is needed exists and is executable."""
    for node, facts in context.machines:
        if facts.owner is not None and facts.unusable:
            yield script_missing.finding(
                node.name,
                seen=f"missing or not executable: {listed(facts.unusable)}",
                expected=f"executable scripts in {node.filedrivehome}/bin",
                advice="restore the scripts; those of a disabled server are renamed .disable",
            )


@check(Scope.NODES)
def ledger_not_writable(context: CheckContext) -> Iterator[Finding]:
    """The ledger can be written, by its own user alone."""
    # Every command that a node is sent is recorded in its ledger, and believed to have run.
    for node, facts in context.machines:
        if facts.ledger_exposed or not facts.ledger_writable:
            yield ledger_not_writable.finding(
                node.name,
                seen=facts.ledger_exposed or f"{node.ledger} cannot be written by {facts.user}",
                expected=f"a directory that {facts.user} may write or create, and nobody else",
                advice=ledger_advice(node, facts.user),
            )


@check(Scope.NODES, acceptable=True)
def ledger_disk_low(context: CheckContext) -> Iterator[Finding]:
    """The ledger's disk has free space."""
    # A full disk would stop the run in the middle of a stage.
    least = context.estate.limits.ledger_free
    for node, facts in context.machines:
        if facts.ledger_writable and facts.ledger_free < least:
            yield ledger_disk_low.finding(
                node.name,
                seen=f"{facts.ledger_free // MEBIBYTE} MiB free for {node.ledger}",
                expected=f"at least {least // MEBIBYTE} MiB",
                advice="free space on that disk, or set ledger to a directory on another disk",
            )


_LOGIND = "set KillUserProcesses=no in logind.conf, or list the user in KillExcludeUsers"
_WMI = (
    "let the account make processes with wmic or with PowerShell's Invoke-CimMethod: those are not "
    "ended with the session of OpenSSH"
)
_KILLS = {
    ("linux", True): ("KillUserProcesses applies to {user}", _LOGIND),
    ("linux", False): ("no readable answer from loginctl", _LOGIND),
    ("windows", True): ("a process that {user} started did not outlive its session", _WMI),
    ("windows", False): ("it could not be tried, without a ledger that {user} can write", _WMI),
}
"""By system, and whether it is known: what is seen, and what to do."""


@check(Scope.NODES)
def kills_user_processes(context: CheckContext) -> Iterator[Finding]:
    """Processes outlive the SSH session that started them."""
    for node, facts in context.machines:
        if facts.kills_processes is not False:
            seen, advice = _KILLS[node.system, facts.kills_processes is not None]
            yield kills_user_processes.finding(
                node.name,
                seen=seen.format(user=node.ssh.session_of(facts.user)),
                expected="processes that outlive the session that started them",
                advice=advice,
            )


@check(Scope.NODES, severity=Severity.WARNS)
def clock_out_of_step(context: CheckContext) -> Iterator[Finding]:
    """The clocks agree."""
    # Times that nodes report are compared with the worker's.
    limit = context.estate.limits.clock
    for node, reading in context.nodes:
        ahead = reading.clock_ahead
        if ahead is not None and abs(ahead) > limit:
            yield clock_out_of_step.finding(
                node.name,
                seen=f"{ahead.total_seconds():+.0f} s from the worker's clock",
                expected=f"within {limit.total_seconds():.0f} s",
                advice="synchronise the node's clock with the time service",
            )


@check(Scope.NODES, severity=Severity.WARNS)
def node_slow(context: CheckContext) -> Iterator[Finding]:
    """Commands end quickly."""
    # Every step takes several commands on each node.
    limit = context.estate.limits.slow_answer
    for node, reading in context.nodes:
        slowest = reading.slowest_answer
        if slowest is not None and slowest > limit:
            yield node_slow.finding(
                node.name,
                seen=f"the slowest command took {slowest.total_seconds():.1f} s",
                expected=f"at most {limit.total_seconds():g} s",
                advice="find out what slows it down: its load, the start of the login shell, or "
                "SecureTransport's scripts; every stage takes longer",
            )


@check(Scope.NODES, until=StageName.REDIRECT_TRAFFIC)
def graceful_stop_pending(context: CheckContext) -> Iterator[Finding]:
    """No graceful stop is pending."""
    # It cannot be withdrawn, and completes at any time (section 4).
    for node, facts in context.machines:
        if facts.pending:
            yield graceful_stop_pending.finding(
                node.name,
                seen=f"a graceful stop is pending: {listed(facts.pending)}",
                expected="none",
                advice="wait until it has completed, start the service again, then check again",
            )
