"""Waits end when everyone has left, and never because nobody could look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.drain import eta as estimates
from activities.drain.activities import DrainActivities
from activities.nodes.observe import Observer
from activities.nodes.service_status import ServiceStatusReader
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.support.admin_api import Api
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import (
    SECRETS,
    Attempt,
    Installation,
    SshServer,
    input_for,
    watching,
)
from workflows.errors import AccessRefused, OutcomeUnknown
from workflows.model.actions import AwaitInFlightEvents, AwaitQueue, AwaitSessions, ObserveNode
from workflows.model.estate import Node, Protocol
from workflows.model.results import RemainingQueue, RemainingSessions, Report, Service, State

LEFT = AwaitSessions(node="server1")


@pytest.fixture
def waits(shell: Shell) -> DrainActivities:
    """The hands."""
    return DrainActivities(shell, AdminClient(shell, SECRETS))


async def beaten(attempt: Attempt, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - any beat
    """Return the first heartbeat from now on that is as wanted."""
    seen = len(attempt.beats)
    while True:
        for beat in attempt.beats[seen:]:
            if holds(beat):
                return beat
        seen = len(attempt.beats)
        await asyncio.sleep(0.01)


async def until_done(waiting: Awaitable[Report]) -> Report:
    """Return what a wait ends with, soon."""
    return await asyncio.wait_for(waiting, 10)


async def test_sessions_have_left_when_nobody_is_connected(
    waits: DrainActivities, node_maker: NodeMaker, server: Node
) -> None:
    """A connection that says nothing is a session all the same: its client may be thinking."""
    listener = Listener()
    port = await listener.open()
    node = node_maker(admin=server.admin, protocols={Protocol.SSH: (port,)})
    await listener.connect(port)
    await listener.connect(port)
    attempt = Attempt()
    waiting = asyncio.create_task(attempt.run(waits.await_sessions, watching(node, LEFT)))
    beat = await beaten(attempt, lambda beat: isinstance(beat, RemainingSessions))
    assert beat.connections == {Protocol.SSH: 2}
    await listener.leave()
    report = await until_done(waiting)
    last = attempt.beats[-1]
    assert (report.outcome, last.readings_at_zero) == ("seen", 3)
    await listener.close()


async def test_those_who_only_watch_do_not_count(
    waits: DrainActivities, node_maker: NodeMaker, server: Node, api: Api
) -> None:
    """Health checks never leave."""
    listener = Listener()
    port = await listener.open()
    await listener.connect(port)
    api.sessions = [{"id": 1, "userName": "checker", "host": "127.0.0.1", "protocol": "ssh"}]
    node = node_maker(admin=server.admin, protocols={Protocol.SSH: (port,)})
    given = watching(node, LEFT, ignored_peers=("127.0.0.1",))
    assert (await until_done(Attempt().run(waits.await_sessions, given))).findings == ()
    await listener.close()


async def test_a_session_without_a_connection_counts(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """Whoever is on the admin API's list is still there, and zero has to be seen in a row."""
    api.sessions = [{"id": 1, "userName": "partner1", "host": "10.0.0.1", "protocol": "ssh"}]
    attempt = Attempt()
    waiting = asyncio.create_task(attempt.run(waits.await_sessions, watching(server, LEFT)))
    beat = await beaten(attempt, lambda beat: beat.accounts == ("partner1 over ssh",))
    assert beat.readings_at_zero == 0
    hidden, api.sessions = api.sessions, []
    await beaten(attempt, lambda beat: beat.readings_at_zero == 1)
    api.sessions = hidden
    await beaten(attempt, lambda beat: beat.readings_at_zero == 0)
    api.sessions = []
    await until_done(waiting)


async def test_a_reading_that_cannot_be_made_is_not_zero(
    waits: DrainActivities, server: Node, api: Api, ssh_server: SshServer
) -> None:
    """Trouble is shown, the count begins anew, and the wait goes on."""
    ssh_server.sh = "/bin/false"
    attempt = Attempt()
    waiting = asyncio.create_task(attempt.run(waits.await_sessions, watching(server, LEFT)))
    beat = await beaten(attempt, lambda beat: beat.error is not None)
    assert beat.readings_at_zero == 0
    ssh_server.sh = "/bin/sh"
    assert (await until_done(waiting)).outcome == "seen"


