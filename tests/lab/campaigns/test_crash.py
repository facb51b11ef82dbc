"""The parts of the crash campaign: points, schedule, request hook and proxies."""

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from activities.ledger.posix import PosixLedger
from activities.transport.framing import CommandResult
from activities.transport.secrets import Secrets
from activities.transport.ssh import Command, Shell
from lab.campaigns.crash.campaign import CrashOptions
from lab.campaigns.crash.points import KINDS, Point, is_turn
from lab.campaigns.crash.schedule import (
    AT_MOST_ONE,
    MAX_POINTS_PER_RUN,
    Catalogue,
    KnownRequest,
    Schedule,
    shares,
)
from lab.layout import SHELL_PORT, Layout
from lab.node.request_hook import RequestEvent, passes
from lab.proxy.request_id import Request
from lab.proxy.request_monitor import RequestMonitor
from lab.proxy.tcp_proxy import SHELL_PROXY_PORT, TcpProxy
from lab.recorder.effects import Effect, RecordedEffect, overtaken
from tests.support.ledger_tasks import task
from tests.support.ssh_machines import SshServer, make_node
from workflows.model.estate import Machine
from workflows.model.stages import Procedure

RUN = "0b6b6f0e-8f1c-4a53-9a57-2f6f0f6d1a01"
ANOTHER_RUN = "5cf8b1de-30a5-4d0f-8c42-9a3f8f3f2b02"


def request(text: str, root: str = "/srv/a") -> Request:
    """A request as a node of a lab in *root* gets it."""
    return Request.of(RequestEvent("before", "cluster1-edge1", "ssh", text), Path(root))


def test_a_request_is_known_again_in_another_run_of_another_lab() -> None:
    """Neither the run's id nor the lab's directory nor a time makes it another request."""
    one = request(f"sh -c 'walk' x /srv/a/ledger {RUN}.stop.1 1795411452", "/srv/a")
    two = request(f"sh -c 'walk' x /srv/b/ledger {ANOTHER_RUN}.stop.1 1795419999", "/srv/b")
    assert one.key == two.key
    assert one.key != request(f"sh -c 'walk' x /srv/a/ledger {RUN}.start.1 1795411452").key


class Sends(Shell):
    """Keeps what is sent, and answers nothing."""

    def __init__(self) -> None:
        super().__init__(Secrets({}))
        self.sent: list[str] = []

    async def run(
        self,
        machine: Machine,  # noqa: ARG002 - see Shell
        command: Command,
        *,
        undecodable: str = "replace",  # noqa: ARG002 - see Shell
        limit: int = 0,  # noqa: ARG002 - see Shell
    ) -> CommandResult:
        """Keep it."""
        self.sent.append(str(command))
        return CommandResult(0, "", "")


async def test_a_claim_is_known_again_in_another_run(tmp_path: Path) -> None:
    """What has effects is what a campaign attacks: a random word must not hide it."""
    shell, machine = Sends(), make_node(SshServer(port=1), tmp_path)
    for run in (RUN, ANOTHER_RUN):
        claim = task(("stop_sshd", "-g"), operation=f"{run}.stage.stop_gracefully.server1.1")
        await PosixLedger(shell).begin(machine, claim)
    one, two = shell.sent
    assert one.replace(RUN, ANOTHER_RUN) != two
    assert request(one).key == request(two).key


@pytest.mark.parametrize("text", ["", "after_effect", "after_effect@", "nonsense@1"])
def test_an_unknown_point_is_refused(text: str) -> None:
    """A replay is never guessed."""
    with pytest.raises(ValueError, match="KIND@TRIGGER"):
        Point.read(text)


def test_a_point_reads_as_it_is_written() -> None:
    """An operator can repeat what a campaign prints."""
    point = Point("after_effect", "3f2a9c1d.4")
    assert Point.read(str(point)) == point


def repeatable(seed: int) -> Random:
    """A generator with a fixed seed."""
    return Random(seed)  # noqa: S311 - repeatable, not secret


def catalogue() -> Catalogue:
    """A run of a hundred requests, of which the first forty only read."""
    requests = [
        KnownRequest(Request(f"node{n % 4}", "ssh", f"words {n}"), 1 + n % 9, observing=n < 40)
        for n in range(100)
    ]
    return Catalogue(tuple(requests), 250, ("node0", "node1"))


