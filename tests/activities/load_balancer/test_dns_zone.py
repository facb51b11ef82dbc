"""A zone is redirected by one update, whatever becomes of attempts, answers, and other servers."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.dns import zone as module
from activities.load_balancer.dns.record import MAX_ENTRIES
from tests.activities.load_balancer.conftest import Inputs, dns_balancer
from tests.support.bind import NEEDS_BIND, NameServer, Servers, two_servers
from tests.support.dns_wire import Wire
from tests.support.polling import eventually
from tests.support.ssh_machines import Attempt
from workflows.errors import AccessRefused, NotReady, OutcomeUnknown, Unreachable
from workflows.model.actions import Redirect
from workflows.model.estate import Probe
from workflows.model.results import Report

pytestmark = NEEDS_BIND

TO_TWO = Redirect(host="dns", to="two", back_to="one")
TO_ONE = Redirect(host="dns", to="one", back_to="two")
BOTH_FAMILIES = {
    "edge1.st.example.com": {"one": ("10.1.0.1",), "two": ("10.2.0.1", "10.2.0.2")},
    "edge2.st.example.com": {"one": ("10.1.0.3", "2001:db8::1"), "two": ("10.2.0.3",)},
}

Attempts = Callable[..., Awaitable[Report]]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """Two servers of the zone."""
    with two_servers(tmp_path) as servers:
        yield servers


@pytest.fixture
def redirect(load_balancers: LoadBalancerActivities, client_probes: tuple[Probe, ...]) -> Attempts:
    """Make one attempt at a redirect."""

    async def run(
        servers: list[dict[str, object]],
        action: Redirect = TO_TWO,
        identity: str = "run-1",
        *,
        undo: bool = False,
        attempt: Attempt | None = None,
        **changes: object,
    ) -> Report:
        balancer = dns_balancer(client_probes, servers, **changes)
        given = Inputs(balancer, ()).of(action, identity, undo=undo)
        return await (attempt or Attempt()).run(load_balancers.redirect, given)

    return run


def wired(wire: Wire) -> list[dict[str, object]]:
    """Return the server at the other end of a wire, as an estate writes it."""
    return [{"address": "127.0.0.1", "port": wire.port}]


async def test_names_move_together_on_every_server(redirect: Attempts, servers: Servers) -> None:
    """Several addresses, of both families, there and back; TTLs and other records stay."""
    servers.primary.change("edge2 A 10.1.0.3", "edge2 AAAA 2001:db8::1")
    before = servers.primary.serial
    report = await redirect(servers.keys, names=BOTH_FAMILIES)
    assert (report.outcome, report.message) == ("changed", "st.example.com leads to two")
    assert servers.primary.serial == before + 1
    for server in (servers.primary, servers.secondary):
        assert server.ask("edge1", "A") == {"10.2.0.1", "10.2.0.2"}
        assert (server.ask("edge2", "A"), server.ask("edge2", "AAAA")) == ({"10.2.0.3"}, set())
        assert server.ask("other", "A") == {"192.0.2.7"}
    back = await redirect(servers.keys, TO_ONE, undo=True, names=BOTH_FAMILIES)
    assert back.outcome == "changed"
    assert servers.secondary.ask("edge2", "AAAA") == {"2001:db8::1"}
    assert servers.primary.serial == before + 2


async def test_an_answer_that_is_lost_is_found_in_the_zone(
    redirect: Attempts, name_server: NameServer
) -> None:
    """The update is sent once; this attempt and every later one report it alike."""
    async with Wire(name_server.port, lose_answer=True).laid() as wire:
        first = await redirect(wired(wire))
        assert first.outcome == "changed"
        assert await redirect(wired(wire)) == first
        assert len(wire.updates) == name_server.redirects == 1


async def test_an_update_that_is_lost_is_sent_by_the_next_attempt(
    redirect: Attempts, name_server: NameServer
) -> None:
    """The first attempt does not know what becomes of it, and says so."""
    async with Wire(name_server.port, lose_update=True).laid() as wire:
        with pytest.raises(OutcomeUnknown, match="has not changed so far"):
            await redirect(wired(wire))
        wire.lose_update = False
        assert (await redirect(wired(wire))).outcome == "changed"
        assert name_server.redirects == 1


async def test_an_update_that_comes_late_changes_nothing(
    redirect: Attempts, name_server: NameServer
) -> None:
    """Neither beside the one of the next attempt, nor after the undo.

    The old addresses are back then, but the zone remembers more than the update requires.
    """
    async with Wire(name_server.port, lose_update=True).laid() as wire:
        with pytest.raises(OutcomeUnknown):
            await redirect(wired(wire))
        [late] = wire.updates
        wire.lose_update = False
        await redirect(wired(wire))
        await wire.deliver(late)
        await redirect(wired(wire), TO_ONE, undo=True)
        assert name_server.ask("edge1", "A") == {"10.1.0.1"}
        serial = name_server.serial
        await wire.deliver(late)
        assert name_server.ask("edge1", "A") == {"10.1.0.1"}
        assert name_server.serial == serial


async def test_an_update_that_is_under_way_comes_to_nothing_after_an_undo(
    redirect: Attempts, name_server: NameServer
) -> None:
    """The undo finds the old addresses, and leaves a record all the same; once."""
    async with Wire(name_server.port, lose_update=True).laid() as wire:
        with pytest.raises(OutcomeUnknown):
            await redirect(wired(wire))
        [late] = wire.updates
        wire.lose_update = False
        undone = await redirect(wired(wire), TO_ONE, undo=True)
        assert undone.outcome == "unchanged"
        assert await redirect(wired(wire), TO_ONE, undo=True) == undone
        serial = name_server.serial
        await wire.deliver(late)
        with pytest.raises(NotReady, match="has put its addresses back already"):
            await redirect(wired(wire))
        assert name_server.ask("edge1", "A") == {"10.1.0.1"}
        assert name_server.serial == serial


async def test_an_attempt_that_reads_after_the_undo_changes_nothing(
    redirect: Attempts, name_server: NameServer
) -> None:
    """It finds that its operation was made, and reports that."""
    first = await redirect([name_server.key])
    await redirect([name_server.key], TO_ONE, undo=True)
    entries = name_server.ask("_switchover", "TXT")
    with pytest.raises(NotReady, match=r"127\.0\.0\.1:\d+ says that edge1"):
        await _impatient(redirect, name_server)
    assert first.outcome == "changed"
    assert name_server.ask("edge1", "A") == {"10.1.0.1"}
    assert name_server.ask("_switchover", "TXT") == entries


async def _impatient(redirect: Attempts, server: NameServer) -> Report:
    """Make an attempt that does not wait for servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TRANSFER_TIME", timedelta())
        return await redirect([server.key])


