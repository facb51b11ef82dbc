"""Scripts, services and the Monitor of a node behave as the vendor's do."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncssh
import httpx
import pytest

from lab import records
from lab.keys import make_keys
from lab.layout import SFTP_PORT, Layout, password
from tests.lab.node.test_work import stop_monitor
from tests.support.node_clients import PARTNER, Lab
from tests.support.polling import eventually

EDGE = "cluster1-edge1"
SERVER = "cluster1-server1"


async def test_monitord_restarts_what_died(lab: Lab) -> None:
    """A killed protocol server and a killed TM come back; PID files are real."""
    lab.turn(monitor_interval=0.1, protocol_start_delay=0.0)
    await lab.run(EDGE, f"kill -9 {lab.pid(EDGE, 'sshd.pid')}")
    await lab.run(SERVER, f"kill -9 {lab.pid(SERVER, 'tm.pid')}")
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["died", "start"])
    await eventually(lambda: lab.effects(SERVER, "tm") == ["died", "start"])
    await eventually(lambda: lab.serves(EDGE))
    started = [e["by"] for e in records.read(lab.layout.effects) if e["effect"] == "start"]
    assert set(started) == {"monitord"}


async def test_monitord_leaves_alone_what_was_stopped_by_command(lab: Lab) -> None:
    """What a command stopped stays down through several rounds of the Monitor."""
    lab.turn(monitor_interval=0.05)
    await lab.script(EDGE, "stop_sshd")
    await lab.run(EDGE, f"kill -9 {lab.pid(EDGE, 'httpd.pid')}")
    await eventually(lambda: lab.effects(EDGE, "http") == ["died", "start"])
    assert lab.effects(EDGE, "ssh") == ["stop"]


async def test_every_start_revives_the_monitor(lab: Lab) -> None:
    """Starting any service starts monitord, too, unless it runs."""
    await stop_monitor(lab, EDGE)
    assert await lab.status(EDGE, "monitord") == "monitord is down"
    await lab.script(EDGE, "start_sshd")
    assert await lab.status(EDGE, "monitord") == "monitord is alive"
    await lab.script(EDGE, "start_httpd")
    assert lab.effects(EDGE, "monitor") == ["stop", "start"]


async def test_status_texts_are_the_vendors(lab: Lab) -> None:
    """Alive, down and disabled, for each service a node has."""
    for name, scripts in {
        SERVER: {"tm": "alive", "sshd": "alive", "httpd": "alive", "admin": "alive"},
        EDGE: {"socks": "alive", "db": "alive", "as2d": "down", "pesitd": "down"},
        "cluster2-edge1": {"ftpd": "disabled", "monitord": "alive"},
    }.items():
        for script, state in scripts.items():
            assert await lab.status(name, script) == f"{script} is {state}"
    assert (await lab.script(EDGE, "status_tm")).status == 127


async def test_without_admin_no_status_and_no_api(lab: Lab) -> None:
    """With admin down the scripts fail on standard error and REST is refused."""
    await lab.script(EDGE, "stop_admin")
    answer = await lab.script(EDGE, "status_sshd")
    assert (answer.status, answer.text) == (1, "")
    assert answer.error
    with pytest.raises(httpx.TransportError):
        async with lab.admin(EDGE) as client:
            await client.get("daemons")


async def test_the_admin_api_drops_out_while_a_service_stops(lab: Lab) -> None:
    """It refuses for a moment, then answers again."""
    lab.turn(admin_dropout=0.5)
    await lab.script(EDGE, "stop_sshd")
    with pytest.raises(httpx.TransportError):
        async with lab.admin(EDGE) as client:
            await client.get("daemons")
    assert (await lab.ask(EDGE, "daemons"))["sshStatus"] == "Not running"


async def test_disabled_scripts_are_renamed(lab: Lab) -> None:
    """FTP cannot be started or stopped; AS2 and PeSIT can, and are down in the baseline."""
    assert (await lab.run(EDGE, f"ls {lab.home(EDGE)}/bin/start_ftpd.disable")).status == 0
    assert (await lab.script(EDGE, "start_ftpd")).status == 127
    await lab.script(EDGE, "start_as2d -A ALIAS")
    assert await lab.status(EDGE, "as2d") == "as2d is alive"


async def test_start_all_takes_a_while(lab: Lab) -> None:
    """Each service starts once; admin answers late, and a new protocol server refuses at first."""
    lab.turn(admin_start_delay=0.6, protocol_start_delay=0.6)
    await lab.script(EDGE, "stop_all")
    await lab.script(EDGE, "start_all")
    assert (await lab.script(EDGE, "status_sshd")).status == 1
    assert not await lab.serves(EDGE)
    await eventually(lambda: lab.serves(EDGE))

    async def answers() -> bool:
        return await lab.status(EDGE, "sshd") == "sshd is alive"

    await eventually(answers)
    assert await lab.status(EDGE, "as2d") == "as2d is down"
    for service in ("db", "ssh", "admin", "monitor"):
        assert lab.effects(EDGE, service) == ["stop", "start"]


async def test_pid_files_are_where_the_vendor_has_them(lab: Lab) -> None:
    """Each running service has one; a service that dies leaves it, one that is stopped does not."""
    files = await lab.run(EDGE, f"cd {lab.home(EDGE)}/var/run && find . -type f | sort")
    assert files.text.split() == [
        "./admin/tomcat.pid",
        "./db.pid",
        "./httpd.pid",
        "./monitord.pid",
        "./socks.pid",
        "./sshd.pid",
    ]
    await stop_monitor(lab, EDGE)
    await lab.script(EDGE, "stop_httpd")
    await lab.run(EDGE, f"kill -9 {lab.pid(EDGE, 'sshd.pid')}")
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["died"])
    assert (lab.home(EDGE) / "var/run/sshd.pid").exists()
    assert not (lab.home(EDGE) / "var/run/httpd.pid").exists()


async def test_stop_all_stops_everything(lab: Lab) -> None:
    """Nothing of the node runs afterwards, admin included; a repetition is on record."""
    pids = [int(f.read_text()) for f in (lab.home(EDGE) / "var/run").rglob("*.pid")]
    await lab.script(EDGE, "stop_all")
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    stopped = {e["service"] for e in records.read(lab.layout.effects) if e["effect"] == "stop"}
    assert stopped == {"ssh", "http", "admin", "socks", "db", "monitor"}
    await lab.script(EDGE, "stop_all -f")
    *_, last = records.read(lab.layout.effects)
    assert (last["service"], last["effect"], last["changed"]) == ("admin", "stop", False)


async def test_all_protocol_servers_show_one_host_key(lab: Lab) -> None:
    """Clients cannot distinguish the nodes of both clusters; the record of sessions does."""
    seen = set()
    names = (EDGE, SERVER, "cluster2-edge1", "cluster2-server2")
    for name in names:
        key = await asyncssh.get_server_host_key(lab.address(name), SFTP_PORT, config=None)
        assert key
        seen.add(key.public_data)
        async with lab.visit(name) as client:
            await client.listdir(".")
    assert len(seen) == 1
    begun = [e["node"] for e in records.read(lab.layout.sessions) if e["what"] == "begin"]
    assert begun == list(names)
    logged = await lab.ask("cluster2-edge1", "logs/server?component=SSHD")
    assert PARTNER in logged["result"][0]["message"]


async def test_the_taeh_file_is_the_same_everywhere(lab: Lab) -> None:
    """Every node has the same secret file, readable by its owner alone."""
    files = [node.home / "bin/taeh" for node in lab.layout.nodes]
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == 1
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_simulated_faults_show(lab: Lab) -> None:
    """Noise, refusals and lost answers of scripts can be simulated."""
    faults = {
        "status_sshd": "WARNING: noise\n{status}",
        "exit_stop_sshd": "cannot stop",
        "hang_stop_httpd": "after",
        "hang_stop_socks": "before",
    }
    lab.turn(faults={EDGE: faults})
    assert await lab.status(EDGE, "sshd") == "WARNING: noise\nsshd is alive"
    refused = await lab.script(EDGE, "stop_sshd")
    assert (refused.status, refused.error) == (1, "cannot stop")
    await lab.run(EDGE, f"{lab.home(EDGE)}/bin/stop_httpd; {lab.home(EDGE)}/bin/stop_socks; true")
    assert lab.effects(EDGE, "http") == ["stop"]
    assert lab.effects(EDGE, "socks") == []
    assert lab.effects(EDGE, "ssh") == []


async def test_a_machine_can_be_unreachable(lab: Lab) -> None:
    """With that fault a machine's shell breaks off every connection."""
    lab.turn(faults={EDGE: {"unreachable": "true"}})
    with pytest.raises((OSError, asyncssh.Error)):
        await lab.shell(EDGE)


