"""Graceful stops behave as the vendor's do."""

import asyncio
from collections.abc import AsyncIterator

import asyncssh
import httpx
import pytest

from lab import records
from tests.support.node_clients import PARTNER, Lab
from tests.support.polling import eventually

EDGE = "cluster1-edge1"
SERVER = "cluster1-server1"


async def test_a_transfer_in_progress_finishes_and_new_work_is_refused(lab: Lab) -> None:
    """A graceful stop lets open files end, and refuses new work and new clients."""
    async with lab.visit(EDGE) as client, lab.visit(EDGE) as idle:
        transfer = await client.open("slow", "wb")
        await transfer.write(b"first ")
        assert (await lab.script(EDGE, "stop_sshd -g -timeout 30")).status == 0
        await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain"])
        for refused in (idle.listdir("."), client.mkdir("new"), client.open("second", "wb")):
            with pytest.raises(asyncssh.SFTPFailure):
                await refused
        assert not await lab.serves(EDGE)
        await transfer.write(b"last")
        assert lab.effects(EDGE, "ssh") == ["drain"]
        await transfer.close()
        await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "stopped"])
    stored = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER / "slow"
    assert stored.read_bytes() == b"first last"


async def test_an_upload_over_https_finishes_and_the_next_gets_503(lab: Lab) -> None:
    """The HTTP server ends the request in flight and answers 503 to the next one."""
    goes_on = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"first "
        await goes_on.wait()
        yield b"last"

    async with lab.web(EDGE) as client, lab.web(EDGE) as other:
        assert (await other.get("/files/")).json() == []
        upload = asyncio.create_task(client.put("/files/slow", content=content()))
        folder = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER
        await eventually(lambda: any(folder.glob(".slow*")))
        await lab.script(EDGE, "stop_httpd -g -timeout 30")
        await eventually(lambda: lab.effects(EDGE, "http") == ["drain"])
        assert (await other.get("/files/")).status_code == 503
        goes_on.set()
        assert (await upload).status_code == 201
    await eventually(lambda: lab.effects(EDGE, "http") == ["drain", "stopped"])
    assert (folder / "slow").read_bytes() == b"first last"


async def test_a_stop_continues_when_its_caller_has_disconnected(lab: Lab) -> None:
    """Neither the end of the SSH session nor that of the script changes a pending stop."""
    async with lab.visit(EDGE) as client:
        transfer = await client.open("slow", "wb")
        lab.turn(graceful_stop_command="blocks")
        shell = await lab.shell(EDGE)
        asking = asyncio.create_task(shell.run(f"{lab.home(EDGE)}/bin/stop_sshd -g -timeout 30"))
        await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain"])
        shell.abort()
        await asyncio.gather(asking, return_exceptions=True)
        await transfer.write(b"still here")
        await transfer.close()
        await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "stopped"])


async def test_a_detached_command_survives_its_session_but_not_the_machine(lab: Lab) -> None:
    """What a shell detached runs on after the session, until the machine reboots."""
    shell = await lab.shell("loadbalancer1")
    await shell.run("setsid sh -c 'echo $$ >tmp/pid; exec sleep 1000' </dev/null >/dev/null 2>&1 &")
    file = lab.layout.load_balancer_root / "tmp/pid"
    await eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    shell.abort()
    pid = file.read_text().strip()
    boot = await lab.run("loadbalancer1", "cat proc/boot_id")
    assert (await lab.run("loadbalancer1", f"kill -0 {pid}")).status == 0
    await asyncio.to_thread(lab.machines.reboot, "loadbalancer1")
    assert (await lab.run("loadbalancer1", f"kill -0 {pid}")).status != 0
    assert await lab.run("loadbalancer1", "cat proc/boot_id") != boot


async def test_a_start_during_a_pending_stop_is_undone(lab: Lab) -> None:
    """The start reports success, clients can connect, and the stop completes all the same."""
    lab.turn(graceful_stop_ends="at_timeout")
    await lab.script(EDGE, "stop_sshd -g -timeout 2")
    started = await lab.script(EDGE, "start_sshd")
    assert (started.status, started.text) == (0, "sshd started")
    await eventually(lambda: lab.serves(EDGE))
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "start", "stopped"])
    assert not await lab.serves(EDGE)
    assert await lab.status(EDGE, "sshd") == "sshd is down"


