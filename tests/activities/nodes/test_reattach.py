"""An order whose attempt was interrupted is carried out again under the same name, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from activities.nodes.activities import SshNodes
from activities.scheduling import RestScheduling
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import operation
from activities.transport.ssh import Command, Shell
from tests.support.admin_api import Api
from tests.support.ssh_machines import SECRETS, Attempt, Installation, input_for
from workflows.model import actions
from workflows.model.estate import Node, Protocol
from workflows.model.results import Report, Service

GRACE = timedelta(seconds=2)
TM_GRACE = timedelta(seconds=30)
STOP_SSH = actions.StopGracefully(node="server1", protocol=Protocol.SSH, grace=GRACE)
STOP_SCHEDULER = operation("stop", Service.SCHEDULER)
CASES: dict[str, tuple[actions.Action, tuple[str, ...], list[str]]] = {
    "stop_monitor": (
        actions.StopMonitor(node="server1"),
        ("monitord", "sshd", "tm"),
        ["stop monitord"],
    ),
    "start_monitor": (actions.StartMonitor(node="server1"), ("sshd", "tm"), ["start monitord"]),
    "stop_gracefully": (STOP_SSH, ("sshd", "tm"), ["stop sshd -g -timeout 2"]),
    "start_protocol_server": (
        actions.StartProtocolServer(node="server1", protocol=Protocol.SSH),
        ("tm",),
        ["start sshd", "stop monitord"],
    ),
    "stop_transaction_manager": (
        actions.StopTransactionManager(node="server1", grace=TM_GRACE),
        ("tm",),
        ["stop tm -g -timeout 30"],
    ),
    "start_transaction_manager": (
        actions.StartTransactionManager(node="server1"),
        ("monitord", "sshd"),
        ["start tm"],
    ),
}
"""By hand: the order, what runs before, and every change that it makes, once."""


async def interrupted(work: Awaitable[Report], after: float) -> None:
    """Let an attempt begin, and take it away."""
    attempt = asyncio.ensure_future(work)
    await asyncio.sleep(after)
    attempt.cancel()
    with suppress(asyncio.CancelledError):
        await attempt


@pytest.mark.parametrize("after", [0.02, 0.2, 1.2])
@pytest.mark.parametrize("hand", CASES)
async def test_what_a_node_was_asked_before_an_interruption_is_not_asked_again(
    hand: str, after: float, node: Node, shell: Shell
) -> None:
    """Whenever it came: before the claim, while the command ran, or after it."""
    action, running, changes = CASES[hand]
    installation = Installation(node, *running)
    installation.set("slow")
    nodes = SshNodes(shell, AdminClient(shell, SECRETS))
    await shell.run(node, Command(("true",)))  # a connection that is being made leaves a socket
    execute: Callable[[Any], Awaitable[Report]] = getattr(nodes, hand)
    await interrupted(Attempt().run(execute, input_for(node, action)), after)
    reports = [await Attempt().run(execute, input_for(node, action)) for _ in range(2)]
    assert [report.outcome for report in reports] == ["changed", "changed"]
    assert reports[0] == reports[1]
    assert installation.changes == changes


async def test_what_an_api_was_asked_by_a_worker_that_died_is_read_first(
    server: Node, api: Api, shell: Shell
) -> None:
    """Whatever was sent had its effect: nothing is sent twice, nothing is left out."""
    scheduling = RestScheduling(AdminClient(shell, SECRETS))
    await AdminClient(shell, SECRETS).operate(server, STOP_SCHEDULER, 5)
    action = actions.StopScheduling(node="server1")
    report = await Attempt().run(scheduling.stop_scheduling, input_for(server, action))
    assert report.message == "folder_monitor stopped on server1"
    assert sum(asked.startswith("POST") for asked in api.asked) == 2
