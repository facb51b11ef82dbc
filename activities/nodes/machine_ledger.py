"""Say what keeps a machine that is no node from recording what is done there."""

from activities.nodes import run_as
from activities.nodes.operating_system import LedgerFacts
from activities.nodes.operating_systems import operating_system
from activities.transport.ssh import Shell
from workflows.model.checks import Check
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.preflight.nodes import ledger_advice

MEBIBYTE = 1024**2
LEAST_FREE = 16 * MEBIBYTE
"""An effect and its undo write a few pages."""


async def findings(shell: Shell, machine: Machine, check: Check, place: str) -> tuple[Finding, ...]:
    """Read what the machine's ledger and its account are like, and judge both."""
    facts = await operating_system(shell, machine).ledger_facts(machine)
    account = await run_as.findings(shell, machine, place)
    return (*judged(facts, machine, check, place), *account)


def judged(facts: LedgerFacts, machine: Machine, check: Check, place: str) -> tuple[Finding, ...]:
    """Return the check's finding that an effect could not be recorded, or would end too early.

    Such an effect would be refused, or lost, with replication off.
    """
    advice = {
        str(facts.exposed): (facts.exposed is not None, ledger_advice(machine, facts.user)),
        f"{machine.ledger} cannot be written by {facts.user}": (
            not facts.writable,
            ledger_advice(machine, facts.user),
        ),
        f"{facts.free // MEBIBYTE} MiB free for {machine.ledger}": (
            facts.free < LEAST_FREE,
            "free space on that disk, or set ledger to a directory on another disk",
        ),
        f"KillUserProcesses applies to {machine.ssh.session_of(facts.user)}": (
            facts.kills_processes is True,
            "set KillUserProcesses=no in logind.conf, or list the user in KillExcludeUsers",
        ),
        "no readable answer from loginctl": (
            facts.kills_processes is None,
            "make loginctl answer this user, or set KillUserProcesses=no in logind.conf",
        ),
    }
    wrong = {seen: move for seen, (is_wrong, move) in advice.items() if is_wrong}
    if not wrong:
        return ()
    return (
        check.finding(
            place,
            seen="; ".join(wrong),
            expected="a ledger that this user alone can write, and commands that outlive their "
            "session",
            advice="; ".join(dict.fromkeys(wrong.values())),
        ),
    )
