"""Redirecting is one effect on each load balancer host; only a real login proves where it goes."""

from __future__ import annotations

import asyncio
import shlex
import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from activities.ledger.ledger import Ledger, Task
from activities.load_balancer import activities as traffic
from activities.load_balancer import probe as probes
from activities.load_balancer.activities import LoadBalancers
from activities.preview import CommandPreviews
from activities.replication.activities import ReplicationLinks
from activities.securetransport.admin_client import Admin
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support import estates
from tests.support.admin_api import Certificate
from tests.support.protocol_servers import Front
from tests.support.ssh_machines import HOST_KEY_LINE, QUICK, SECRETS, Attempt, SshServer
from workflows.errors import AccessRefused, CommandFailed, NotReady, OutcomeUnknown, Unreachable
from workflows.model.actions import ObserveTraffic, Redirect, VerifyTraffic
from workflows.model.estate import Cluster, Database, HostsFileLoadBalancer, Node, Protocol
from workflows.model.observations import BalancerFacts
from workflows.model.results import Operation
from workflows.ports.load_balancer import TrafficInput

TO_TWO = Redirect(host="lb1", to="two", back_to="one")
TO_ONE = Redirect(host="lb1", to="one", back_to="two")


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """The load balancer host's hosts file."""
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n# BEGIN switchover\n10.1.0.1 edge1\n# END switchover\n")
    return file


def cluster(name: str, node: Node) -> Cluster:
    """Return a cluster of one node."""
    database = Database(
        name=f"database-{name}",
        address="127.0.0.1",
        database="st",
        user="st",
        password="env:DATABASE",
    )
    return Cluster(name=name, nodes=(node,), database=database, storage="/storage")


@dataclass
class Dispatcher:
    """Makes errands for the load balancer."""

    balancer: HostsFileLoadBalancer
    clusters: tuple[Cluster, ...]

    def of(self, action: Any, identity: str = "run-1", **changes: object) -> TrafficInput[Any]:  # noqa: ANN401 - any order
        """Return the order, as a switchover would send it."""
        return TrafficInput(
            operation=Operation(identity=identity, stage="stage", action=action.key),
            action=action,
            timing=QUICK,
            load_balancer=self.balancer.model_copy(update=changes),
            clusters=self.clusters,
        )


@pytest.fixture
def dispatcher(
    front: Front, hosts: Path, node_maker: NodeMaker, tmp_path: Path, certificate: Certificate
) -> Dispatcher:
    """A load balancer with one host and two probes, before two clusters."""
    clusters = []
    both = {Protocol.SSH: (8022,), Protocol.HTTP: (8443,)}
    for name, api in front.apis.items():
        access = {"user": "admin", "password": "env:ADMIN", "port": api.port, "via": "direct"}
        access["fingerprint"] = certificate.fingerprint
        clusters.append(cluster(name, node_maker(f"{name}-server1", admin=access, protocols=both)))
    host = node_maker("lb1").model_dump(include={"address", "ssh", "host_key", "ledger"})
    reload = ["sh", "-c", f"cat {hosts} >{tmp_path}/loaded; echo loaded >>{tmp_path}/reloads"]
    probe = {"address": "127.0.0.1", "user": "probe", "password": "env:PROBE"}
    ports = front.ports
    balancer = HostsFileLoadBalancer.model_validate(
        {
            "hosts": [{"name": "lb1", **host, "hosts_file": str(hosts), "reload": reload}],
            "names": {"edge1": {"one": "10.1.0.1", "two": "10.2.0.1"}},
            "probes": [
                {
                    **probe,
                    "protocol": "ssh",
                    "port": ports[Protocol.SSH],
                    "host_key": HOST_KEY_LINE,
                },
                {
                    **probe,
                    "protocol": "http",
                    "port": ports[Protocol.HTTP],
                    "fingerprint": certificate.fingerprint,
                },
            ],
        }
    )
    return Dispatcher(balancer, tuple(clusters))


