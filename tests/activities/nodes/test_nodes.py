"""Orders for a node's shell: what holds is left alone, what is done is proven."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from activities.ledger.store import LedgerCommand
from activities.nodes.activities import SshNodes
from activities.nodes.operating_systems import open_ledger
from activities.securetransport.admin_client import AdminClient
from activities.transport.ssh import Command, Shell
from tests.activities.conftest import NodeMaker
from tests.support.ssh_machines import (
    SECRETS,
    Attempt,
    Installation,
    SshServer,
    input_for,
    watching,
)
from workflows.errors import CommandFailed, Lost, NotReady, OutcomeUnknown
from workflows.model import actions
from workflows.model.estate import Kind, Node, Protocol
from workflows.model.results import Service, State

STOP_SSH = actions.StopGracefully(node="server1", protocol=Protocol.SSH, grace=timedelta(seconds=2))
START_SSH = actions.StartProtocolServer(node="server1", protocol=Protocol.SSH)
STOP_TM = actions.StopTransactionManager(node="server1", grace=timedelta(seconds=30))


@pytest.fixture
def nodes(shell: Shell) -> SshNodes:
    """The hands."""
    return SshNodes(shell, AdminClient(shell, SECRETS))


@pytest.fixture
def installation(node: Node) -> Installation:
    """SecureTransport on the node, all of it running."""
    return Installation(node, "monitord", "sshd", "tm")


async def test_the_monitor_is_stopped_once(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """A second attempt at the same order reports the same and does nothing."""
    action = actions.StopMonitor(node="server1")
    first = await Attempt().run(nodes.stop_monitor, input_for(node, action))
    second = await Attempt().run(nodes.stop_monitor, input_for(node, action))
    assert first == second
    assert (first.outcome, installation.changes) == ("changed", ["stop monitord"])


async def test_what_holds_already_is_left_alone(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Nothing is sent where the wished state holds."""
    installation.clear("monitord")
    installation.clear("sshd")
    reports = [
        await Attempt().run(
            nodes.stop_monitor, input_for(node, actions.StopMonitor(node="server1"))
        ),
        await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH)),
        await Attempt().run(
            nodes.start_transaction_manager,
            input_for(node, actions.StartTransactionManager(node="server1")),
        ),
    ]
    assert {report.outcome for report in reports} == {"unchanged"}
    assert installation.changes == []


async def test_a_script_that_says_yes_and_does_nothing_is_found_out(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Exit status 0 alone proves nothing."""
    installation.set("monitord.never")
    with pytest.raises(CommandFailed, match="the command ended, but monitor is running"):
        await Attempt().run(
            nodes.stop_monitor, input_for(node, actions.StopMonitor(node="server1"))
        )


async def test_the_monitor_is_started(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Started, and seen running."""
    installation.clear("monitord")
    action = actions.StartMonitor(node="server1")
    report = await Attempt().run(nodes.start_monitor, input_for(node, action))
    assert (report.outcome, installation.runs("monitord")) == ("changed", True)


async def test_nothing_is_stopped_gracefully_while_the_monitor_runs(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """The Monitor would start again what is being stopped."""
    with pytest.raises(NotReady, match="monitor still running, so ssh was left up"):
        await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))
    assert installation.changes == []


async def test_a_monitor_nobody_understands_is_no_stopped_one(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """An answer that cannot be read settles nothing."""
    installation.script("status_monitord", "#!/bin/sh\necho monitord is resting\n")
    with pytest.raises(OutcomeUnknown, match="resting"):
        await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))
    assert installation.changes == []


@pytest.mark.parametrize("way", ["returns", "blocks"])
async def test_a_graceful_stop_is_over_when_it_has_landed(
    way: str, nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Whether the script returns at once or blocks, the report comes when the service is down."""
    installation.clear("monitord")
    installation.set("sshd.late", "1")
    if way == "blocks":
        installation.set("blocks")
    report = await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))
    assert report.outcome == "changed"
    assert not installation.runs("sshd")
    assert installation.changes == ["stop sshd -g -timeout 2"]


async def test_eight_attempts_at_a_graceful_stop_are_one(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """A pending stop is never repeated, and everyone tells the same of it."""
    installation.clear("monitord")
    installation.set("sshd.late", "1")
    reports = await asyncio.gather(
        *(Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH)) for _ in range(8))
    )
    assert installation.changes == ["stop sshd -g -timeout 2"]
    assert len(set(reports)) == 1


async def test_a_stop_that_does_not_land_is_a_failure(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Past its timeout and margin, a service that still runs was not stopped."""
    installation.clear("monitord")
    installation.set("sshd.never")
    with pytest.raises(CommandFailed, match=r"still running .*past its timeout and margin"):
        await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))


