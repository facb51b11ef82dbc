"""Say that a load balancer machine's reload command may not be run; pure."""

from workflows.model.findings import Finding
from workflows.model.load_balancers import machines_checks as checks
from workflows.model.machines import Command, Machine


def not_runnable(host: Machine, reload: Command) -> Finding:
    """Return the finding that it may not."""
    return checks.reload_not_runnable.finding(
        host.name,
        seen=f"{reload[0]} is missing, or may not be run by {host.ssh.account}",
        expected="a command that makes the load balancer read the addresses of its names again",
        advice="correct reload in the estate, or give the user the right",
    )