@pytest.fixture
def hands(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> LoadBalancers:
    """The hands, with little patience."""
    monkeypatch.setattr(probes, "LOOK_FOR", traffic.AGAIN_AFTER)
    monkeypatch.setattr(traffic, "PROVEN_WITHIN", traffic.AGAIN_AFTER)
    return LoadBalancers(shell, Admin(shell, SECRETS), SECRETS)


def text(file: Path) -> str:
    """Read a file."""
    return file.read_text()


def mode_of(file: Path) -> int:
    """Return a file's mode."""
    return file.stat().st_mode


def add_line(file: Path, line: str) -> None:
    """Append a line."""
    before = file.read_text() if file.exists() else ""
    file.write_text(f"{before}{line}\n")


def link_to(file: Path, real: Path) -> None:
    """Move a file away and leave a link to it."""
    file.rename(real)
    file.symlink_to(real)


def hosts_itself(file: Path) -> int:
    """Return the mode of what stands there, a link perhaps."""
    return file.lstat().st_mode


def remove(file: Path) -> None:
    """Remove a file."""
    file.unlink()


def leftovers(folder: Path) -> list[Path]:
    """Return drafts that were not moved into place."""
    return list(folder.glob("hosts.*"))


async def test_a_redirect_is_one_rewrite_and_one_reload(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path, tmp_path: Path
) -> None:
    """Eight attempts side by side are one effect and one report."""
    mode = mode_of(hosts)
    reports = await asyncio.gather(
        *(Attempt().run(hands.redirect, dispatcher.of(TO_TWO)) for _ in range(8))
    )
    assert len(set(reports)) == 1
    assert reports[0].outcome == "changed"
    assert "10.2.0.1 edge1" in text(hosts)
    assert text(tmp_path / "loaded") == text(hosts)
    assert text(tmp_path / "reloads") == "loaded\n"
    assert mode_of(hosts) == mode
    assert leftovers(tmp_path) == []


async def test_a_file_that_is_right_already_is_reloaded_all_the_same(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path, tmp_path: Path
) -> None:
    """Whoever wrote it may never have reloaded."""
    before = text(hosts)
    report = await Attempt().run(hands.redirect, dispatcher.of(TO_ONE))
    assert report.outcome == "unchanged"
    assert text(hosts) == before
    assert text(tmp_path / "reloads") == "loaded\n"


async def test_a_redirect_that_others_overtook_changes_nothing(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path, shell: Shell, tmp_path: Path
) -> None:
    """What was read before another redirect ended is old: neither rewritten nor called right."""
    (host,) = dispatcher.balancer.hosts
    begun = tmp_path / "begun"
    words = ("sh", "-c", f": >{begun}; sleep 1; echo 10.3.0.1 other >>{hosts}")
    slow = Task("other", "traffic", Command(words), timedelta(seconds=30))
    await Ledger(shell).claim(host, slow)
    for number, action in enumerate((TO_ONE, TO_TWO)):
        with pytest.raises(CommandFailed, match="was changed meanwhile"):
            await Attempt().run(hands.redirect, dispatcher.of(action, f"run-{number}"))
        add_line(hosts, "# one more")
        await Ledger(shell).claim(host, replace(slow, operation=f"other{number}"))
    assert "10.2.0.1" not in text(hosts)
    assert leftovers(tmp_path) == []


async def test_a_file_that_can_only_be_written_in_place_is(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path, tmp_path: Path
) -> None:
    """A link stays a link, as a mounted file stays mounted."""
    real = tmp_path / "real"
    link_to(hosts, real)
    await Attempt().run(hands.redirect, dispatcher.of(TO_TWO))
    assert text(hosts) == text(real)
    assert stat.S_ISLNK(hosts_itself(hosts))
    assert "10.2.0.1 edge1" in text(real)


async def test_a_reload_that_fails_says_why(hands: LoadBalancers, dispatcher: Dispatcher) -> None:
    """The operator reads what the site's command printed."""
    (host,) = dispatcher.balancer.hosts
    refusing = host.model_copy(update={"reload": ("sh", "-c", "echo bad configuration; exit 1")})
    with pytest.raises(CommandFailed, match="bad configuration"):
        await Attempt().run(hands.redirect, dispatcher.of(TO_TWO, hosts=(refusing,)))


async def test_a_hosts_file_that_is_not_ours_is_left_alone(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path
) -> None:
    """A second line for the name would decide by its number."""
    add_line(hosts, "10.9.9.9 edge1")
    before = text(hosts)
    with pytest.raises(NotReady, match="line 5 of the hosts file"):
        await Attempt().run(hands.redirect, dispatcher.of(TO_TWO))
    assert text(hosts) == before


async def test_a_hosts_file_that_cannot_be_read_settles_nothing(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path
) -> None:
    """No file is not an empty one."""
    remove(hosts)
    with pytest.raises(OutcomeUnknown, match="cannot be read"):
        await Attempt().run(hands.redirect, dispatcher.of(TO_TWO))


@pytest.mark.parametrize("protocol", [Protocol.SSH, Protocol.HTTP])
async def test_a_login_proves_where_traffic_goes(
    protocol: Protocol, hands: LoadBalancers, dispatcher: Dispatcher, front: Front
) -> None:
    """Found on a node of the cluster it is proven, elsewhere refused, nowhere unknown."""
    action = VerifyTraffic(protocol=protocol, to="two")
    with pytest.raises(NotReady, match="still lands on one-server1, expected a node of two"):
        await Attempt().run(hands.verify_traffic, dispatcher.of(action))
    front.goes_to = "two"
    report = await Attempt().run(hands.verify_traffic, dispatcher.of(action))
    assert "lands on two-server1, of two" in report.message
    front.goes_to = None
    for api in front.apis.values():
        api.sessions.clear()
    with pytest.raises(OutcomeUnknown, match="is in no node's session list"):
        await Attempt().run(hands.verify_traffic, dispatcher.of(action))


async def test_someone_elses_session_proves_nothing(
    hands: LoadBalancers, dispatcher: Dispatcher, front: Front
) -> None:
    """Nor does an old one of our own, or one over another protocol."""
    front.goes_to = None
    now = datetime.now(UTC)
    front.apis["two"].sessions = [
        {"id": 1, "userName": "partner1", "protocol": "ssh", "sessionCreationTime": None},
        {"id": 2, "userName": "probe", "protocol": "ftp", "sessionCreationTime": now.isoformat()},
        {"id": 3, "userName": "probe", "protocol": "ssh", "sessionCreationTime": 1_700_000_000_000},
    ]
    with pytest.raises(OutcomeUnknown):
        await Attempt().run(
            hands.verify_traffic, dispatcher.of(VerifyTraffic(protocol=Protocol.SSH, to="two"))
        )


async def test_a_login_that_is_refused_or_unanswered_is_said(
    hands: LoadBalancers, dispatcher: Dispatcher, front: Front
) -> None:
    """A wrong password, another host key, and silence are three things."""
    sftp, https = dispatcher.balancer.probes
    prove = VerifyTraffic(protocol=Protocol.SSH, to="two")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode()
    for change in ({"password": "env:ADMIN"}, {"host_key": other}, {"host_key": "nonsense"}):
        given = dispatcher.of(prove, probes=(sftp.model_copy(update=change), https))
        with pytest.raises(AccessRefused, match="ssh probe at"):
            await Attempt().run(hands.verify_traffic, given)
    silent = dispatcher.of(prove, probes=(sftp.model_copy(update={"port": 1}), https))
    with pytest.raises(Unreachable, match="no login"):
        await Attempt().run(hands.verify_traffic, silent)


async def test_traffic_is_observed(
    hands: LoadBalancers, dispatcher: Dispatcher, front: Front, ssh_server: SshServer
) -> None:
    """By the hosts file and by logins; what cannot be seen is a finding."""
    action = ObserveTraffic(host="lb1")
    reading = await Attempt().run(hands.observe_traffic, dispatcher.of(action))
    assert reading.resolves_to == {"edge1": "10.1.0.1"}
    assert set(reading.lands_on.values()) == {"one-server1"}
    assert reading.findings == ()
    front.goes_to = None
    ssh_server.sh = "/bin/false"
    for api in front.apis.values():
        api.sessions.clear()
    blind = await Attempt().run(hands.observe_traffic, dispatcher.of(action))
    assert (blind.resolves_to, blind.lands_on, blind.balancer) == ({}, {}, None)
    assert [finding.name for finding in blind.findings] == ["reading_unusable"] * 4


async def test_the_load_balancer_itself_is_observed(
    hands: LoadBalancers, dispatcher: Dispatcher, hosts: Path, tmp_path: Path
) -> None:
    """Rights and configuration; where the one cannot be read, the other is still known."""
    file = tmp_path / "haproxy.cfg"
    (host,) = dispatcher.balancer.hosts
    changes = {"configuration": str(file), "reload": (str(tmp_path / "nowhere"),)}
    given = dispatcher.of(ObserveTraffic(host="lb1"), hosts=(host.model_copy(update=changes),))
    add_line(file, "global\n hard-stop-after 5m\nbackend ssh\n stick-table type ip expire 1h")
    add_line(file, " stick on src\n server edge1 10.1.0.1:22")
    reading = await Attempt().run(hands.observe_traffic, given)
    assert reading.balancer == BalancerFacts(
        reload_runnable=False,
        hosts_file_writable=True,
        unnamed=("backend ssh: server edge1 10.1.0.1:22",),
        unused=("edge1",),
        sticky=("backend ssh: 1h",),
        hard_stop_after=timedelta(minutes=5),
    )
    remove(file)
    reading = await Attempt().run(hands.observe_traffic, given)
    assert reading.balancer == BalancerFacts(reload_runnable=False, hosts_file_writable=True)
    assert [finding.name for finding in reading.findings] == ["reading_unusable"]


async def test_a_review_spells_out_what_a_redirect_does(
    hands: LoadBalancers, dispatcher: Dispatcher, front: Front, hosts: Path, shell: Shell
) -> None:
    """The lines between our markers, the reload, and where a login is looked for."""
    estate = estates.estate().model_copy(
        update={"load_balancer": dispatcher.balancer, "clusters": dispatcher.clusters}
    )
    *lines, reload = CommandPreviews(shell, ReplicationLinks(SECRETS)).words(estate, TO_TWO)
    await Attempt().run(hands.redirect, dispatcher.of(TO_TWO))
    block = text(hosts).partition("# BEGIN switchover\n")[2].partition("# END switchover")[0]
    assert lines == [f"{hosts}: {line}" for line in block.splitlines()]
    [host] = dispatcher.balancer.hosts
    [words] = await asyncio.to_thread(lambda: [*Path(host.ledger).glob("*/words")])
    assert text(words).endswith(f" {' '.join(shlex.split(reload))}\n")

    front.goes_to = "two"
    proof = VerifyTraffic(protocol=Protocol.SSH, to="two")
    login, look = CommandPreviews(shell, ReplicationLinks(SECRETS)).words(estate, proof)
    await Attempt().run(hands.verify_traffic, dispatcher.of(proof))
    assert login == f"login as probe over ssh at 127.0.0.1:{front.ports[Protocol.SSH]}"
    assert look.startswith("on every node that serves ssh, until one of two lists it: ")
    assert {target for api in front.apis.values() for target in api.targets} == {
        look.rpartition(": ")[2]
    }
