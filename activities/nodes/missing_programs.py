"""Say which programs a machine lacks that the worker's scripts need."""

from activities.nodes.operating_system import MissingProgram, Use
from activities.nodes.operating_systems import operating_system
from activities.transport.ssh import Shell
from workflows.model.checks import Check
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.text import listed


async def findings(
    shell: Shell, machine: Machine, use: Use, check: Check, place: str
) -> tuple[Finding, ...]:
    """Ask the machine, and return the check's finding that something is missing there."""
    missing = await operating_system(shell, machine).missing_programs(machine, use)
    return judged(missing, machine, check, place)


def judged(
    missing: tuple[MissingProgram, ...], machine: Machine, check: Check, place: str
) -> tuple[Finding, ...]:
    """Return the check's finding that these are missing."""
    if not missing:
        return ()
    names: dict[str, list[str]] = {}
    for one in missing:
        names.setdefault(one.purpose, []).append(one.name)
    account = machine.ssh.account
    lacks = (f"{listed(given, len(given))} ({purpose})" for purpose, given in names.items())
    return (
        check.finding(
            place,
            seen=f"commands of {account} on {machine.name} find no {', no '.join(lacks)}",
            expected="everything that docs/machines.md lists for such a machine",
            advice="; ".join(dict.fromkeys(one.advice for one in missing)),
        ),
    )
