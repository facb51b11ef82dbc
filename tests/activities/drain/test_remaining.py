"""What remains is read for a decision; what cannot be read is an error beside it."""

import time
from collections.abc import Awaitable, Callable

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
from workflows.model.results import RemainingQueue, RemainingSessions

Sessions = Callable[..., Awaitable[RemainingSessions]]
Queue = Callable[[Node], Awaitable[RemainingQueue]]


@pytest.fixture
def drain(shell: Shell) -> DrainActivities:
    """The activities."""
    return DrainActivities(shell, AdminClient(shell, SECRETS))


@pytest.fixture
def sessions(drain: DrainActivities) -> Sessions:
    """Read the sessions of a node."""

    def read(node: Node, *ignored: str) -> Awaitable[RemainingSessions]:
        given = watching(node, ReadSessions(node="server1"), ignored_peers=ignored)
        return Attempt().run(drain.read_sessions, given)

    return read


@pytest.fixture
def queue(drain: DrainActivities) -> Queue:
    """Read the queue of a node."""
    action = ReadQueue(node="server1")
    return lambda node: Attempt().run(drain.read_queue, input_for(node, action))


async def test_connected_users_are_named_with_protocol(
    sessions: Sessions, listening: Node, listener: Listener, api: Api
) -> None:
    """By account and the estate's word for the protocol; one with two sessions is named once."""
    await listener.connect(listener.port)
    api.sessions = [
        {"id": 1, "userName": "partner2", "host": "10.0.0.2", "protocol": "HTTPS"},
        {"id": 2, "userName": "partner1", "host": "10.0.0.1", "protocol": "sftp"},
        {"id": 3, "userName": "partner1", "host": "10.0.0.1", "protocol": "ssh"},
        {"id": 4, "userName": "checker", "host": "10.9.9.9", "protocol": "ssh"},
        {"id": 5, "userName": "", "host": "10.0.0.3", "protocol": "gopher"},
    ]
    remaining = await sessions(listening, "10.9.9.9")
    assert remaining.connections == {Protocol.SSH: 1}
    assert remaining.accounts == (
        "an unknown user over gopher",
        "partner1 over ssh",
        "partner2 over http",
    )
    assert remaining.error is None


async def test_ten_thousand_users_are_named_in_little_space(
    sessions: Sessions, server: Node, api: Api
) -> None:
    """Of accounts with names of a thousand letters, the first hundred; and how many more."""
    api.sessions = [{"id": n, "userName": f"{n:05}{'x' * 995}"} for n in range(2_000)]
    remaining = await sessions(server)
    assert remaining.accounts[-1] == "and 1900 more"
    assert len(remaining.accounts) == 101
    assert len(remaining.model_dump_json()) < 64 * 1024


async def test_what_is_queued_is_described_by_whatever_fields_it_has(
    queue: Queue, server: Node, api: Api
) -> None:
    """The first twenty; neither unknown fields matter nor what they hold."""
    api.events = [
        {"id": 1, "type": "upload", "account": "partner1", "path": "/inbox/a", "new": {"a": [1]}},
        {"id": 2, "account": None, "retries": 3, "path": "/in\x1b[2Jbox\n"},
        "event3",
        *(f"event{number}" for number in range(4, 101)),
    ]
    api.transfers = ["transfer1"]
    remaining = await queue(server)
    assert (remaining.events, remaining.active, remaining.error) == (100, 1, None)
    assert len(remaining.queued) == 20
    assert remaining.queued[:3] == (
        "type upload, account partner1, path /inbox/a",
        "retries 3, path /in[2Jbox",
        "id event3",
    )


@pytest.mark.parametrize("status", [400, 401, 503])
async def test_an_api_that_refuses_is_an_error_beside_what_is_known(  # noqa: PLR0913, PLR0917 - fixtures
    status: int, sessions: Sessions, queue: Queue, listening: Node, listener: Listener, api: Api
) -> None:
    """A refusal is not raised either: the operator decides with all that can be known."""
    await listener.connect(listener.port)
    api.fails = [status] * 20
    remaining = await sessions(listening)
    assert (remaining.connections, remaining.accounts) == ({Protocol.SSH: 1}, ())
    assert str(status) in (remaining.error or "")
    queued = await queue(listening)
    assert (queued.events, queued.active, queued.queued) == (None, None, ())
    assert str(status) in (queued.error or "")


async def test_a_silent_node_is_an_error_within_seconds(
    sessions: Sessions, queue: Queue, node_maker: NodeMaker
) -> None:
    """Neither shell nor API: no count is claimed to be zero."""
    silent = node_maker(ssh={"user": "st", "key": "env:KEY", "port": 1})
    began = time.monotonic()
    remaining, queued = await sessions(silent), await queue(silent)
    assert time.monotonic() - began < 20
    assert (remaining.connections, queued.events) == ({}, None)
    assert "does not answer" in (remaining.error or "")
    assert "does not answer" in (queued.error or "")


async def test_an_answer_that_cannot_be_read_is_an_error(
    sessions: Sessions, server: Node, api: Api
) -> None:
    """A session without an id is not as documented: it does not count as no session."""
    api.sessions = [{"userName": "partner1"}]
    remaining = await sessions(server)
    assert remaining.accounts == ()
    assert "cannot be read" in (remaining.error or "")
