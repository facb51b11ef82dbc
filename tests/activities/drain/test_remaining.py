"""A look says whom and what a decision concerns, and why it may not know."""

from __future__ import annotations

import time

import pytest

from activities.drain.activities import DrainActivities
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Api
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import SECRETS, Attempt, input_for, watching
from workflows.model.actions import ReadQueue, ReadSessions
from workflows.model.estate import Node, Protocol

SESSIONS, QUEUE = ReadSessions(node="server1"), ReadQueue(node="server1")


@pytest.fixture
def waits(shell: Shell) -> DrainActivities:
    """The hands."""
    return DrainActivities(shell, AdminClient(shell, SECRETS))


async def test_connected_users_are_named_with_protocol(
    waits: DrainActivities, node_maker: NodeMaker, server: Node, api: Api
) -> None:
    """By account and the estate's word for the protocol; one who is there twice is named once."""
    listener = Listener()
    port = await listener.open()
    await listener.connect(port)
    api.sessions = [
        {"id": 1, "userName": "partner2", "host": "10.0.0.2", "protocol": "HTTPS"},
        {"id": 2, "userName": "partner1", "host": "10.0.0.1", "protocol": "sftp"},
        {"id": 3, "userName": "partner1", "host": "10.0.0.1", "protocol": "ssh"},
        {"id": 4, "userName": "checker", "host": "10.9.9.9", "protocol": "ssh"},
        {"id": 5, "userName": "", "host": "10.0.0.3", "protocol": "gopher"},
    ]
    node = node_maker(admin=server.admin, protocols={Protocol.SSH: (port,)})
    given = watching(node, SESSIONS, ignored_peers=("10.9.9.9",))
    left = await Attempt().run(waits.read_sessions, given)
    assert left.connections == {Protocol.SSH: 1}
    assert left.accounts == (
        "an unknown user over gopher",
        "partner1 over ssh",
        "partner2 over http",
    )
    assert left.error is None
    await listener.close()


async def test_what_is_queued_is_told_by_whatever_fields_it_has(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """The first twenty; fields that nobody knows do not matter, nor what they hold."""
    api.events = [
        {"id": 1, "type": "upload", "account": "partner1", "path": "/inbox/a", "new": {"a": [1]}},
        {"id": 2, "account": None, "retries": 3, "path": "/in\x1b[2Jbox\n"},
        "event3",
        *(f"event{number}" for number in range(4, 101)),
    ]
    api.transfers = ["transfer1"]
    left = await Attempt().run(waits.read_queue, input_for(server, QUEUE))
    assert (left.events, left.active, len(left.queued), left.error) == (100, 1, 20, None)
    assert left.queued[:3] == (
        "type upload, account partner1, path /inbox/a",
        "retries 3, path /in[2Jbox",
        "id event3",
    )


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_an_api_that_does_not_tell_is_trouble_beside_what_is_known(
    status: int, waits: DrainActivities, node_maker: NodeMaker, server: Node, api: Api
) -> None:
    """Refused, too, is no error here: someone wants to decide, knowing as much as can be known."""
    listener = Listener()
    port = await listener.open()
    await listener.connect(port)
    api.fails = [status] * 20
    node = node_maker(admin=server.admin, protocols={Protocol.SSH: (port,)})
    left = await Attempt().run(waits.read_sessions, watching(node, SESSIONS))
    assert (left.connections, left.accounts) == ({Protocol.SSH: 1}, ())
    assert str(status) in (left.error or "")
    queue = await Attempt().run(waits.read_queue, input_for(server, QUEUE))
    assert (queue.events, queue.active, queue.queued) == (None, None, ())
    assert str(status) in (queue.error or "")
    await listener.close()


async def test_a_silent_node_is_trouble_within_seconds(
    waits: DrainActivities, node_maker: NodeMaker
) -> None:
    """Neither shell nor API: zero is not claimed of anything."""
    access = {"user": "st", "key": "env:KEY", "port": 1}
    silent = node_maker(ssh=access)
    began = time.monotonic()
    left = await Attempt().run(waits.read_sessions, watching(silent, SESSIONS))
    queue = await Attempt().run(waits.read_queue, input_for(silent, QUEUE))
    assert time.monotonic() - began < 20
    assert (left.connections, queue.events) == ({}, None)
    assert "does not answer" in (left.error or "")
    assert "does not answer" in (queue.error or "")


async def test_an_answer_that_cannot_be_read_is_trouble(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """A session without an id is not as documented: it is not counted as nobody."""
    api.sessions = [{"userName": "partner1"}]
    left = await Attempt().run(waits.read_sessions, watching(server, SESSIONS))
    assert left.accounts == ()
    assert "cannot be read" in (left.error or "")
