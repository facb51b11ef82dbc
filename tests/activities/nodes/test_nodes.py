"""Actions on a node's shell: a state that holds is not changed, and a change is verified."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from activities.ledger.store import LedgerCommand
from activities.nodes.activities import SshNodes
from activities.nodes.operating_systems import open_ledger
from activities.nodes.service_status import ListedPort, ServiceStatusReader
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.activities.nodes.conftest import START_SSH, STOP_SSH, Machine
from tests.support.admin_api import Api
from tests.support.port_listeners import Listener
from tests.support.ssh_machines import CLIENT_KEY, Attempt, Installation, SshServer, watching
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model import actions
from workflows.model.estate import Kind, Node, Protocol
from workflows.model.findings import Severity
from workflows.model.results import Service, State

STOP_TM = actions.StopTransactionManager(node="server1", grace=timedelta(seconds=30))


async def test_what_holds_already_is_left_alone(machine: Machine) -> None:
    """Nothing is sent where the desired state holds."""
    machine.installation.clear("monitord", "sshd")
    reports = [
        await machine.execute(actions.StopMonitor(node="server1")),
        await machine.execute(STOP_SSH),
        await machine.execute(actions.StartTransactionManager(node="server1")),
    ]
    assert {report.outcome for report in reports} == {"unchanged"}
    assert machine.installation.changes == []


async def test_a_script_that_says_yes_and_does_nothing_is_found_out(machine: Machine) -> None:
    """Exit status 0 alone proves nothing."""
    machine.installation.set("monitord.never")
    with pytest.raises(CommandFailed, match="the command ended, but monitor is running"):
        await machine.execute(actions.StopMonitor(node="server1"))


async def test_nothing_is_stopped_gracefully_while_the_monitor_runs(machine: Machine) -> None:
    """The Monitor would start again what is being stopped."""
    with pytest.raises(NotReady, match="monitor still running, so ssh was left up"):
        await machine.execute(STOP_SSH)
    assert machine.installation.changes == []


async def test_a_monitor_with_an_unknown_state_is_not_stopped(machine: Machine) -> None:
    """An answer that cannot be read settles nothing."""
    machine.installation.script("status_monitord", "#!/bin/sh\necho monitord is resting\n")
    with pytest.raises(OutcomeUnknown, match="resting"):
        await machine.execute(STOP_SSH)
    assert machine.installation.changes == []


@pytest.mark.parametrize("way", ["returns", "blocks"])
async def test_a_graceful_stop_is_over_when_it_has_completed(way: str, machine: Machine) -> None:
    """Whether the script returns at once or blocks, the report comes when the service is down."""
    machine.installation.clear("monitord")
    machine.installation.set("sshd.late", "1")
    if way == "blocks":
        machine.installation.set("blocks")
    report = await machine.execute(STOP_SSH)
    assert report.outcome == "changed"
    assert not machine.installation.runs("sshd")
    assert machine.installation.changes == ["stop sshd -g -timeout 2"]


async def test_eight_attempts_at_a_graceful_stop_are_one(machine: Machine) -> None:
    """A pending stop is never repeated, and all attempts report the same."""
    machine.installation.clear("monitord")
    machine.installation.set("sshd.late", "1")
    reports = await asyncio.gather(*(machine.execute(STOP_SSH) for _ in range(8)))
    assert machine.installation.changes == ["stop sshd -g -timeout 2"]
    assert len(set(reports)) == 1


async def test_a_stop_that_does_not_complete_is_a_failure(machine: Machine) -> None:
    """Past its timeout and margin, a service that still runs was not stopped."""
    machine.installation.clear("monitord")
    machine.installation.set("sshd.never")
    with pytest.raises(CommandFailed, match=r"timeout and margin .* have passed, but ssh is still"):
        await machine.execute(STOP_SSH)


async def test_a_stop_that_says_no_is_a_failure_with_its_words(machine: Machine) -> None:
    """The operator reads what the vendor's script printed, and what was read afterwards."""
    machine.installation.clear("monitord")
    machine.installation.set("stop.sshd.fails", "not while it rains")
    with pytest.raises(CommandFailed, match="ended with 1: not while it rains, but ssh is still"):
        await machine.execute(STOP_SSH)


