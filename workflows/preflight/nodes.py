"""What the nodes' operating systems and installations look like."""

from __future__ import annotations

from collections.abc import Iterator

from workflows.model.findings import Finding
from workflows.preflight.context import Seen, finding, listed

MEBIBYTE = 1024**2


def installations(seen: Seen) -> Iterator[Finding]:
    """FILEDRIVEHOME is there, with every script that is needed."""
    for node, facts in seen.machines:
        if facts.owner is None:
            yield finding(
                "installation_missing",
                node.name,
                seen=f"no directory {node.filedrivehome}/bin",
                expected="an installation of SecureTransport",
                advice="correct filedrivehome in the estate, or mount what is missing",
            )
        elif facts.unusable:
            yield finding(
                "script_missing",
                node.name,
                seen=f"missing or not executable: {listed(facts.unusable)}",
                expected=f"executable scripts in {node.filedrivehome}/bin",
                advice="restore the scripts; those of a disabled server are renamed .disable",
            )


def owners(seen: Seen) -> Iterator[Finding]:
    """Scripts run as the user that owns SecureTransport, or files change hands (section 3)."""
    for node, facts in seen.machines:
        if facts.owner is not None and facts.owner != facts.user:
            yield finding(
                "ssh_user_not_owner",
                node.name,
                seen=f"commands run as {facts.user}, {node.filedrivehome} belongs to {facts.owner}",
                expected="one and the same user",
                advice=f"let ssh.user of the node be {facts.owner}",
            )


def ledgers(seen: Seen) -> Iterator[Finding]:
    """What is asked of the node can be recorded there."""
    least = seen.estate.limits.ledger_free
    for node, facts in seen.machines:
        if not facts.ledger_writable:
            yield finding(
                "ledger_not_writable",
                node.name,
                seen=f"{node.ledger} cannot be written by {facts.user}",
                expected="a directory of that user, or a place where one can be made",
                advice=f"make it: install -d -o {facts.user} -m 700 {node.ledger}",
            )
        elif facts.ledger_free < least:
            yield finding(
                "ledger_disk_low",
                node.name,
                seen=f"{facts.ledger_free // MEBIBYTE} MiB left for {node.ledger}",
                expected=f"at least {least // MEBIBYTE} MiB",
                advice="make room on that disk, or name another one under ledger",
            )


def sessions_kill(seen: Seen) -> Iterator[Finding]:
    """What was asked of a node goes on after our session has ended."""
    for node, facts in seen.machines:
        if facts.kills_processes is not False:
            known = facts.kills_processes is not None
            yield finding(
                "kills_user_processes",
                node.name,
                seen=f"KillUserProcesses applies to {facts.user}"
                if known
                else "no answer from loginctl that can be read",
                expected="processes that outlive the session that began them",
                advice="set KillUserProcesses=no in logind.conf, or list the user in "
                "KillExcludeUsers",
            )


def pending_stops(seen: Seen) -> Iterator[Finding]:
    """A graceful stop that someone asked for lands whatever we do (section 4)."""
    for node, facts in seen.machines:
        if facts.pending:
            yield finding(
                "graceful_stop_pending",
                node.name,
                seen=f"a graceful stop is pending: {listed(facts.pending)}",
                expected="none",
                advice="wait until it has landed, start the service again, then check again",
            )


def clocks_in_step(seen: Seen) -> Iterator[Finding]:
    """The nodes' clocks agree with the worker's, so that times can be compared."""
    furthest = seen.estate.limits.clock
    for node, reading in seen.nodes:
        ahead = reading.clock_ahead
        if ahead is not None and abs(ahead) > furthest:
            yield finding(
                "clock_out_of_step",
                node.name,
                seen=f"{ahead.total_seconds():+.0f} s from the worker's clock",
                expected=f"within {furthest.total_seconds():.0f} s",
                advice="let the node's time service catch up",
            )


MACHINES = (installations, owners, ledgers, sessions_kill, pending_stops, clocks_in_step)
