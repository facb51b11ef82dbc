"""A load balancer machine follows the zone: it is waited for, and reloaded once."""

import asyncio
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from activities.load_balancer.activities import LoadBalancerActivities
from activities.load_balancer.dns import hosts as module
from activities.load_balancer.dns.driver import DnsDriver
from activities.load_balancer.driver import PlaceState
from activities.transport.ssh import Shell
from tests.activities.conftest import NodeMaker
from tests.activities.load_balancer.conftest import Inputs, dns_balancer
from tests.support.bind import NEEDS_BIND, NameServer
from tests.support.mount_namespace import NEEDS_ROOT
from tests.support.polling import eventually
from tests.support.ssh_machines import SECRETS, Attempt, SshServer
from workflows.errors import CommandFailed, NotReady
from workflows.model.actions import ObserveTraffic, Redirect
from workflows.model.estate import Probe
from workflows.model.load_balancers.dns import DnsLoadBalancer
from workflows.model.results import Report
from workflows.preflight.catalogue import BY_NAME

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = Redirect(host="lb1", to="one", back_to="two")
EDGE = "edge1.st.example.com"
NEEDS_DIG = pytest.mark.skipif(
    shutil.which("dig") is None, reason="dig (Debian's bind9-dnsutils) is not installed"
)

GETENT = """\
#!{python}
# The system's resolver asks port 53 only: this asks the test's name server, and prints as it does.
import sys
import dns.exception, dns.message, dns.query, dns.rdataclass, dns.rdatatype
name = dns.name.from_text(sys.argv[2])
try:
    for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
        question = dns.message.make_query(name, kind)
        answer = dns.query.tcp(question, "127.0.0.1", 5, {port})
        for one in answer.get_rrset(answer.answer, name, dns.rdataclass.IN, kind) or ():
            print(f"{{one.address:<15}} STREAM {{sys.argv[2]}}")
            print(f"{{one.address:<15}} DGRAM")
except (OSError, EOFError, dns.exception.DNSException):
    sys.exit(2)
"""


@dataclass
class Site:
    """A machine that resolves one name, and the name server that it asks."""

    balancer: DnsLoadBalancer
    server: NameServer
    folder: Path
    shell: Shell
    load_balancers: LoadBalancerActivities

    def changed(self, **changes: object) -> "Site":
        """Return it with other keys of the host in the estate."""
        host = self.balancer.hosts[0].model_dump() | changes
        balancer = DnsLoadBalancer.model_validate(self.balancer.model_dump() | {"hosts": [host]})
        return Site(balancer, self.server, self.folder, self.shell, self.load_balancers)

    async def observe(self) -> PlaceState:
        """Read the machine."""
        given = Inputs(self.balancer, ()).of(ObserveTraffic(host="lb1"))
        return await DnsDriver(self.shell, SECRETS, self.balancer).observe(given)

    async def redirect(
        self, action: Redirect = TO_TWO, identity: str = "run-1", *, undo: bool = False
    ) -> Report:
        """Make one attempt at the machine's own action."""
        given = Inputs(self.balancer, ()).of(action, identity, undo=undo)
        return await Attempt().run(self.load_balancers.redirect, given)

    @property
    def reloads(self) -> int:
        """How often the machine was reloaded."""
        file = self.folder / "reloads"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def configure(self, text: str) -> dict[str, str]:
        """Write HAProxy's configuration; return its key."""
        file = self.folder / "haproxy.cfg"
        file.write_text(text)
        return {"configuration": str(file)}