async def test_a_stop_that_says_no_is_a_failure_with_its_words(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """The operator reads what the vendor's script printed."""
    installation.clear("monitord")
    installation.set("stop.sshd.fails", "not while it rains")
    with pytest.raises(CommandFailed, match="ended with 1: not while it rains"):
        await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))


async def test_a_lost_stop_that_lands_all_the_same_is_settled_by_looking(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """The process is gone without a status, but the service is down: that is what was wished."""
    installation.clear("monitord")
    installation.script(
        "stop_sshd", f"#!/bin/sh\nkill -9 $PPID; sleep 0.5; rm {installation.state}/sshd\n"
    )
    report = await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))
    assert report.outcome == "changed"


async def test_a_lost_stop_that_changed_nothing_is_for_someone_to_decide(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """No attempt tries again what may have been done."""
    installation.clear("monitord")
    installation.script("stop_sshd", f"#!/bin/sh\necho >>{node.ledger}-ran\nkill -9 $PPID\n")
    for _ in range(2):
        with pytest.raises(Lost, match="its process is gone"):
            await Attempt().run(nodes.stop_gracefully, input_for(node, STOP_SSH))
    assert await asyncio.to_thread(Path(f"{node.ledger}-ran").read_text) == "\n"


async def test_the_transaction_manager_outlives_the_protocol_servers(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """It is stopped only when every protocol server and the Monitor of its node are down."""
    with pytest.raises(NotReady, match="ssh, monitor still running, so the Transaction Manager"):
        await Attempt().run(nodes.stop_transaction_manager, input_for(node, STOP_TM))
    installation.clear("monitord")
    installation.clear("sshd")
    report = await Attempt().run(nodes.stop_transaction_manager, input_for(node, STOP_TM))
    assert report.outcome == "changed"
    assert installation.changes == ["stop tm -g -timeout 30"]


async def test_stopped_is_proven_for_servers_that_the_estate_does_not_know_too(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """A protocol server that nobody listed would be cut off with the Transaction Manager."""
    installation.clear("monitord")
    installation.clear("sshd")
    action = actions.VerifyStopped(node="server1")
    assert (await Attempt().run(nodes.verify_stopped, input_for(node, action))).outcome == "seen"
    installation.set("pesitd")
    with pytest.raises(NotReady, match="pesit still running"):
        await Attempt().run(nodes.verify_stopped, input_for(node, action))


async def test_a_start_waits_for_the_pending_stop(
    nodes: SshNodes, node: Node, installation: Installation, shell: Shell
) -> None:
    """A stop on the server's own clock would undo a start that overtakes it."""
    installation.clear("monitord")
    pending = LedgerCommand(
        "other-run.stop",
        Service.SSH,
        Command((f"{node.filedrivehome}/bin/stop_sshd",)),
        timedelta(seconds=3),
        "deadline",
    )
    installation.set("sshd.late", "2")
    await open_ledger(shell).run_once(node, pending)
    report = await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))
    assert report.outcome == "changed"
    assert installation.changes == ["stop sshd", "start sshd", "stop monitord"]
    assert installation.runs("sshd")


async def test_a_start_is_needless_where_the_pending_stop_came_to_nothing(
    nodes: SshNodes, node: Node, installation: Installation, shell: Shell
) -> None:
    """A stop that may still land is waited for; if the service runs then, nothing is started."""
    installation.clear("monitord")
    refused = LedgerCommand(
        "other-run.stop", Service.SSH, Command(("false",)), timedelta(seconds=2), "deadline"
    )
    await open_ledger(shell).run_once(node, refused)
    report = await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))
    assert report.outcome == "unchanged"
    assert installation.changes == []
    assert installation.runs("sshd")