def test_every_point_is_scheduled_once() -> None:
    """A missed point comes again, until every requested point is done."""
    wanted = shares(60, None)
    schedule = Schedule.of(catalogue(), 1, wanted)
    chance = repeatable(2)
    while chosen := schedule.next_points():
        kinds = Counter(point.kind for point in chosen)
        assert len(chosen) <= MAX_POINTS_PER_RUN
        assert all(kinds[kind] <= 1 for kind in AT_MOST_ONE)
        hit = [point for point in chosen if chance.random() < 0.7]
        schedule.record(hit, [point for point in chosen if point not in hit])
    assert schedule.done == wanted
    assert set(wanted) == set(KINDS)


def test_at_some_places_every_point_waits_for_a_request() -> None:
    """Neither an event of the history nor a node's turn is one."""
    for points in (1, 24, 60):
        wanted = shares(points, None, bound=True)
        assert set(wanted) == set(KINDS) - {"history_event", "reboot"}
        assert wanted.total() >= points
    assert shares(60, "reset", bound=True) == {"reset": 60}


def test_a_place_with_nothing_but_statements_is_attacked_there() -> None:
    """Although a statement, otherwise, is not frozen or cut."""
    only = KnownRequest(Request("database1", "sql", "SELECT 1"), 1, observing=True)
    schedule = Schedule.of(Catalogue((only,), 250), 1, Counter({"freeze": 1}))
    [point] = schedule.next_points()
    assert point.trigger == f"{only.request.key}.1"


def test_an_interrupted_campaign_schedules_what_remains() -> None:
    """Also what was in progress when it was interrupted."""
    wanted = shares(60, None)
    schedule = Schedule.of(catalogue(), 1, wanted)
    schedule.record(schedule.next_points(), ())
    schedule.next_points()
    schedule.reschedule(wanted)
    assert Counter(schedule.kinds) + schedule.done == wanted


@pytest.mark.parametrize(
    ("options", "full"),
    [
        (CrashOptions(points=300), True),
        (CrashOptions(points=299), False),
        (CrashOptions(points=100, procedure="rejoin"), True),
        (CrashOptions(points=99, procedure="rejoin"), False),
        (CrashOptions(points=300, procedure="rejoin", only="freeze"), False),
        (CrashOptions(points=1, at=("dns",)), True),
        (CrashOptions(points=1, at=("dns",), only="freeze"), False),
    ],
)
def test_a_campaign_of_enough_points_has_to_meet_every_request(
    options: CrashOptions, *, full: bool
) -> None:
    """A smaller one, or one of a single kind of attack, only says how many it met.

    One at some places has few requests, and has to meet them all.
    """
    assert options.full is full


@pytest.mark.parametrize(
    ("procedure", "turns"), [("switchover", ["ssh drain"]), ("rejoin", ["tm start", "ssh start"])]
)
def test_a_node_is_rebooted_at_its_turn(procedure: Procedure, turns: list[str]) -> None:
    """While it drains; in a rejoin, as it starts to serve."""
    effects = ("admin start", "tm start", "ssh start", "scheduler stop", "ssh drain", "ssh stopped")
    found = [e for e in effects if is_turn(procedure, e.split()[1], e.split()[0])]
    assert found == turns


def test_requests_without_a_crash_come_first() -> None:
    """Requests that were covered are not chosen while others were not."""
    schedule = Schedule.of(catalogue(), 1, Counter({"before_effect": 8}))
    for known in schedule.catalogue.requests[:-8]:
        schedule.covered.add((known.request, "before"))
    keys = {point.trigger for point in schedule.next_points()}
    assert keys <= {f"{known.request.key}.1" for known in schedule.catalogue.requests[-8:]}


def test_a_request_that_was_covered_is_attacked_at_any_of_its_times() -> None:
    """Of the redirect, not only of stage 0, where few requests are allowed."""
    known = KnownRequest(Request("dns", "dns", "edge1 A"), 5, observing=False)
    schedule = Schedule.of(Catalogue((known,), 250), 1, Counter({"after_effect": 40}))
    schedule.covered.add((known.request, "after"))
    triggers: set[str] = set()
    while points := schedule.next_points():
        triggers |= {point.trigger for point in points}
    assert triggers == {f"{known.request.key}.{number}" for number in range(1, 6)}


