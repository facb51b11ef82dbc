"""Does every fault that can be planted on nodes show there, and go without a trace?"""

from __future__ import annotations

import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import asyncssh
import httpx
import pytest

from lab.campaigns.preflight_faults import configuration, nodes
from lab.campaigns.preflight_faults import machine_programs as programs
from lab.campaigns.preflight_faults import services as running
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.lab import Lab as House
from lab.layout import PROBE_ACCOUNT, SFTP_PORT
from tests.support.node_clients import Lab

FAULTS = (*nodes.FAULTS, *programs.FAULTS, *running.FAULTS, *configuration.FAULTS)

Reading = Callable[[Lab, str], Awaitable[bool]]


@pytest.fixture
async def lab(whole_lab: House) -> AsyncIterator[Lab]:
    """What reaches the nodes of a whole lab, as a client would."""
    lab = Lab(whole_lab.layout, whole_lab.databases, whole_lab.machines)
    yield lab
    await lab.leave()


def fails(command: str) -> Reading:
    """Whether a command fails on the node."""

    async def reading(lab: Lab, place: str) -> bool:
        node = lab.layout.node(place)
        words = command.format(home=node.home, ledger=node.ledger)
        return (await lab.run(place, words)).status != 0

    return reading


def prints(command: str, words: str) -> Reading:
    """Whether a command prints something like that on the node."""

    async def reading(lab: Lab, place: str) -> bool:
        command_here = command.format(home=lab.home(place))
        return bool(re.search(words, (await lab.run(place, command_here)).text))

    return reading


def answers(resource: str, words: str, servers: tuple[str, ...] = ()) -> Reading:
    """Whether the admin API of the node, or of these nodes of the cluster, answers like that."""

    async def reading(lab: Lab, place: str) -> bool:
        names = [f"{place}-{server}" for server in servers] or [place]
        answers = [str(await lab.ask(name, resource)) for name in names]
        return all(re.search(words, answer) for answer in answers)

    return reading


def lists(resource: str) -> Reading:
    """Whether one cluster's list has what the other's has not."""

    async def reading(lab: Lab, place: str) -> bool:
        one, two = [
            await lab.ask(f"{cluster.name}-server1", f"{resource}?limit=1000")
            for cluster in lab.layout.clusters
        ]
        return sorted(map(str, one["result"])) != sorted(map(str, two["result"]))

    return reading


def both(*readings: Reading) -> Reading:
    """Whether all of them are seen."""

    async def reading(lab: Lab, place: str) -> bool:
        return all([await one(lab, place) for one in readings])

    return reading


async def nobody_gets_in(lab: Lab, place: str) -> bool:
    """Whether the shell hangs up."""
    try:
        await lab.shell(place)
    except asyncssh.PermissionDenied:
        return False
    except (OSError, asyncssh.Error):
        return True
    return False


async def the_key_is_refused(lab: Lab, place: str) -> bool:
    """Whether the shell refuses the operator's key."""
    try:
        await lab.shell(place)
    except asyncssh.PermissionDenied:
        return True
    return False


async def admin_is_silent(lab: Lab, place: str) -> bool:
    """Whether the admin API alone answers nobody."""
    with suppress(httpx.TransportError):
        async with lab.admin(place) as client:
            await client.get("daemons")
        return False
    return await lab.status(place, "sshd") == "sshd is alive"


async def the_password_is_refused(lab: Lab, place: str) -> bool:
    """Whether the admin API knows us no longer."""
    async with lab.admin(place) as client:
        return (await client.get("daemons")).status_code == 401


async def the_probe_is_refused(lab: Lab, place: str) -> bool:
    """Whether the probe's account cannot log in, although SSH and HTTP are served."""
    alive = [await lab.status(place, script) for script in ("sshd", "httpd")]
    assert alive == ["sshd is alive", "httpd is alive"]
    async with lab.web(place, PROBE_ACCOUNT) as client:
        refused = (await client.get("/files/")).status_code == 401
    try:
        async with lab.visit(place, PROBE_ACCOUNT) as visit:
            await visit.listdir(".")
    except asyncssh.PermissionDenied:
        return refused
    return False


async def a_client_is_connected(lab: Lab, place: str) -> bool:
    """Whether the kernel knows of a connection to the SSH protocol server."""
    address = bytes(map(int, lab.address(place).split(".")))[::-1].hex().upper()
    wanted = f"{address}:{SFTP_PORT:04X}"
    rows = [line.split() for line in (await lab.run(place, "cat /proc/net/tcp")).text.splitlines()]
    return any(row[1] == wanted and row[3] == "01" for row in rows[1:])


async def the_clock_is_ahead(lab: Lab, place: str) -> bool:
    """Whether the node's own time is 90 seconds from ours, give or take a slow machine."""
    there = int((await lab.run(place, "date +%s")).text)
    return 60 < there - time.time() <= 90


