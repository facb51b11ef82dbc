"""Read what keeps a load balancer machine from recording a redirect."""

from activities.nodes import machine_ledger, missing_programs
from activities.nodes.operating_system import Use
from activities.transport.ssh import Shell
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.load_balancers import machines_checks as checks


async def program_findings(shell: Shell, host: Machine, use: Use) -> tuple[Finding, ...]:
    """Return the finding that the scripts of a redirect would lack a program there."""
    check = checks.host_program_missing
    return await missing_programs.findings(shell, host, use, check, host.name)


async def ledger_findings(shell: Shell, host: Machine) -> tuple[Finding, ...]:
    """Return the finding that a redirect could not be recorded there, or would end too early."""
    return await machine_ledger.findings(shell, host, checks.host_ledger_not_usable, host.name)
