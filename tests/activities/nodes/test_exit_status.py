"""The state that is read decides what a command did, not its exit status."""

from datetime import timedelta

import pytest

from activities.nodes.activities import SshNodes
from tests.activities.nodes.conftest import START_SSH, STOP_SSH, Machine
from tests.support.ssh_machines import Executor, Installation
from workflows.errors import Unresolved
from workflows.model import actions
from workflows.model.estate import Node


@pytest.mark.parametrize(
    ("script", "runs_before", "action"),
    [
        ("stop_monitord", ("monitord",), actions.StopMonitor(node="server1")),
        ("stop_sshd", ("sshd",), STOP_SSH),
        ("start_sshd", (), START_SSH),
    ],
)
async def test_the_state_decides_and_not_the_exit_status(
    script: str, runs_before: tuple[str, ...], action: actions.Action, machine: Machine
) -> None:
    """The vendor documents no exit status: a script that did its work and exits 3 succeeded."""
    verb, _, name = script.partition("_")
    machine.installation.clear(*{"monitord", "sshd"}.difference(runs_before))
    change = f"{'rm' if verb == 'stop' else 'touch'} {machine.installation.state}/{name}"
    machine.installation.script(script, f"#!/bin/sh\n{change}; echo odd words; exit 3\n")
    report = await machine.execute(action)
    assert report.outcome == "changed"
    assert "although the command ended with 3: odd words" in report.message
    assert machine.installation.runs(name) is (verb == "start")


async def test_a_failed_stop_with_an_unreadable_state_is_unresolved(machine: Machine) -> None:
    """Neither a success nor a failure is known: an operator has to look, and to say so."""
    status = machine.installation.home / "bin/status_monitord"
    machine.installation.script(
        "stop_monitord", f"#!/bin/sh\necho 'echo monitord rests' >{status}\nexit 1\n"
    )
    with pytest.raises(Unresolved, match="1: it printed nothing, but monitor is unknown"):
        await machine.execute(actions.StopMonitor(node="server1"))


async def test_a_command_that_hangs_is_named_with_its_age(
    nodes: SshNodes, node: Node, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its limit an operator is asked; nothing is sent a second time."""
    monkeypatch.setattr("activities.ledger.store.LONGER", timedelta())
    installation.script(
        "stop_monitord", f"#!/bin/sh\necho stop monitord >>{installation.state}/calls; sleep 5\n"
    )
    execute = Executor(nodes, node)
    for _ in range(2):
        with pytest.raises(Unresolved, match=r"stop_monitord` still runs, since .* of 1 s has"):
            await execute(actions.StopMonitor(node="server1"))
    assert installation.changes == ["stop monitord"]


async def test_a_start_is_not_repeated_while_its_state_is_unknown(machine: Machine) -> None:
    """What cannot be read may have been done: only what reads as down is started again."""
    machine.installation.clear("sshd")
    home, state = machine.installation.home, machine.installation.state
    machine.installation.script(
        "start_sshd",
        f"#!/bin/sh\necho start sshd >>{state}/calls\n"
        f"echo 'echo sshd rests' >{home}/bin/status_sshd\nexit 1\n",
    )
    with pytest.raises(Unresolved, match="ended with 1"):
        await machine.execute(START_SSH)
    assert machine.installation.changes == ["start sshd"]