async def half_a_file_lies_there(lab: Lab, place: str) -> bool:
    """Whether a Transaction Manager's file is left that nobody has touched for an hour."""
    storage = lab.layout.cluster(place).storage
    find = f"find {storage} -name '*.m_inproc' -type f -mmin +60"
    return (await lab.run(f"{place}-server1", find)).text != ""


async def half_stopped(lab: Lab, place: str) -> bool:
    """Whether HTTP is said to be alive, lets nobody in, and somebody's stop waits for its end."""
    waiting = f"cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -F {lab.home(place)}/bin/stop_httpd"
    if "-g -timeout 600" not in (await lab.run(place, waiting)).text:
        return False
    if await lab.status(place, "httpd") != "httpd is alive":
        return False
    try:
        async with lab.web(place) as client:
            await client.get("/")
    except httpx.ConnectError:
        return True
    return False


SCHEDULER = "clusterServices?serviceName=Scheduler"
FOLDER_MONITOR = "clusterServices?serviceName=FolderMonitor"
OPTION = "configurations/options?name="
SERVERS = ("server1", "server2")
SEEN: dict[str, Reading] = {
    "node_unreachable_ssh": nobody_gets_in,
    "ssh_access_refused": the_key_is_refused,
    "node_unreachable_admin": admin_is_silent,
    "admin_access_refused": the_password_is_refused,
    "ssh_user_not_owner": fails("[ -O {home} ]"),
    "installation_missing": fails("[ -d {home}/bin ]"),
    "script_missing": fails("[ -x {home}/bin/stop_sshd ]"),
    "ledger_not_writable": fails("mkdir -p {ledger} && rmdir {ledger}"),
    "ledger_disk_low": prints("df -Pk / | awk 'NR == 2 {{ print $4 }}'", "^1024$"),
    "version_differs": answers("version", "5.5-20230126"),
    "operating_system_differs": both(answers("version", "AIX"), prints("uname -s", "^AIX$")),
    "database_type_differs": answers("version", "Oracle"),
    "clock_out_of_step": the_clock_is_ahead,
    "taeh_differs": prints("cat {home}/bin/taeh", "^another$"),
    "conf_differs": prints("cat {home}/conf/*", "attempts=30"),
    "cluster_nodes_differ": answers("configurations/clusterManagement", "cluster1-server9"),
    "service_unreadable": prints("{home}/bin/status_sshd", "desync"),
    "target_edge_login_fails": the_probe_is_refused,
    "kills_user_processes": prints("loginctl show-session", "(?m)^KillUserProcesses=yes$"),
    "protocol_server_not_running": prints("{home}/bin/status_sshd", "sshd is down"),
    "protocol_server_not_in_estate": prints("{home}/bin/status_as2d", "as2d is alive"),
    "transaction_manager_not_running": answers("transactionManager", "Not running"),
    "monitor_not_running": prints("{home}/bin/status_monitord", "monitord is down"),
    "source_not_active": answers(SCHEDULER, "Not running", SERVERS),
    "target_not_idle": answers(FOLDER_MONITOR, "Running"),
    "scheduling_disabled": answers(SCHEDULER, "Disabled", SERVERS),
    "target_has_sessions": a_client_is_connected,
    "graceful_stop_pending": half_stopped,
    "options_differ": answers(f"{OPTION}Ssh.MaxConnections", "'50'", SERVERS),
    "graceful_timeout_short": answers(f"{OPTION}Http.GracefulShutdownTimeout", "'30'", SERVERS),
    "transaction_manager_timeout_short": answers(
        f"{OPTION}TransactionManager.GracefulShutdownTimeout", "'20'", SERVERS
    ),
    "maintenance_mode": answers(f"{OPTION}Server.MaintenanceMode.enabled", "'true'", SERVERS),
    "accounts_differ": lists("accounts"),
    "business_units_differ": lists("businessUnits"),
    "sites_differ": lists("sites"),
    "routes_differ": lists("routes"),
    "subscriptions_differ": lists("subscriptions"),
    "applications_differ": lists("applications"),
    "certificates_differ": lists("certificates"),
    "events_stuck": answers("events", "unreachable_partner", SERVERS),
    "orphaned_files": half_a_file_lies_there,
}
"""How a client of the node sees each of them."""


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.name)
async def test_a_fault_shows_until_it_is_taken_out(
    whole_lab: House, lab: Lab, plant: InjectedFault
) -> None:
    """It is seen by a client of the node, and afterwards the lab is in its baseline again."""
    if plant.name == "ssh_user_not_owner" and os.geteuid():
        pytest.skip("only root can give a directory away")
    seen = SEEN[plant.name]
    assert not await seen(lab, plant.place)

    await plant.inject(lab.layout, plant.place)
    assert await seen(lab, plant.place)
    # A session is no difference that would outlast it.
    assert await whole_lab.at_baseline() or plant.name == "target_has_sessions"
    await plant.revert(lab.layout, plant.place)

    assert not await seen(lab, plant.place)
    lab.layout.sessions.unlink(missing_ok=True)  # our own
    assert await whole_lab.at_baseline() == []
