"""Say what keeps a load balancer machine from recording a redirect; pure."""

from activities.nodes import machine_ledger
from activities.nodes.operating_system import LedgerFacts
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.load_balancers import machines_checks as checks


def judged(facts: LedgerFacts, host: Machine) -> tuple[Finding, ...]:
    """Return the finding that a redirect could not be recorded there, or would end too early."""
    return machine_ledger.judged(facts, host, checks.host_ledger_not_usable, host.name)
