"""Read what keeps a load balancer machine from recording a redirect."""

from activities.nodes import machine_ledger
from activities.transport.ssh import Shell
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.load_balancers import machines_checks as checks


async def ledger_findings(shell: Shell, host: Machine) -> tuple[Finding, ...]:
    """Return the finding that a redirect could not be recorded there, or would end too early."""
    return await machine_ledger.findings(shell, host, checks.host_ledger_not_usable, host.name)