async def test_a_lost_stop_that_completes_all_the_same_is_settled_by_reading(
    machine: Machine,
) -> None:
    """The process is gone without a status, but the service is down, as desired."""
    machine.installation.clear("monitord")
    machine.installation.script(
        "stop_sshd", f"#!/bin/sh\nkill -9 $PPID; sleep 0.5; rm {machine.installation.state}/sshd\n"
    )
    report = await machine.execute(STOP_SSH)
    assert report.outcome == "changed"


async def test_a_lost_stop_that_changed_nothing_is_for_an_operator_to_decide(
    machine: Machine,
) -> None:
    """No attempt tries again what may have been done."""
    machine.installation.clear("monitord")
    machine.installation.script(
        "stop_sshd", f"#!/bin/sh\necho >>{machine.node.ledger}-ran\nkill -9 $PPID\n"
    )
    for _ in range(2):
        with pytest.raises(Lost, match="its process is gone"):
            await machine.execute(STOP_SSH)
    assert await asyncio.to_thread(Path(f"{machine.node.ledger}-ran").read_text) == "\n"


async def test_the_transaction_manager_outlives_the_protocol_servers(machine: Machine) -> None:
    """It is stopped only when every protocol server and the Monitor of its node are down."""
    with pytest.raises(NotReady, match="ssh, monitor still running, so the Transaction Manager"):
        await machine.execute(STOP_TM)
    machine.installation.clear("monitord", "sshd")
    report = await machine.execute(STOP_TM)
    assert report.outcome == "changed"
    assert machine.installation.changes == ["stop tm -g -timeout 30"]


async def test_stopped_is_verified_for_servers_that_the_estate_does_not_know_too(
    machine: Machine,
) -> None:
    """One that the estate does not list would be cut off with the Transaction Manager."""
    machine.installation.clear("monitord", "sshd")
    action = actions.VerifyStopped(node="server1")
    assert (await machine.execute(action)).outcome == "seen"
    machine.installation.set("pesitd")
    with pytest.raises(NotReady, match="pesit still running"):
        await machine.execute(action)


async def test_a_start_waits_for_the_pending_stop(machine: Machine, shell: Shell) -> None:
    """A stop on the server's own clock would undo a start that overtakes it."""
    machine.installation.clear("monitord")
    pending = LedgerCommand(
        "other-run.stop",
        Service.SSH,
        Command((f"{machine.node.filedrivehome}/bin/stop_sshd",)),
        timedelta(seconds=3),
        "deadline",
    )
    machine.installation.set("sshd.late", "2")
    await open_ledger(shell).run_once(machine.node, pending)
    report = await machine.execute(START_SSH)
    assert report.outcome == "changed"
    assert machine.installation.changes == ["stop sshd", "start sshd", "stop monitord"]
    assert machine.installation.runs("sshd")


async def test_a_start_is_needless_where_the_pending_stop_came_to_nothing(
    machine: Machine, shell: Shell
) -> None:
    """A stop that may still complete is awaited; if the service runs then, nothing is started."""
    machine.installation.clear("monitord")
    refused = LedgerCommand(
        "other-run.stop", Service.SSH, Command(("false",)), timedelta(seconds=2), "deadline"
    )
    await open_ledger(shell).run_once(machine.node, refused)
    report = await machine.execute(START_SSH)
    assert report.outcome == "unchanged"
    assert machine.installation.changes == []
    assert machine.installation.runs("sshd")


async def test_a_start_leaves_the_monitor_as_it_was(machine: Machine) -> None:
    """Every start revives the Monitor; one that was down is stopped again, as the report says."""
    machine.installation.clear("monitord", "sshd")
    first = await machine.execute(START_SSH)
    second = await machine.execute(START_SSH)
    assert first == second
    assert "the Monitor, which this also started, was stopped again" in first.message
    assert machine.installation.runs("sshd")
    assert not machine.installation.runs("monitord")


async def test_a_start_that_is_refused_at_first_is_tried_again(machine: Machine) -> None:
    """A port still in use for a moment is no failure (section 4)."""
    machine.installation.clear("sshd")
    machine.installation.set("start.sshd.fails", "the port is in use")
    report = await machine.execute(START_SSH)
    assert report.outcome == "changed"
    assert machine.installation.changes == ["start sshd", "start sshd"]