async def test_many_scripts_at_once_all_get_their_answer(lab: Lab) -> None:
    """Scripts that ask the same machine side by side do not mix up their answers."""
    scripts = ["sshd", "httpd", "as2d", "admin", "socks"] * 8
    answers = await asyncio.gather(*(lab.status(EDGE, script) for script in scripts))
    expected = [f"{s} is {'down' if s == 'as2d' else 'alive'}" for s in scripts]
    assert answers == expected


async def test_a_reboot_brings_back_what_ran(lab: Lab) -> None:
    """A crash ends every service at once; after the boot the same ones run."""
    await stop_monitor(lab, EDGE)
    await asyncio.to_thread(lab.machines.reboot, EDGE)
    assert lab.effects(EDGE, "ssh") == ["died", "start"]
    assert lab.effects(EDGE, "monitor") == ["stop"]
    assert await lab.serves(EDGE)


async def test_a_restart_leaves_no_record(lab: Lab) -> None:
    """A service gets a fresh process without an effect."""
    before = lab.pid(EDGE, "sshd.pid")
    await asyncio.to_thread(lab.machines.restart, EDGE, "ssh")
    assert lab.pid(EDGE, "sshd.pid") != before
    assert lab.effects(EDGE, "ssh") == []


async def test_the_admin_api_is_reached_through_the_shell(lab: Lab) -> None:
    """The shell forwards connections to the node's own address, and nowhere else."""
    shell = await lab.shell(EDGE)
    for host in ("localhost", lab.address(EDGE)):
        _, writer = await shell.open_connection(host, 8444)
        writer.close()
    with pytest.raises(asyncssh.ChannelOpenError):
        await shell.open_connection(lab.address(SERVER), 8444)


