"""Commands are built exactly, and answers are parsed or refused: what is unknown stays unknown."""

import ipaddress
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from activities.nodes import linux, linux_orphans
from activities.nodes.linux_facts import parse_digest
from activities.nodes.operating_system import SocketFilter
from activities.securetransport import admin_responses as answers
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_responses import Installed
from activities.transport.secrets import Secrets
from tests.support.ssh_machines import SshServer, make_node
from workflows.errors import AccessRefused, BadInput, OutcomeUnknown
from workflows.model.actions import StopGracefully, StopMonitor, StopRemaining
from workflows.model.estate import Node, Protocol
from workflows.model.results import Service, State

HEAD = "sl  local_address\n"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node that nothing is sent to."""
    return make_node(SshServer(port=22), tmp_path, filedrivehome="/opt/st", alias="st1")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("banner", State.RUNNING),
        ("down", State.STOPPED),
        ("disabled", State.DISABLED),
        ("twice", State.UNKNOWN),
        ("then_noise", State.UNKNOWN),
        ("no_admin", State.UNKNOWN),
        ("other", State.UNKNOWN),
    ],
)
def test_a_status_is_one_known_line_at_the_end(name: str, state: State) -> None:
    """Noise may come before it; two answers, another's answer or none settle nothing."""
    text = (GOLDEN / f"status_{name}.txt").read_text()
    assert securetransport.parse_status(Service.SSH, text).state is state


def test_silence_is_not_stopped() -> None:
    """A script that prints nothing leaves the state unknown."""
    seen = securetransport.parse_status(Service.SSH, "")
    with pytest.raises(OutcomeUnknown, match="server1: ssh: its status cannot be read"):
        seen.require_known("server1: ssh")
    assert not seen.down


def test_commands_name_script_alias_and_timeout(node: Node) -> None:
    """Absolute paths, the alias first, and never a graceful stop without its timeout."""
    grace = timedelta(minutes=2)
    stop = StopGracefully(node=node.name, protocol=Protocol.HTTP, grace=grace)
    sent = [securetransport.command(node, one) for one in (stop, StopRemaining(node=node.name))]
    assert str(sent[0]) == "/opt/st/bin/stop_httpd -A st1 -g -timeout 120"
    assert str(sent[1]) == "/opt/st/bin/stop_all -A st1"
    assert str(securetransport.status(node, Service.TRANSACTION_MANAGER)).endswith(
        "status_tm -A st1"
    )


def test_a_sites_own_monitor_command_is_taken_as_it_is(tmp_path: Path) -> None:
    """On 5.4 the Monitor ran from cron: its commands are the site's."""
    monitor = {"stop": ["/usr/local/bin/cron-off", "st"], "status": ["/usr/local/bin/cron-says"]}
    node = make_node(SshServer(port=22), tmp_path, monitor=monitor)
    stop = StopMonitor(node=node.name)
    assert securetransport.command(node, stop).argv == ("/usr/local/bin/cron-off", "st")
    assert securetransport.installed([], node, Service.MONITOR) is None


def test_a_missing_script_is_disabled_absent_or_unknown(node: Node) -> None:
    """Only what the estate does not expect may be missing without a reason."""
    listing = ["status_sshd", "start_ftpd.disable"]

    def seen(service: Service) -> State | None:
        observed = securetransport.installed(listing, node, service)
        return observed.state if observed else None

    assert seen(Service.SSH) is None
    assert seen(Service.FTP) is State.DISABLED
    assert seen(Service.PESIT) is State.ABSENT
    assert seen(Service.TRANSACTION_MANAGER) is State.UNKNOWN


def test_sessions_are_counted_on_the_nodes_own_sockets() -> None:
    """Established, to our ports, on our addresses, and not from those who only watch."""
    sockets = linux.parse_sockets((GOLDEN / "tcp.txt").read_text())
    ours = SocketFilter(("127.10.1.61",), ("127.10.1.9",))
    assert ours.sessions(sockets, (8022,)) == 1
    assert ours.sessions(sockets, (8022, 8443)) == 2
    assert SocketFilter(("127.10.1.61",), ("127.10.1.0/24",)).sessions(sockets, (8022, 8443)) == 0
    assert SocketFilter(()).sessions(sockets, (8022, 8443)) == 5
    assert ours.listening(sockets) == {8022, 8443}
    assert SocketFilter(("127.10.1.62",)).listening(sockets) == {8443}