async def test_a_refused_login_ends_the_wait(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """That will not get better by waiting."""
    api.fails = [401]
    with pytest.raises(AccessRefused):
        await Attempt().run(waits.await_sessions, watching(server, LEFT))


async def test_sessions_that_begin_after_the_redirect_are_named(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """By the node's own clock, which may be wrong."""
    redirected = datetime.now(UTC) - timedelta(seconds=60)
    api.clock_ahead = timedelta(hours=1)
    there = datetime.now(UTC) + api.clock_ahead

    def session(number: int, age: float) -> dict[str, object]:
        began = (there - timedelta(seconds=age)).timestamp() * 1000
        who = {"userName": f"partner{number}", "host": "10.0.0.1", "protocol": "ssh"}
        return {"id": number, "sessionCreationTime": began, **who}

    api.sessions = [session(1, 300), session(2, 10)]
    attempt = Attempt()
    given = watching(server, LEFT, redirected_at=redirected)
    waiting = asyncio.create_task(attempt.run(waits.await_sessions, given))
    await beaten(attempt, lambda beat: bool(beat.accounts))
    api.sessions = []
    report = await until_done(waiting)
    assert [(f.name, f.severity) for f in report.findings] == [("session_after_redirect", "warns")]
    assert "partner2" in report.findings[0].seen


async def test_only_the_work_in_hand_is_waited_for(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """What is queued later is not what the Folder Monitor had in hand; pages do not hide any."""
    api.events = [f"event{number}" for number in range(230)]
    attempt = Attempt()
    action = AwaitInFlightEvents(node="server1")
    waiting = asyncio.create_task(
        attempt.run(waits.await_in_flight_events, input_for(server, action))
    )
    beat = await beaten(attempt, lambda beat: isinstance(beat, RemainingQueue))
    assert beat.events == 230
    api.events = ["event229", "later"]
    await beaten(attempt, lambda beat: beat.events == 1)
    api.events = ["later"]
    assert (await until_done(waiting)).outcome == "seen"


async def test_the_queue_is_empty_when_nothing_is_queued_nor_active(
    waits: DrainActivities, server: Node, api: Api
) -> None:
    """Three readings in a row, through a reading that could not be made."""
    api.events, api.transfers = ["event1"], ["transfer1"]
    attempt = Attempt()
    action = AwaitQueue(node="server1")
    waiting = asyncio.create_task(attempt.run(waits.await_queue, input_for(server, action)))
    await beaten(attempt, lambda beat: beat.events == 1 and beat.active == 1)
    api.events = []
    await beaten(attempt, lambda beat: beat.events == 0 and beat.readings_at_zero == 0)
    api.fails = [400]
    api.transfers = []
    await beaten(attempt, lambda beat: beat.error is not None)
    assert (await until_done(waiting)).outcome == "seen"
    assert attempt.beats[-1].readings_at_zero == 3


async def test_a_wait_says_when_it_ends_once_its_readings_tell(
    waits: DrainActivities, server: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the readings of this attempt alone; the first ones say nothing."""
    monkeypatch.setattr(estimates, "MIN_SPAN", timedelta(seconds=0.2))
    api.events = [f"event{number}" for number in range(40)]
    attempt = Attempt()
    action = AwaitQueue(node="server1")
    waiting = asyncio.create_task(attempt.run(waits.await_queue, input_for(server, action)))
    first = await beaten(attempt, lambda beat: beat.events == 40)
    while api.events[8:]:
        api.events.pop()
        await asyncio.sleep(0.02)
    told = await beaten(attempt, lambda beat: beat.eta is not None)
    assert (first.eta, told.eta >= timedelta()) == (None, True)
    api.events = []
    assert (await until_done(waiting)).outcome == "seen"
    assert attempt.beats[-1].eta is None


async def test_a_storage_that_cannot_be_searched_is_not_free_of_orphans(
    server: Node, shell: Shell, tmp_path: Path
) -> None:
    """What unfinished transfers left is listed, and nothing is concluded from an error."""
    (tmp_path / "a b.m_inproc").write_text("half", encoding="utf-8")
    reader = ServiceStatusReader(shell)
    assert [
        path for path, _ in await reader.system(server).orphaned_files(server, str(tmp_path))
    ] == [str(tmp_path / "a b.m_inproc")]
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await reader.system(server).orphaned_files(server, str(tmp_path / "not-mounted"))


async def test_a_node_is_read_whole(
    server: Node, api: Api, shell: Shell, ssh_server: SshServer
) -> None:
    """Shell and API together: services, scheduling, version, timeouts, digest."""
    installation = Installation(server, "sshd", "tm", "monitord")
    installation.script("taeh", "the secret of all keys")
    observer = Observer(ServiceStatusReader(shell), AdminClient(shell, SECRETS))
    reading = await observer.read(watching(server, ObserveNode(node="server1")))
    assert reading.findings == ()
    assert reading.services[Service.SCHEDULER] is State.RUNNING
    assert reading.graceful_timeouts == {
        "Http.GracefulShutdownTimeout": "30",
        "Ssh.GracefulShutdownTimeout": "86400",
    }
    assert (reading.version, reading.sessions) == ("5.5 20240328", 0)
    assert reading.taeh is not None
    assert not any("secret of all keys" in command for command in ssh_server.commands)
