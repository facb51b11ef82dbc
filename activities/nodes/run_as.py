"""Find out what else sudo lets the account run that logs in to a machine."""

from activities.transport import sudo
from activities.transport.ssh import Shell, script
from workflows.errors import RunAsRefused
from workflows.model.estate import Machine
from workflows.model.findings import Finding
from workflows.model.text import listed, printable
from workflows.preflight.access import run_as_not_minimal as check


async def findings(shell: Shell, machine: Machine, place: str) -> tuple[Finding, ...]:
    """Return the finding that it may run commands as further accounts, or that sudo says nothing.

    Raises:
        RunAsRefused: it may run commands, but those may start no program.
    """
    ssh = machine.ssh
    if ssh.run_as is None:
        return ()
    answer = await shell.run(sudo.without(machine), script(sudo.LISTING))
    if "NOEXEC:" in answer.out:
        raise RunAsRefused(
            f"{machine.name}: a rule of sudoers for {ssh.user} has NOEXEC, so that what runs as "
            f"{ssh.account} may start no program; write into sudoers: {sudo.rule(ssh)}"
        )
    others = sudo.others(answer.out, ssh.account)
    if others == ():
        return ()
    printed = printable(answer.text)[: sudo.MAX_SAID] or "nothing"
    return (
        check.finding(
            place,
            seen=f"`sudo -n -l` of {ssh.user} printed: {printed}"
            if others is None
            else f"sudo also lets {ssh.user} run commands as {listed(others)}",
            expected=f"as {ssh.account} alone",
            advice=f"leave one rule for {ssh.user} in sudoers: {sudo.rule(ssh)}",
        ),
    )