def test_both_families_of_addresses_are_read() -> None:
    """IPv6 is IPv6, and an IPv4 address that is mapped to IPv6 is IPv4."""
    sockets = linux.parse_sockets((GOLDEN / "tcp.txt").read_text())
    assert [str(s.local) for s in sockets[-2:]] == ["127.10.1.61", "2001:db8::1"]
    assert all(isinstance(s.peer, ipaddress.IPv4Address) for s in sockets[:5])


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((linux.parse_sockets, text) for text in ("", "end\n", f"  {HEAD}", f"  {HEAD}x\nend\n")),
        *((linux.parse_processes, text) for text in ("", "end\n", "clock 100\nend\n")),
        (linux.parse_processes, "clock 100 1\npid tm.pid\nend\n"),
    ],
)
def test_half_an_answer_is_none(parse: Callable[[str], object], text: str) -> None:
    """A reading that broke off never counts as zero connections or processes."""
    with pytest.raises(OutcomeUnknown):
        parse(text)


def test_a_pid_file_counts_only_with_its_own_process(tmp_path: Path) -> None:
    """A stale one may remain, and its number may have been given to another process."""
    run = tmp_path / "var/run"
    (run / "admin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (run / "admin/tomcat.pid").write_text(f"{os.getpid()}\n")
    (run / "tm.pid").write_text("999999999\n")
    (run / "sshd.pid").write_text(f"{os.getpid()}\n")
    os.utime(run / "sshd.pid", (1_000_000_000, 1_000_000_000))
    (run / "db.pid").write_text("")
    files = ["admin/tomcat.pid", "tm.pid", "sshd.pid", "db.pid", "httpd.pid"]
    command = linux.processes(str(tmp_path), files).argv
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert linux.parse_processes(text) == {"admin/tomcat.pid"}


def test_an_installation_that_is_not_there_is_no_stopped_one(tmp_path: Path) -> None:
    """An unmounted FILEDRIVEHOME has no PID files either."""
    command = linux.processes(str(tmp_path / "nowhere"), ["tm.pid"]).argv
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode != 0
    with pytest.raises(OutcomeUnknown):
        linux.parse_processes(answer.stdout)


def test_digests_and_clocks_are_read_or_refused() -> None:
    """An error message is neither."""
    digest = "a" * 64
    assert parse_digest(f"{digest}  /opt/st/bin/taeh\n") == digest
    assert linux.parse_clock("1700000000\n") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert linux_orphans.parse_orphans("Welcome\n7.17000.5 /s/b c.m_inproc\0end\n") == {
        ("/s/b c.m_inproc", "7.17000.5")
    }
    for parse in (parse_digest, linux.parse_clock):
        with pytest.raises(OutcomeUnknown):
            parse("sha256sum: taeh: No such file or directory")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Running.", State.RUNNING),
        ("Not running.", State.STOPPED),
        ("Stopped.", State.STOPPED),
        ("Shutdown in progress.", State.STOPPING),
        ("Disabled.", State.DISABLED),
        ("Resting.", State.UNKNOWN),
    ],
)
def test_a_service_status_is_known_or_unknown(status: str, state: State) -> None:
    """Other texts than the documented ones are never guessed at."""
    assert answers.service_status({"status": status}, "server1").state is state


@pytest.mark.parametrize("body", [None, [], {}, {"status": 1}, "Running."])
def test_an_answer_of_another_shape_settles_nothing(body: object) -> None:
    """A changed API is an unknown outcome, not a stopped service."""
    with pytest.raises(OutcomeUnknown, match="server1"):
        answers.service_status(body, "server1")