async def test_a_start_leaves_the_monitor_as_it_was(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """Every start revives the Monitor; one that was down is stopped again, and that is said."""
    installation.clear("monitord")
    installation.clear("sshd")
    first = await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))
    second = await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))
    assert first == second
    assert "the Monitor, which this also started, was stopped again" in first.message
    assert installation.runs("sshd")
    assert not installation.runs("monitord")


async def test_a_start_that_is_refused_at_first_is_tried_again(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """A port still in use for a moment is no failure (section 4)."""
    installation.clear("sshd")
    installation.set("start.sshd.fails", "the port is in use")
    report = await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))
    assert report.outcome == "changed"
    assert installation.changes == ["start sshd", "start sshd"]


async def test_a_start_that_is_always_refused_fails_with_its_words(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """UnreachableBudget has an end."""
    installation.clear("sshd")
    installation.script("start_sshd", "#!/bin/sh\necho the port is in use; exit 1\n")
    with pytest.raises(CommandFailed, match="the port is in use"):
        await Attempt().run(nodes.start_protocol_server, input_for(node, START_SSH))


@pytest.fixture
def stop_all(node: Node, installation: Installation) -> Path:
    """A tm.pid with a living process, and a stop_all that ends it."""
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


async def test_what_is_left_is_proven_gone_by_process_and_port(
    nodes: SshNodes, node: Node, installation: Installation, stop_all: Path
) -> None:
    """No status script answers after stop_all; a PID file without a process is a stale one."""
    process = await living(stop_all / "tm.pid")
    reaped = asyncio.create_task(process.wait())
    action = actions.StopRemaining(node="server1")
    report = await Attempt().run(nodes.stop_remaining, input_for(node, action))
    await reaped
    again = await Attempt().run(nodes.stop_remaining, input_for(node, action, "run-2"))
    assert (report.outcome, again.outcome) == ("changed", "unchanged")
    assert installation.changes == ["stop all"]


async def test_what_survives_stop_all_is_named(
    nodes: SshNodes, node: Node, installation: Installation, stop_all: Path
) -> None:
    """A process that is still there was not stopped, whatever the script said."""
    process = await living(stop_all / "sshd.pid")
    try:
        with pytest.raises(CommandFailed, match=r"still running: .*sshd\.pid"):
            await Attempt().run(
                nodes.stop_remaining, input_for(node, actions.StopRemaining(node="server1"))
            )
    finally:
        process.kill()
        await process.wait()


async def test_everything_is_started_and_seen(
    nodes: SshNodes, node: Node, installation: Installation
) -> None:
    """After start_all every service that the estate expects runs, admin first of all."""
    for name in ("admin", "sshd", "tm", "monitord"):
        installation.clear(name)
    state = installation.state
    installation.script(
        "start_all",
        f"#!/bin/sh\ncd {state}; : >sshd; : >tm; (sleep 1; : >admin) >/dev/null 2>&1 &\n",
    )
    report = await Attempt().run(nodes.start_all, input_for(node, actions.StartAll(node="server1")))
    assert report.outcome == "changed"
    assert installation.runs("tm")


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
    """What cannot be read is said, with what is there beside it."""
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


async def test_a_node_that_does_not_answer_is_a_finding(
    nodes: SshNodes, node_maker: NodeMaker
) -> None:
    """An unreachable node has no services, and one finding for each way to it."""
    silent = node_maker(address="127.0.0.1", ssh={"user": "st", "key": "env:KEY", "port": 1})
    reading = await Attempt().run(
        nodes.observe_node, watching(silent, actions.ObserveNode(node="server1"))
    )
    assert reading.services == {}
    names = sorted(finding.name for finding in reading.findings)
    assert names == ["node_unreachable_admin", "node_unreachable_ssh"]


async def test_a_node_that_refuses_us_is_a_finding(nodes: SshNodes, node_maker: NodeMaker) -> None:
    """A wrong key is not silence: the advice differs."""
    refusing = node_maker(ssh={"user": "st", "key": "env:ADMIN", "port": 1})
    reading = await Attempt().run(
        nodes.observe_node, watching(refusing, actions.ObserveNode(node="server1"))
    )
    assert "ssh_access_refused" in [f.name for f in reading.findings]