@pytest.fixture
def site(  # noqa: PLR0913, PLR0917 - what it consists of
    name_server: NameServer,
    client_probes: tuple[Probe, ...],
    node_maker: NodeMaker,
    tmp_path: Path,
    shell: Shell,
    load_balancers: LoadBalancerActivities,
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """A machine with a reload command, without HAProxy's configuration."""
    programs = tmp_path / "programs"
    programs.mkdir()
    getent = programs / "getent"
    getent.write_text(GETENT.format(python=sys.executable, port=name_server.port))
    reload = programs / "reload"
    reload.write_text(f"#!/bin/sh\ndate >>{tmp_path}/reloads\n[ ! -e {tmp_path}/broken ]\n")
    for program in (getent, reload):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
    machine = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    host = {**machine, "name": "lb1", "reload": (str(reload),)}
    balancer = dns_balancer(client_probes, [name_server.key], hosts=[host])
    return Site(balancer, name_server, tmp_path, shell, load_balancers)


def names(state: PlaceState) -> list[str]:
    """Return the names of what was found; each is complete."""
    for found in state.findings:
        assert found.severity is BY_NAME[found.name].severity
        assert found.place == "lb1"
        assert found.seen
        assert found.expected
        assert found.advice
    return [found.name for found in state.findings]


@NEEDS_BIND
async def test_a_machine_is_reloaded_once_it_resolves_the_new_addresses(
    site: Site, ssh_server: SshServer
) -> None:
    """Not before, and not again by another attempt; with the undo once more."""
    waiting = asyncio.create_task(site.redirect())
    await eventually(lambda: sum("getent" in one for one in ssh_server.commands) > 1)
    assert site.reloads == 0
    site.server.change("edge1 A 10.2.0.1")
    first = await waiting
    assert (first.outcome, first.message) == ("changed", "lb1 resolves two, and was reloaded")
    assert await site.redirect() == first
    assert site.reloads == 1
    site.server.change("edge1 A 10.1.0.1")
    assert (await site.redirect(TO_ONE, undo=True)).outcome == "changed"
    assert site.reloads == 2


@NEEDS_BIND
async def test_an_undo_of_what_never_began_reloads_nothing(site: Site) -> None:
    """It needs no right to, where the machine resolves the old addresses."""
    site = site.changed(reload=("/nowhere",))
    report = await site.redirect(TO_ONE, undo=True)
    assert report.message == "lb1 resolves one; this run has not reloaded it"


@NEEDS_BIND
async def test_a_reload_that_fails_is_said(site: Site) -> None:
    """With its status; it is not repeated by itself."""
    (site.folder / "broken").touch()
    site.server.change("edge1 A 10.2.0.1")
    for _ in range(2):
        with pytest.raises(CommandFailed, match="the command ended with 1"):
            await site.redirect()
    assert site.reloads == 1


@NEEDS_BIND
async def test_a_machine_that_does_not_follow_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what it resolves instead, after the TTL and what a transfer may take."""
    monkeypatch.setattr(module, "TRANSFER_TIME", timedelta())
    monkeypatch.setattr(module, "LONGEST_WAIT", timedelta(seconds=0.2))
    with pytest.raises(
        NotReady, match=rf"lb1 does not resolve two after .*: {EDGE} is 10\.1\.0\.1"
    ):
        await site.redirect()
    site.server.stop()
    with pytest.raises(NotReady, match=f"{EDGE} is not resolved"):
        await site.redirect()
    assert site.reloads == 0


@NEEDS_BIND
async def test_a_machine_without_a_reload_only_has_to_follow(site: Site) -> None:
    """Nothing is done there."""
    site = site.changed(reload=None)
    assert (await site.observe()).findings == ()
    site.server.change("edge1 A 10.2.0.1")
    report = await site.redirect()
    assert (report.outcome, report.message) == ("unchanged", "lb1 resolves two")
    assert site.reloads == 0


@NEEDS_BIND
async def test_an_observation_says_where_names_lead_there(site: Site) -> None:
    """In the machine's own eyes; a name that it does not resolve is a finding."""
    for records, cluster, found in (
        (("edge1 A 10.1.0.1",), "one", []),
        (("edge1 A 10.2.0.1",), "two", []),
        (("edge1 A 10.9.9.9",), None, []),
        (("edge1 A",), None, ["name_not_resolved"]),
    ):
        site.server.change(*records)
        state = await site.observe()
        [destination] = state.destinations
        assert (destination.item, destination.cluster) == (EDGE, cluster)
        assert names(state) == found


@NEEDS_BIND
@NEEDS_DIG
async def test_the_name_servers_of_haproxy_are_asked_from_the_machine(site: Site) -> None:
    """They may know what the machine's own resolver does not, and are waited for, too."""
    asks = "backend ssh\n server edge1 edge1.st.example.com:22 resolvers site\n"
    port = site.server.port
    site = site.changed(
        **site.configure(f"resolvers site\n nameserver one 127.0.0.1:{port}\n{asks}"), reload=None
    )
    state = await site.observe()
    assert names(state) == []
    assert [one.item for one in state.destinations] == [EDGE, f"{EDGE} at 127.0.0.1:{port}"]
    assert {one.cluster for one in state.destinations} == {"one"}
    site.server.change("edge1 A 10.2.0.1")
    assert (await site.redirect()).message == "lb1 resolves two"
    site.configure(f"resolvers site\n nameserver one 127.0.0.1:1\n{asks}")
    state = await site.observe()
    assert names(state) == ["resolver_silent"]
    assert "127.0.0.1:1 does not answer" in state.findings[0].seen


@NEEDS_BIND
async def test_name_servers_that_cannot_be_asked_are_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the machine has no program for it; that is said, and not taken for an answer."""
    programs = site.folder / "few"
    programs.mkdir()
    for name in ("cat", "sh", "printf", "tr", "sed", "od", "head", "cut", "id", "date", "mkdir"):
        if (found := shutil.which(name)) is not None:
            (programs / name).symlink_to(found)
    monkeypatch.setenv("PATH", f"{site.folder}/programs:{programs}")
    asks = "backend ssh\n server edge1 edge1.st.example.com:22 resolvers site\n"
    site = site.changed(
        **site.configure(f"resolvers site\n nameserver one 127.0.0.1:1\n{asks}"), reload=None
    )
    state = await site.observe()
    assert names(state) == []
    assert state.not_read == {"resolver_silent": "dig is not installed"}
    site.server.change("edge1 A 10.2.0.1")
    report = await site.redirect()
    assert report.message.endswith("HAProxy's name servers were not asked: dig is not installed")


@NEEDS_BIND
@pytest.mark.parametrize(
    ("configuration", "check", "seen"),
    [
        (f"backend ssh\n server a {EDGE}:22\n", "address_kept", "has no resolvers, and the estate"),
        (
            f"resolvers r\n hold valid 5m\nbackend ssh\n server a {EDGE}:22 resolvers r\n",
            "resolvers_hold_long",
            "resolvers r has hold valid 5m",
        ),
        (
            f"resolvers r\nbackend ssh\n server a {EDGE}:22 resolvers r\n server b 10.2.0.1:22\n",
            "edges_by_address",
            "server b 10.2.0.1:22",
        ),
        (
            f"resolvers r\nbackend ssh\n server a {EDGE}:22 resolvers r\n server b edge9:22\n",
            "server_not_in_estate",
            "server b edge9:22",
        ),
        (f"resolvers r\nbackend ssh\n server a {EDGE}:22 resolvers r\n", None, ""),
        ("", "reading_unusable", "no frontend, backend or listen section"),
    ],
)
async def test_what_a_configuration_does_to_a_redirect_is_found(
    configuration: str, check: str | None, seen: str, site: Site
) -> None:
    """What keeps HAProxy from following the zone, and what a redirect would leave where it is."""
    state = await site.changed(**site.configure(configuration), reload=None).observe()
    assert list(dict.fromkeys(names(state))) == ([] if check is None else [check])
    assert all(seen in found.seen for found in state.findings)


@NEEDS_BIND
async def test_what_a_reload_needs_is_found(site: Site) -> None:
    """The command, and a ledger."""
    assert names(await site.observe()) == []
    assert names(await site.changed(reload=("/nowhere",)).observe()) == ["reload_not_runnable"]
    state = await site.changed(ledger="/proc/switchover").observe()
    assert names(state) == ["host_ledger_not_usable"]


@NEEDS_BIND
async def test_a_name_in_the_hosts_file_is_found(site: Site) -> None:
    """The machine would never see what a redirect changes in the zone."""
    given = {"localhost": {"one": ["127.0.0.1"], "two": ["10.2.0.1"]}}
    changes = {"zone": "localhost", "names": given}
    site.balancer = DnsLoadBalancer.model_validate(site.balancer.model_dump() | changes)
    state = await site.observe()
    assert "name_in_hosts_file" in names(state)
    assert "/etc/hosts gives localhost the address" in str(state.findings)


@NEEDS_BIND
async def test_a_machine_that_gives_no_answer_is_a_finding(
    site: Site, ssh_server: SshServer
) -> None:
    """Nothing is known of it then."""
    ssh_server.sh = "/bin/false"
    state = await site.observe()
    assert set(names(state)) == {"reading_unusable"}
    assert state.destinations == ()


@NEEDS_ROOT
@NEEDS_BIND
async def test_the_real_resolver_is_asked(
    site: Site, ssh_server: SshServer, tmp_path: Path
) -> None:
    """With a resolv.conf of its own, in a mount namespace of its own; it prints what is read."""
    (site.folder / "programs/getent").unlink()
    site.server.stop()
    site.server.port = 53
    try:
        site.server.start()
    except RuntimeError:
        pytest.skip("port 53 of 127.0.0.1 is not free")
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\n")
    sh = tmp_path / "sh"
    mount = f"mount --bind {resolv} /etc/resolv.conf"
    sh.write_text(f'#!/bin/sh\nexec unshare --mount sh -c \'{mount} && exec sh "$@"\' sh "$@"\n')
    sh.chmod(0o755)
    ssh_server.sh = str(sh)
    state = await site.changed(reload=None).observe()
    assert names(state) == []
    assert [(one.seen, one.cluster) for one in state.destinations] == [("10.1.0.1", "one")]
