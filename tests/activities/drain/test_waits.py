"""A wait ends when every client has left, and never because a reading failed."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.drain import eta as estimates
from activities.drain.activities import DrainActivities
from activities.nodes.observe import Observer
from activities.nodes.service_status import ServiceStatusReader
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Shell
from tests.support.admin_api import Api
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import QUICK, SECRETS, Attempt, Installation, SshServer, watching
from workflows.errors import AccessRefused, Stuck, Unresolved
from workflows.model import actions
from workflows.model.estate import Node, Protocol
from workflows.model.results import RemainingQueue, RemainingSessions, Report, Service, State

SESSIONS = actions.AwaitSessions(node="server1")
QUEUE = actions.AwaitQueue(node="server1")
EVENTS = actions.AwaitInFlightEvents(node="server1")
Action = actions.AwaitSessions | actions.AwaitQueue | actions.AwaitInFlightEvents
STUCK = {"id": "0x1", "status": "active", "accountName": "acme", "lastHeartbeat": 1000}
LIMIT = timedelta(seconds=0.3)
AT_ONCE = QUICK.model_copy(update={"unreachable_timeout": LIMIT})


class Wait:
    """One attempt at a wait, and what it heartbeats."""

    def __init__(self, waits: DrainActivities, node: Node, action: Action, **given: object) -> None:
        attempt = Attempt()
        self.beats = attempt.beats
        running = attempt.run(getattr(waits, action.kind), watching(node, action, **given))
        self._task = asyncio.create_task(running)

    async def beat(self, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - any beat
        """Return the first heartbeat from now on for which this holds."""
        seen = len(self.beats)
        while True:
            for beat in self.beats[seen:]:
                if holds(beat):
                    return beat
            seen = len(self.beats)
            await asyncio.sleep(0.01)

    async def ends(self) -> Report:
        """Return the report, soon."""
        report: Report = await asyncio.wait_for(self._task, 30)
        return report


Begin = Callable[..., Wait]


@pytest.fixture
def begin(shell: Shell) -> Begin:
    """Begin a wait on a node."""
    return partial(Wait, DrainActivities(shell, AdminClient(shell, SECRETS)))


async def test_sessions_have_ended_when_no_client_is_connected(
    begin: Begin, listening: Node, listener: Listener
) -> None:
    """A connection that sends nothing is a session all the same: its client may be thinking."""
    for _ in range(2):
        await listener.connect(listener.port)
    wait = begin(listening, SESSIONS)
    beat = await wait.beat(lambda beat: isinstance(beat, RemainingSessions))
    assert beat.connections == {Protocol.SSH: 2}
    await listener.leave()
    assert (await wait.ends()).outcome == "seen"
    assert wait.beats[-1].readings_at_zero == 3


async def test_ignored_peers_do_not_count(
    begin: Begin, listening: Node, listener: Listener, api: Api
) -> None:
    """Health checks never leave."""
    await listener.connect(listener.port)
    api.sessions = [{"id": 1, "userName": "checker", "host": "127.0.0.1", "protocol": "ssh"}]
    wait = begin(listening, SESSIONS, ignored_peers=("127.0.0.1",))
    assert (await wait.ends()).findings == ()


async def test_a_session_without_a_connection_counts(begin: Begin, server: Node, api: Api) -> None:
    """A user in the admin API's list is still there, and zero has to be seen in a row."""
    api.sessions = [{"id": 1, "userName": "partner1", "host": "10.0.0.1", "protocol": "ssh"}]
    wait = begin(server, SESSIONS)
    beat = await wait.beat(lambda beat: beat.accounts == ("partner1 over ssh",))
    assert beat.readings_at_zero == 0
    hidden, api.sessions = api.sessions, []
    await wait.beat(lambda beat: beat.readings_at_zero == 1)
    api.sessions = hidden
    await wait.beat(lambda beat: beat.readings_at_zero == 0)
    api.sessions = []
    await wait.ends()