async def test_commands_get_their_streams_and_end_as_they_do(lab: Lab) -> None:
    """Standard input, output, error, exit status and signals pass through the shell."""
    shell = await lab.shell("loadbalancer1")
    done = await shell.run("cat; echo oops >&2; exit 7", input="given")
    assert (done.stdout, done.stderr, done.exit_status) == ("given", "oops\n", 7)
    killed = await shell.run("kill -TERM $$")
    assert killed.exit_signal
    assert killed.exit_signal[0] == "TERM"
    long = await shell.run("head -c 3000000 /dev/zero", encoding=None)
    assert len(long.stdout or b"") == 3_000_000


def test_nothing_outlives_the_process_that_started_the_lab(tmp_path: Path) -> None:
    """SIGKILL of the lab's own process ends machines and detached commands."""
    program = (
        "import asyncio, sys, time; from pathlib import Path\n"
        "from lab.layout import Layout; from lab.environment.machines import Machines, prepare\n"
        "layout = Layout(Path(sys.argv[1]), sys.argv[2], 1, 1); prepare(layout)\n"
        "machines = Machines(layout); machines.start(); print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    block = f"127.39.{os.getpid() % 250}"
    layout = Layout(tmp_path, block, 1, 1)
    root = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), block], stdout=subprocess.PIPE
    )
    assert root.stdout
    with root, root.stdout:
        assert root.stdout.readline() == b"ready\n"
        pid = asyncio.run(detach(layout))
        os.kill(root.pid, signal.SIGKILL)
    pids = [pid, *(int(file.read_text()) for file in tmp_path.rglob("*.pid"))]
    assert len(pids) > 10

    async def have_ended() -> None:
        await eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in pids))

    asyncio.run(have_ended())


async def detach(layout: Layout) -> int:
    """Leave a detached command on the load balancer machine; return its process id."""
    async with asyncssh.connect(
        layout.load_balancer,
        10022,
        config=None,
        username="st",
        client_keys=[layout.keys / "operator"],
        known_hosts=None,
    ) as shell:
        done = await shell.run("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!")
        return int(str(done.stdout))


def test_keys_are_made_once(tmp_path: Path) -> None:
    """A second call keeps the lab's keys, and the secrets are the layout's."""
    layout = Layout(tmp_path, "127.1.1", 1, 1)
    make_keys(layout)
    before = {file.name: file.read_bytes() for file in layout.keys.iterdir()}
    make_keys(layout)
    assert before == {file.name: file.read_bytes() for file in layout.keys.iterdir()}
    assert before["probe_password"].decode().strip() == password("probe")