def test_no_point_comes_twice_in_a_run() -> None:
    """The second one would be missed; it comes in another run."""
    known = KnownRequest(Request("dns", "dns", "update"), 1, observing=False)
    schedule = Schedule.of(Catalogue((known,), 250), 1, Counter({"after_effect": 3}))
    for _ in range(3):
        points = schedule.next_points()
        assert [str(point) for point in points] == [f"after_effect@{known.request.key}.1"]
        schedule.record(points, ())
    assert schedule.next_points() == ()
    assert schedule.done == {"after_effect": 3}


def test_a_start_while_a_stop_is_pending_overtakes_it() -> None:
    """A start after it has completed does not."""
    record = [
        RecordedEffect(at, Effect("node0", "ssh", effect))
        for at, effect in enumerate(("drain", "start", "stopped", "start"))
    ]
    assert overtaken(record) == [record[1]]


async def test_without_a_listener_nothing_is_held(tmp_path: Path) -> None:
    """A lab without a campaign is not slowed down."""
    event = RequestEvent("before", "cluster1-edge1", "ssh", "true")
    assert await passes(Layout(tmp_path, "127.99.1"), event)


async def test_a_monitor_holds_and_drops(tmp_path: Path) -> None:
    """Its decision is carried out, and it counts the requests."""
    layout = Layout(tmp_path, "127.99.1")

    async def only_answers(event: RequestEvent, _: Request) -> bool:
        return event.when == "after"

    request_monitor = RequestMonitor(layout, only_answers)
    async with request_monitor.listening():
        event = RequestEvent("before", "cluster1-edge1", "ssh", "true")
        assert not await passes(layout, event)
        assert await passes(layout, RequestEvent("after", "cluster1-edge1", "ssh", "true"))
    assert [seen.times for seen in request_monitor.requests.values()] == [1]


BROKEN = (ConnectionResetError, asyncio.IncompleteReadError)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with what was received."""
    with suppress(ConnectionResetError):
        while part := await reader.read(100):
            writer.write(part)
    writer.close()


def own_address() -> str:
    """A loopback address on which no other test listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return f"127.99.{port // 256}.{port % 254 + 1}"


async def test_a_connection_is_cut_healed_and_reset_at_a_byte() -> None:
    """Until then it passes every byte."""
    address = own_address()
    proxy = TcpProxy("cluster1-edge1", address)
    async with await asyncio.start_server(echo, address, SHELL_PORT), await proxy.listen():
        reader, writer = await asyncio.open_connection(address, SHELL_PROXY_PORT)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        proxy.cut()
        with pytest.raises(BROKEN):
            await reader.readexactly(1)
        refused, _ = await asyncio.open_connection(address, SHELL_PROXY_PORT)
        with pytest.raises(BROKEN):
            await refused.readexactly(1)
        proxy.heal()
        reader, writer = await asyncio.open_connection(address, SHELL_PROXY_PORT)
        proxy.resets_after = 12
        writer.write(b"12345678")
        with pytest.raises(BROKEN):
            await reader.readexactly(8)
        assert proxy.was_reset.is_set()
        writer.close()


async def test_a_closed_connection_is_closed_through_the_proxy() -> None:
    """A machine that breaks a connection off does not leave the client waiting."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    address = own_address()
    proxy = TcpProxy("cluster1-edge1", address)
    async with await asyncio.start_server(hang_up, address, SHELL_PORT), await proxy.listen():
        reader, writer = await asyncio.open_connection(address, SHELL_PROXY_PORT)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_an_answer_breaks_off_at_a_byte() -> None:
    """Of every connection, until it is healed."""
    address = own_address()
    proxy = TcpProxy("loadbalancer1", address, answers_at_most=3)
    async with await asyncio.start_server(echo, address, SHELL_PORT), await proxy.listen():
        for _ in range(2):
            reader, writer = await asyncio.open_connection(address, SHELL_PROXY_PORT)
            writer.write(b"12345678")
            with pytest.raises(BROKEN):
                await reader.readexactly(8)
            writer.close()
        proxy.heal()
        reader, writer = await asyncio.open_connection(address, SHELL_PROXY_PORT)
        writer.write(b"12345678")
        assert await reader.readexactly(8) == b"12345678"
        writer.close()