async def test_a_reading_that_cannot_be_made_is_not_zero(
    begin: Begin, server: Node, api: Api, ssh_server: SshServer
) -> None:
    """The error is shown, the count begins anew, and the wait goes on."""
    ssh_server.sh = "/bin/false"
    wait = begin(server, SESSIONS)
    beat = await wait.beat(lambda beat: beat.error is not None)
    assert beat.readings_at_zero == 0
    ssh_server.sh = "/bin/sh"
    assert (await wait.ends()).outcome == "seen"


@pytest.mark.parametrize("action", [SESSIONS, QUEUE, EVENTS])
async def test_a_wait_that_can_read_nothing_is_for_an_operator_to_decide(
    begin: Begin, server: Node, api: Api, ssh_server: SshServer, action: Action
) -> None:
    """After the estate's limit, not after the drain timeout, and with the reason."""
    ssh_server.sh = "/bin/false"
    api.fails = [500] * 1000
    with pytest.raises(Unresolved, match=r"what remains could not be read since .* UTC: "):
        await begin(server, action, timing=AT_ONCE).ends()


@pytest.mark.parametrize("action", [QUEUE, EVENTS])
async def test_events_that_stay_active_for_ever_are_for_an_operator_to_decide(
    begin: Begin, server: Node, api: Api, action: Action
) -> None:
    """Once nothing else remains; they are named."""
    api.events = [STUCK, {"id": "0x2", "status": "ready"}]
    wait = begin(server, action, timing=AT_ONCE)
    began = (await wait.beat(lambda beat: beat.events == 2)).at
    await wait.beat(lambda beat: beat.at - began > 3 * LIMIT)
    api.events = [STUCK]
    with pytest.raises(Stuck, match=r"server1: nothing remains but .* 0x1 \(.*accountName acme"):
        await wait.ends()


@pytest.mark.parametrize("change", [{"lastHeartbeat": 2000}, {"retryCount": 1}])
async def test_an_event_in_work_is_waited_for(
    begin: Begin, server: Node, api: Api, change: dict[str, int]
) -> None:
    """It shows a new heartbeat, or another try."""
    api.events = [STUCK]
    wait = begin(server, QUEUE, timing=AT_ONCE)
    began = (await wait.beat(lambda beat: beat.events == 1)).at
    [key] = change
    while datetime.now(UTC) - began < 3 * LIMIT:
        api.events = [STUCK | {key: change[key] + len(wait.beats)}]
        await wait.beat(lambda beat: beat.events == 1)
    api.events = []
    assert (await wait.ends()).outcome == "seen"


@pytest.mark.parametrize("other", ["a transfer", "hidden events"])
async def test_an_event_that_is_not_alone_is_waited_for(
    begin: Begin, server: Node, api: Api, other: str
) -> None:
    """Whatever else remains may still take long; hidden events are not known to be active."""
    api.events = [STUCK]
    if other == "a transfer":
        api.transfers = ["transfer1"]
    else:
        api.hides_events = 10_000
    wait = begin(server, QUEUE, timing=AT_ONCE)
    began = (await wait.beat(lambda beat: beat.events == 1)).at
    await wait.beat(lambda beat: beat.at - began > 3 * LIMIT)
    api.events, api.transfers = [], []
    assert (await wait.ends()).outcome == "seen"


async def test_a_refused_login_ends_the_wait(begin: Begin, server: Node, api: Api) -> None:
    """That will not get better by waiting."""
    api.fails = [401]
    with pytest.raises(AccessRefused):
        await begin(server, SESSIONS).ends()