async def test_an_attempt_that_is_too_old_sends_nothing(
    redirect: Attempts, name_server: NameServer
) -> None:
    """Its worker was stopped, and another one has perhaps gone on."""
    with pytest.raises(Unreachable, match="nothing was sent"):
        await redirect([name_server.key], attempt=Attempt(age=timedelta(seconds=11)))
    assert name_server.added == []


async def test_a_change_by_others_is_not_overwritten(
    redirect: Attempts, name_server: NameServer
) -> None:
    """Not even one between reading and writing; the next attempt sees it, and names it."""
    async with Wire(name_server.port).laid() as wire:

        async def change() -> None:
            name_server.change("edge1 A 10.9.9.9")

        wire.before_update = change
        with pytest.raises(Unreachable, match="changed by others between reading and writing"):
            await redirect(wired(wire))
        with pytest.raises(NotReady, match=r"edge1\.st\.example\.com has 10\.9\.9\.9, which is on"):
            await redirect(wired(wire))
        assert name_server.ask("edge1", "A") == {"10.9.9.9"}
        assert len(wire.updates) == 1


async def test_a_zone_that_leads_there_already_is_not_changed(
    redirect: Attempts, name_server: NameServer
) -> None:
    """By this redirect; nor by an undo of what never began, which needs no right.

    Nor does that need any other server.
    """
    report = await redirect([name_server.key], TO_ONE)
    assert (report.outcome, report.message) == ("unchanged", "st.example.com led to one already")
    nowhere = {"address": "127.0.0.1", "port": 1}
    wrong = {"name": "unknown", "secret": "env:TSIG"}
    report = await redirect([name_server.key, nowhere], TO_ONE, undo=True, tsig=wrong)
    assert report.message == "st.example.com leads to one; this run has not changed it"
    assert name_server.added == []


async def test_an_update_that_is_refused_changes_nothing(
    redirect: Attempts, name_server: NameServer
) -> None:
    """The right may have been withdrawn since the check."""
    with pytest.raises(AccessRefused, match="answered REFUSED to the update"):
        await redirect([name_server.key], record="elsewhere.st.example.com")
    assert name_server.ask("edge1", "A") == {"10.1.0.1"}


async def test_a_server_that_does_not_get_the_change_is_named(
    redirect: Attempts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its serial; once it has the zone, a retry finds that all is done."""
    monkeypatch.setattr(module, "TRANSFER_TIME", timedelta(seconds=0.5))
    with two_servers(tmp_path, notified=False) as servers:
        with pytest.raises(NotReady, match=rf":{servers.secondary.port} has the serial 10, before"):
            await redirect(servers.keys)
        servers.secondary.stop()
        with pytest.raises(NotReady, match=rf":{servers.secondary.port} does not answer"):
            await redirect(servers.keys)
        (servers.secondary.folder / "copy.db").unlink()
        servers.secondary.start()  # it has no copy, and so asks for one
        monkeypatch.setattr(module, "TRANSFER_TIME", timedelta(seconds=20))
        assert (await redirect(servers.keys)).outcome == "changed"
        assert servers.primary.redirects == 1


async def test_the_zone_remembers_the_last_operations(
    redirect: Attempts, name_server: NameServer
) -> None:
    """So many, each with its time; what others wrote at that name stays."""
    name_server.change('_switchover TXT "v=site" "hands off"')
    for number in range(MAX_ENTRIES + 2):
        action = TO_ONE if number % 2 else TO_TWO
        await redirect([name_server.key], action, f"run-{number}")
    found = name_server.ask("_switchover", "TXT")
    ours = {one for one in found if one.startswith('"switchover"')}
    assert found - ours == {'"v=site" "hands off"'}
    assert len(ours) == MAX_ENTRIES
    assert any(f'"run-{MAX_ENTRIES + 1}.stage.redirect.dns.one.1"' in one for one in ours)


async def test_a_serial_that_has_wrapped_is_later(redirect: Attempts, tmp_path: Path) -> None:
    """Serials are compared in their circle (RFC 1982)."""
    records = "@ SOA ns1 admin 4294967295 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"
    with two_servers(tmp_path, records=f"{records}edge1 A 10.1.0.1\n") as servers:
        await eventually(lambda: servers.secondary.serial == 4294967295)
        assert (await redirect(servers.keys)).outcome == "changed"
        assert servers.secondary.serial < 10
