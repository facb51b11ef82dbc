"""Say what keeps a load balancer machine from recording a redirect; pure."""

from collections.abc import Iterator

from activities.nodes.operating_system import LedgerFacts
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.load_balancers import machines_checks as checks
from workflows.preflight.nodes import ledger_advice

MEBIBYTE = 1024**2
LEAST_FREE = 16 * MEBIBYTE
"""A redirect and its undo write a few pages."""


def judged(facts: LedgerFacts, host: Machine) -> Iterator[Finding]:
    """Yield the finding that a redirect could not be recorded there, or would end with its session.

    Such a redirect would be refused, or lost, with replication off.
    """
    advice = {
        str(facts.exposed): (facts.exposed is not None, ledger_advice(host, facts.user)),
        f"{host.ledger} cannot be written by {facts.user}": (
            not facts.writable,
            ledger_advice(host, facts.user),
        ),
        f"{facts.free // MEBIBYTE} MiB free for {host.ledger}": (
            facts.free < LEAST_FREE,
            "free space on that disk, or set ledger to a directory on another disk",
        ),
        f"KillUserProcesses applies to {facts.user}": (
            facts.kills_processes is True,
            "set KillUserProcesses=no in logind.conf, or list the user in KillExcludeUsers",
        ),
        "no readable answer from loginctl": (
            facts.kills_processes is None,
            "make loginctl answer this user, or set KillUserProcesses=no in logind.conf",
        ),
    }
    wrong = {seen: move for seen, (is_wrong, move) in advice.items() if is_wrong}
    if wrong:
        yield checks.host_ledger_not_usable.finding(
            host.name,
            seen="; ".join(wrong),
            expected="a ledger that this user alone can write, and commands that outlive their "
            "session",
            advice="; ".join(dict.fromkeys(wrong.values())),
        )