async def test_thousands_of_sessions_after_the_redirect_are_findings_of_bounded_number(
    begin: Begin, server: Node, api: Api
) -> None:
    """A hundred, each short, and one that says that there were more."""
    api.sessions = [
        {"id": n, "userName": "u" * 1000, "sessionCreationTime": datetime.now(UTC).isoformat()}
        for n in range(1000)
    ]
    wait = begin(server, SESSIONS, redirected_at=datetime.now(UTC) - timedelta(seconds=60))
    await wait.beat(lambda beat: bool(beat.accounts))
    api.sessions = []
    findings = (await wait.ends()).findings
    assert len(findings) == 101
    assert findings[-1].seen == "sessions besides these 100, which are not counted"
    assert max(len(str(finding)) for finding in findings) < 500


async def test_sessions_that_begin_after_the_redirect_are_named(
    begin: Begin, server: Node, api: Api
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
    wait = begin(server, SESSIONS, redirected_at=redirected)
    await wait.beat(lambda beat: bool(beat.accounts))
    api.sessions = []
    [finding] = (await wait.ends()).findings
    assert (finding.name, finding.severity) == ("session_after_redirect", "warns")
    assert "partner2" in finding.seen


async def test_only_the_work_in_hand_is_waited_for(begin: Begin, server: Node, api: Api) -> None:
    """What is queued later is not the Folder Monitor's work in hand; pages do not hide any."""
    api.events = [f"event{number}" for number in range(230)]
    wait = begin(server, EVENTS)
    beat = await wait.beat(lambda beat: isinstance(beat, RemainingQueue))
    assert beat.events == 230
    api.events = ["event229", "later"]
    await wait.beat(lambda beat: beat.events == 1)
    api.events = ["later"]
    assert (await wait.ends()).outcome == "seen"


async def test_the_queue_is_empty_when_nothing_is_queued_nor_active(
    begin: Begin, server: Node, api: Api
) -> None:
    """Three readings in a row, through a reading that could not be made."""
    api.events, api.transfers = ["event1"], ["transfer1"]
    wait = begin(server, QUEUE)
    await wait.beat(lambda beat: beat.events == 1 and beat.active == 1)
    api.events = []
    await wait.beat(lambda beat: beat.events == 0 and beat.readings_at_zero == 0)
    api.fails = [400]
    api.transfers = []
    await wait.beat(lambda beat: beat.error is not None)
    assert (await wait.ends()).outcome == "seen"
    assert wait.beats[-1].readings_at_zero == 3


async def test_a_wait_estimates_its_end_once_its_readings_allow_it(
    begin: Begin, server: Node, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the readings of this attempt alone; the first ones are too few."""
    monkeypatch.setattr(estimates, "MIN_SPAN", timedelta(seconds=0.2))
    api.events = [f"event{number}" for number in range(40)]
    wait = begin(server, QUEUE)
    first = await wait.beat(lambda beat: beat.events == 40)
    while api.events[8:]:
        api.events.pop()
        await asyncio.sleep(0.02)
    later = await wait.beat(lambda beat: beat.eta is not None)
    assert (first.eta, later.eta >= timedelta()) == (None, True)
    api.events = []
    assert (await wait.ends()).outcome == "seen"
    assert wait.beats[-1].eta is None


async def test_a_node_is_read_whole(
    server: Node, api: Api, shell: Shell, ssh_server: SshServer
) -> None:
    """Shell and API together: services, scheduling, version, timeouts, digest."""
    installation = Installation(server, "sshd", "tm", "monitord")
    installation.script("taeh", "the secret of all keys")
    observer = Observer(shell, ServiceStatusReader(shell), AdminClient(shell, SECRETS))
    reading = await observer.read(watching(server, actions.ObserveNode(node="server1")))
    assert reading.findings == ()
    assert reading.services[Service.SCHEDULER] is State.RUNNING
    assert reading.graceful_timeouts == {
        "Http.GracefulShutdownTimeout": "30",
        "Ssh.GracefulShutdownTimeout": "86400",
    }
    assert (reading.version, reading.sessions) == ("5.5-20240328", 0)
    assert reading.taeh is not None
    assert not any("secret of all keys" in command for command in ssh_server.commands)