async def test_a_start_that_is_always_refused_fails_with_its_words(machine: Machine) -> None:
    """The start timeout ends the attempts."""
    machine.installation.clear("sshd")
    machine.installation.script("start_sshd", "#!/bin/sh\necho the port is in use; exit 1\n")
    with pytest.raises(CommandFailed, match="the port is in use"):
        await machine.execute(START_SSH)


@pytest.fixture
async def stop_all(installation: Installation, listener: Listener) -> Path:
    """A tm.pid with a living process, and a stop_all that ends it; no port listens."""
    await listener.close()
    run = installation.home / "var/run"
    installation.script(
        "stop_all",
        f"#!/bin/sh\necho stop all >>{installation.state}/calls\nrm -f {installation.state}/admin\n"
        f"[ -e {run}/tm.pid ] && kill $(cat {run}/tm.pid)\nexit 0\n",
    )
    return run


async def living(pid_file: Path, seconds: str = "300") -> asyncio.subprocess.Process:
    """Start a process that a PID file names."""
    process = await asyncio.create_subprocess_exec("sleep", seconds)
    await asyncio.to_thread(pid_file.write_text, f"{process.pid}\n")
    return process


async def test_what_remained_is_verified_down_by_process_and_port(
    machine: Machine, stop_all: Path
) -> None:
    """No status script answers after stop_all; a PID file without a process is a stale one."""
    process = await living(stop_all / "tm.pid")
    reaped = asyncio.create_task(process.wait())
    action = actions.StopRemaining(node="server1")
    report = await machine.execute(action)
    await reaped
    again = await machine.execute(action, identity="run-2")
    assert (report.outcome, again.outcome) == ("changed", "unchanged")
    assert machine.installation.changes == ["stop all"]


async def test_what_survives_stop_all_is_named(machine: Machine, stop_all: Path) -> None:
    """A process that is still there was not stopped, whatever the script printed."""
    process = await living(stop_all / "sshd.pid")
    try:
        with pytest.raises(CommandFailed, match=r"still running: .*sshd\.pid"):
            await machine.execute(actions.StopRemaining(node="server1"))
    finally:
        process.kill()
        await process.wait()


async def test_everything_is_started_and_seen(machine: Machine) -> None:
    """After start_all every service that the estate expects runs, admin first of all."""
    machine.installation.clear("admin", "sshd", "tm", "monitord")
    state = machine.installation.state
    machine.installation.script(
        "start_all",
        f"#!/bin/sh\ncd {state}; : >sshd; : >tm; (sleep 1; : >admin) >/dev/null 2>&1 &\n",
    )
    report = await machine.execute(actions.StartAll(node="server1"))
    assert report.outcome == "changed"
    assert machine.installation.runs("tm")


async def test_an_edge_has_no_transaction_manager(nodes: SshNodes, node_maker: NodeMaker) -> None:
    """What a kind of node never has is absent, and what a site disabled is disabled."""
    edge = node_maker("edge1", kind=Kind.EDGE)
    installation = Installation(edge, "sshd")
    for verb in ("start", "stop", "status"):
        script = installation.home / "bin" / f"{verb}_ftpd"
        script.rename(script.with_suffix(".disable"))
    reading = await Attempt().run(
        nodes.observe_node, watching(edge, actions.ObserveNode(node="edge1"))
    )
    assert Service.TRANSACTION_MANAGER not in reading.services
    assert reading.services[Service.FTP] is State.DISABLED
    assert reading.services[Service.SSH] is State.RUNNING


async def test_observing_never_fails(
    nodes: SshNodes, node: Node, installation: Installation, ssh_server: SshServer
) -> None:
    """What cannot be read is a finding, beside what was read."""
    installation.set("noise", "Warning: NSS_DEFAULT is deprecated\n")
    attempt = Attempt()
    reading = await attempt.run(
        nodes.observe_node, watching(node, actions.ObserveNode(node="server1"))
    )
    assert reading.services[Service.SSH] is State.RUNNING
    assert {finding.name for finding in reading.findings} == {
        "reading_unusable",  # no taeh on this node
        "node_unreachable_admin",
    }
    assert reading.clock_ahead is not None
    assert abs(reading.clock_ahead) < timedelta(seconds=2)


