"""An action whose attempt was interrupted is attempted again, and has its effect once."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta

import pytest

from activities.nodes.activities import SshNodes
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import operation
from activities.transport.ssh import Command, Shell
from tests.support.admin_api import Api
from tests.support.ssh_machines import SECRETS, Executor, Installation
from workflows.model import actions
from workflows.model.estate import Node, Protocol
from workflows.model.results import Report, Service

STOP_SSH = actions.StopGracefully(node="server1", protocol=Protocol.SSH, grace=timedelta(seconds=2))
START_SSH = actions.StartProtocolServer(node="server1", protocol=Protocol.SSH)
STOP_TM = actions.StopTransactionManager(node="server1", grace=timedelta(seconds=30))
STOP_SCHEDULER = operation("stop", Service.SCHEDULER)
CASES: dict[str, tuple[actions.Action, str, list[str]]] = {
    action.kind: (action, running, changes)
    for action, running, changes in (
        (actions.StopMonitor(node="server1"), "monitord sshd tm", ["stop monitord"]),
        (actions.StartMonitor(node="server1"), "sshd tm", ["start monitord"]),
        (STOP_SSH, "sshd tm", ["stop sshd -g -timeout 2"]),
        (START_SSH, "tm", ["start sshd", "stop monitord"]),
        (STOP_TM, "tm", ["stop tm -g -timeout 30"]),
        (actions.StartTransactionManager(node="server1"), "monitord sshd", ["start tm"]),
    )
}
"""By kind: the action, what runs before, and every change that it makes, once."""


async def interrupted(work: Awaitable[Report], after: float) -> None:
    """Let an attempt begin, and take it away."""
    attempt = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    attempt.cancel()
    with suppress(asyncio.CancelledError):
        await attempt


@pytest.mark.parametrize("after", [0.02, 0.2, 1.2])
@pytest.mark.parametrize("kind", CASES)
async def test_what_a_node_was_asked_before_an_interruption_is_not_asked_again(
    kind: str, after: float, node: Node, shell: Shell
) -> None:
    """Whenever it came: before the claim, while the command ran, or after it."""
    action, running, changes = CASES[kind]
    installation = Installation(node, *running.split())
    installation.set("slow")
    execute = Executor(SshNodes(shell, AdminClient(shell, SECRETS)), node)
    await shell.run(node, Command(("true",)))  # a connection that is being made leaves a socket
    await interrupted(execute(action), after)
    reports = [await execute(action) for _ in range(2)]
    assert [report.outcome for report in reports] == ["changed", "changed"]
    assert reports[0] == reports[1]
    assert installation.changes == changes


async def test_what_an_api_was_asked_by_a_worker_that_died_is_read_first(
    server: Node, api: Api, shell: Shell
) -> None:
    """Whatever was sent had its effect: nothing is sent twice, nothing is left out."""
    admin = AdminClient(shell, SECRETS)
    await admin.operate(server, STOP_SCHEDULER, 5)
    execute = Executor(RestScheduling(admin), server)
    report = await execute(actions.StopScheduling(node="server1"))
    assert report.message == "folder_monitor stopped on server1"
    assert sum(asked.startswith("POST") for asked in api.asked) == 2