def test_times_are_read_in_every_format_that_is_known() -> None:
    """RFC 2822, ISO 8601, milliseconds; anything else is no time."""
    at = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    formats = (1_700_000_000_000, "Tue, 14 Nov 2023 22:13:20 +0000", "2023-11-14T22:13:20Z")
    assert {answers.moment(given) for given in formats} == {at}
    strange: tuple[object, ...] = (None, "yesterday", True, [])
    assert {answers.moment(given) for given in strange} == {None}


def test_a_session_list_is_a_list() -> None:
    """And each session knows its protocol by any of its names."""
    (session,) = answers.sessions([{"id": 7, "userName": "probe", "protocol": "SFTP"}], "edge1")
    assert session.uses(Protocol.SSH)
    assert not session.uses(Protocol.HTTP)
    with pytest.raises(OutcomeUnknown):
        answers.sessions({"result": []}, "edge1")


def test_inactive_servers_are_those_of_one_protocol() -> None:
    """Whatever the API's filter did, in capitals or not, on two pages or one."""
    ssh = {"protocol": "SSH", "serverName": "Ssh Default", "isActive": False}
    http = {"protocol": "http", "serverName": "Http Default", "isActive": False}
    active = {"protocol": "ssh", "serverName": "Ssh Partner", "isActive": True}
    found = answers.inactive_servers([ssh, http, active, ssh], Protocol.SSH, "edge1")
    assert found == ("Ssh Default",)
    for strange in ({**ssh, "isActive": None}, {"protocol": "ssh", "isActive": False}):
        with pytest.raises(OutcomeUnknown, match="edge1"):
            answers.inactive_servers([strange], Protocol.SSH, "edge1")


def test_versions_are_compared_with_their_update_level() -> None:
    """5.5 is not one version."""
    body = {"version": "5.5", "updateLevel": "20240328", "osType": "Linux"}
    installed = answers.read(Installed, body, "node1")
    assert (installed.level, installed.system, installed.database) == (
        "5.5 20240328",
        "Linux",
        None,
    )
    unsaid: tuple[object, ...] = ([], {}, {"version": ""}, {"updateLevel": "20240328"})
    for strange in unsaid:
        with pytest.raises(OutcomeUnknown):
            answers.read(Installed, strange, "node1")


async def test_secrets_are_found_by_reference_and_never_shown(tmp_path: Path) -> None:
    """A missing secret is named by its reference; no value is ever in a message."""
    file = tmp_path / "password"
    file.write_text("hidden\n")
    secrets = Secrets({"PASSWORD": "hidden"}, [tmp_path])
    assert await secrets.read("env:PASSWORD") == await secrets.read(f"file:{file}") == "hidden"
    for reference in ("env:OTHER", f"file:{tmp_path}/other"):
        with pytest.raises(BadInput, match=reference.rpartition("/")[2]) as refusal:
            await secrets.read(reference)
        assert "hidden" not in str(refusal.value)
    with pytest.raises(AccessRefused, match="may not read it"):
        await secrets.read(f"file:{tmp_path}")
    with pytest.raises(BadInput):
        await secrets.read("hidden")


def test_commands_of_windows_have_its_names_and_quotes(tmp_path: Path) -> None:
    """Every script ends in ``.com``; a site's own command, by its path, stays as it is."""
    node = make_node(
        SshServer(port=22),
        tmp_path,
        system="windows",
        filedrivehome=r"C:\Axway & Co\ST",
        ledger=r"C:\switchover",
        alias="st1",
        monitor={"stop": [r"D:\site\stop monitor.cmd", "now"]},
    )
    stop = StopGracefully(node=node.name, protocol=Protocol.SSH, grace=timedelta(seconds=90))
    assert str(securetransport.command(node, stop)) == (
        r'"C:\Axway & Co\ST\bin\stop_sshd.com" -A st1 -g -timeout 90'
    )
    everything = str(securetransport.command(node, StopRemaining(node=node.name)))
    assert everything == r'"C:\Axway & Co\ST\bin\stop_all.com" -A st1'
    monitor = str(securetransport.command(node, StopMonitor(node=node.name)))
    assert monitor == r'"D:\site\stop monitor.cmd" now'