async def test_half_closed_connections_are_sessions_too(
    shell: Shell, node_maker: NodeMaker
) -> None:
    """A client that has sent all it has may still wait for an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        node = node_maker(protocols={Protocol.SSH: (port,)})
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            client.shutdown(socket.SHUT_WR)
            with accepted:
                assert accepted.recv(1) == b""
                counted = await ServiceStatusReader(shell).connections(node)
    assert counted == {Protocol.SSH: 1}


async def test_a_listed_port_on_which_nothing_listens_is_read(
    shell: Shell, node_maker: NodeMaker
) -> None:
    """Also where another address of the machine has a listener on it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        reader = ServiceStatusReader(shell)
        here = node_maker(protocols={Protocol.SSH: (port, 1)}, listen_on=("127.0.0.1",))
        assert await reader.silent_ports(here) == (ListedPort(Protocol.SSH, 1),)
        elsewhere = node_maker(
            "server2", protocols={Protocol.SSH: (port,)}, listen_on=("127.0.0.2",)
        )
        (silent,) = await reader.silent_ports(elsewhere)
        assert str(silent) == f"ssh {port}"


async def test_what_a_later_wait_reads_is_read_at_once(
    nodes: SshNodes, server: Node, api: Api
) -> None:
    """Sessions, events and transfers that no wait could use are findings before any effect."""
    given = watching(server, actions.ObserveNode(node="server1"))
    await Attempt().run(nodes.observe_node, given)
    assert {"GET /sessions", "GET /events", "GET /transfers"} <= set(api.asked)
    api.sessions = {"session": []}  # type: ignore[assignment] # as API 1.x answered
    reading = await Attempt().run(nodes.observe_node, given)
    assert any("session list is no list" in finding.seen for finding in reading.findings)


async def test_what_waits_for_a_transaction_manager_is_read_only_where_one_runs(
    nodes: SshNodes, server: Node, api: Api
) -> None:
    """A rejoin reads Servers whose Transaction Manager is still down: it may refuse transfers."""
    installation, asked = Installation(server), "GET /transfers"
    given = watching(server, actions.ObserveNode(node="server1"))
    reading = await Attempt().run(nodes.observe_node, given)
    assert reading.services[Service.TRANSACTION_MANAGER] is State.STOPPED
    assert asked not in api.asked
    assert "GET /sessions" in api.asked
    installation.set("tm")
    await Attempt().run(nodes.observe_node, given)
    assert asked in api.asked


@pytest.mark.parametrize(
    ("ssh", "found"),
    [
        ({"user": "st", "key": "env:KEY", "port": 1}, "node_unreachable_ssh"),
        ({"user": "st", "key": "env:ADMIN", "port": 1}, "ssh_access_refused"),
    ],
)
async def test_a_node_that_cannot_be_read_is_a_finding(
    ssh: dict[str, object], found: str, nodes: SshNodes, node_maker: NodeMaker
) -> None:
    """It has no services, and one finding for each way to it; advice depends on the reason."""
    given = watching(node_maker(ssh=ssh), actions.ObserveNode(node="server1"))
    reading = await Attempt().run(nodes.observe_node, given)
    assert reading.services == {}
    assert sorted(one.name for one in reading.findings) == ["node_unreachable_admin", found]


async def test_a_secret_that_everyone_may_read_is_found(
    nodes: SshNodes, node_maker: NodeMaker, ssh_server: SshServer, tmp_path: Path
) -> None:
    """SSH works all the same; the finding warns, and names the file and the command."""
    file = tmp_path / "key"
    file.write_bytes(CLIENT_KEY.export_private_key("openssh"))
    file.chmod(0o644)
    node = node_maker(ssh={"user": "st", "key": f"file:{file}", "port": ssh_server.port})
    reading = await Attempt().run(
        nodes.observe_node, watching(node, actions.ObserveNode(node="server1"))
    )
    assert reading.clock_ahead is not None
    (found,) = (one for one in reading.findings if one.name == "secret_readable_by_others")
    assert found.severity is Severity.WARNS
    assert found.advice == f"chmod 600 {file}"