async def test_an_idle_server_stops_early_or_at_its_timeout(lab: Lab) -> None:
    """Options decide whether an idle server waits, and whether the script waits for the stop."""
    await lab.script(EDGE, "stop_sshd -g -timeout 3000")
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "stopped"])
    lab.turn(graceful_stop_ends="at_timeout")
    await lab.script(EDGE, "stop_httpd -g -timeout 1")
    assert await lab.status(EDGE, "httpd") == "httpd is alive"
    assert lab.effects(EDGE, "http") == ["drain"]
    await eventually(lambda: lab.effects(EDGE, "http") == ["drain", "stopped"])
    assert await lab.status(EDGE, "httpd") == "httpd is down"
    lab.turn(graceful_stop_command="blocks")
    await lab.script(SERVER, "stop_sshd -g -timeout 1")
    assert lab.effects(SERVER, "ssh") == ["drain", "stopped"]


async def test_the_timeout_cuts_what_still_runs(lab: Lab) -> None:
    """A transfer that outlasts the timeout is ended, and the record counts it."""
    async with lab.visit(EDGE) as client:
        transfer = await client.open("slow", "wb")
        await transfer.write(b"never whole")
        await lab.script(EDGE, "stop_sshd -g -timeout 1")
        await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "stopped"])
        with pytest.raises((asyncssh.SFTPError, asyncssh.Error)):
            await transfer.write(b"more")
    *_, last = records.read(lab.layout.effects)
    assert last["cut"] == 1
    folder = lab.layout.cluster("cluster1").storage / "accounts" / PARTNER
    await eventually(lambda: not list(folder.iterdir()))
    sessions = [entry["what"] for entry in records.read(lab.layout.sessions)]
    assert sessions == ["begin", "end"]


async def test_a_repeated_stop_is_recorded_and_changes_no_clock(lab: Lab) -> None:
    """A second graceful stop shows in the record as unchanged."""
    lab.turn(graceful_stop_ends="at_timeout")
    await lab.script(EDGE, "stop_sshd -g -timeout 1")
    await lab.script(EDGE, "stop_sshd -g -timeout 3000")
    await eventually(lambda: lab.effects(EDGE, "ssh") == ["drain", "drain", "stopped"])
    changed = [entry["changed"] for entry in records.read(lab.layout.effects)]
    assert changed == [True, False, True]


async def test_a_stop_of_the_transaction_manager_waits_for_open_files(lab: Lab) -> None:
    """Its graceful stop lets a transfer end, and below 30 s it is not graceful."""
    async with lab.visit(SERVER) as client:
        transfer = await client.open("slow", "wb")
        await lab.script(SERVER, "stop_tm -g -timeout 60")
        with pytest.raises(asyncssh.SFTPFailure):
            await client.listdir(".")
        await transfer.write(b"whole")
        await transfer.close()
    await eventually(lambda: lab.effects(SERVER, "tm") == ["drain", "stopped"])
    await lab.script("cluster1-server2", "stop_tm -g -timeout 29")
    assert lab.effects("cluster1-server2", "tm") == ["stop"]


async def test_timeout_needs_the_graceful_flag(lab: Lab) -> None:
    """``-timeout`` without ``-g`` is refused and stops nothing."""
    refused = await lab.script(EDGE, "stop_sshd -timeout 5")
    assert refused.status == 1
    assert "usage" in refused.error
    assert await lab.serves(EDGE)


async def test_an_idle_keep_alive_connection_ends_with_the_stop(lab: Lab) -> None:
    """A client that only kept its connection is cut when the stop completes."""
    async with lab.web(EDGE) as client:
        assert (await client.put("/files/a", content=b"x")).status_code == 201
        assert (await client.get("/files/a")).content == b"x"
        await lab.script(EDGE, "stop_httpd -g -timeout 30")
        await eventually(lambda: lab.effects(EDGE, "http") == ["drain", "stopped"])
        with pytest.raises(httpx.TransportError):
            await client.get("/files/")


async def test_the_server_log_lists_the_clients_during_a_drain(lab: Lab) -> None:
    """A pending stop says at once, and then every minute, whose connections are active."""
    async with lab.visit(EDGE) as client:
        transfer = await client.open("slow", "wb")
        await lab.script(EDGE, "stop_sshd -g -timeout 30")

        async def is_logged() -> bool:
            log = (await lab.ask(EDGE, "logs/server?component=SSHD"))["result"]
            line = f"graceful shutdown: active connections: 1 ({PARTNER})"
            return line in [entry["message"] for entry in log]

        await eventually(is_logged)
        await transfer.close()
