"""Which faults can there be in what runs on the nodes, and how are they planted?

What a plant does to a node leaves no record: it prepares the scene of a run and is no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from lab.campaigns.preflight_faults import direct_client
from lab.campaigns.preflight_faults.actions import (
    ask,
    hide,
    leave_running,
    opens,
    run,
    show,
    shuts,
    unrecorded,
    until,
)
from lab.campaigns.preflight_faults.fault import Action, InjectedFault
from lab.layout import (
    HTTPS_PORT,
    PROTOCOL_PORTS,
    SFTP_PORT,
    STREAMING_PORT,
    Layout,
    NodeLayout,
)
from lab.simulation_options import SimulationOptions

LANDS_LATE = "lands_late"


def _scripts(*scripts: str, port: int = 0, serves: bool = True) -> Action:
    """Return the hand that runs scripts on a node, and waits for what they do to a port."""

    async def act(layout: Layout, place: str) -> None:
        node = layout.node(place)
        async with unrecorded(layout, node):
            for script in scripts:
                await run(node, *script.split())
            if port:
                ready = partial(opens if serves else shuts, node.address, port)
                words = f"{place} {'serves' if serves else 'refuses'} port {port}"
                await until(ready, words)

    return act


def _scheduling(operation: str, service: str) -> Action:
    """Return the hand that starts or stops such a service on a Server, or on all of a cluster."""

    async def act(layout: Layout, place: str) -> None:
        for node in _servers(layout, place):
            async with unrecorded(layout, node):
                query = f"operation={operation}&serviceName={service}"
                await ask(layout, node, f"clusterServices/operations?{query}", "POST")

    return act


def _servers(layout: Layout, place: str) -> Iterable[NodeLayout]:
    known = {cluster.name: cluster.servers for cluster in layout.clusters}
    return known[place] if place in known else (layout.node(place),)


async def _disable_scheduling(layout: Layout, place: str) -> None:
    simulation = SimulationOptions.read(layout.simulation)
    option = {**simulation.scheduling_option, place: False}
    replace(simulation, scheduling_option=option).write(layout.simulation)


async def _enable_scheduling(layout: Layout, place: str) -> None:
    simulation = SimulationOptions.read(layout.simulation)
    option = {name: value for name, value in simulation.scheduling_option.items() if name != place}
    replace(simulation, scheduling_option=option).write(layout.simulation)


async def _send_visitor(layout: Layout, place: str) -> None:
    node = layout.node(place)
    async with unrecorded(layout, node):
        await direct_client.send(layout, node)
        await until(partial(_is_visited, node), f"{place} has a session")


async def _call_visitor_back(layout: Layout, place: str) -> None:
    node = layout.node(place)
    async with unrecorded(layout, node):
        direct_client.call_back(node)
        await until(partial(_is_left, node), f"{place} has no session")


async def _is_visited(node: NodeLayout) -> bool:
    return direct_client.is_inside(node)


async def _is_left(node: NodeLayout) -> bool:
    return not direct_client.is_inside(node)


async def _begin_graceful_stop(layout: Layout, place: str) -> None:
    node = layout.node(place)
    show(layout, place, **{LANDS_LATE: "yes"})
    async with unrecorded(layout, node):
        await leave_running(layout, node, "stop_httpd -g -timeout 600")
        await until(partial(shuts, node.address, HTTPS_PORT), f"{place} refuses new clients")


async def _end_graceful_stop(layout: Layout, place: str) -> None:
    hide(layout, place, LANDS_LATE)
    await _scripts("stop_httpd", "start_httpd", port=HTTPS_PORT)(layout, place)


FAULTS = (
    InjectedFault(
        "protocol_server_not_running",
        "cluster2-edge1",
        "Its SSH protocol server is down.",
        _scripts("stop_sshd", port=SFTP_PORT, serves=False),
        _scripts("start_sshd", port=SFTP_PORT),
    ),
    InjectedFault(
        "protocol_server_not_in_estate",
        "cluster1-server1",
        "An AS2 protocol server runs that the estate does not know.",
        _scripts("start_as2d", port=PROTOCOL_PORTS["as2"]),
        _scripts("stop_as2d", port=PROTOCOL_PORTS["as2"], serves=False),
    ),
    InjectedFault(
        "transaction_manager_not_running",
        "cluster2-server2",
        "Its Transaction Manager is down.",
        _scripts("stop_tm", port=STREAMING_PORT, serves=False),
        _scripts("start_tm", port=STREAMING_PORT),
    ),
    InjectedFault(
        "monitor_not_running",
        "cluster1-server1",
        "Its Monitor is down.",
        _scripts("stop_monitord"),
        _scripts("start_monitord"),
    ),
    InjectedFault(
        "source_not_active",
        "cluster1",
        "The Scheduler runs on none of its Servers.",
        _scheduling("stop", "Scheduler"),
        _scheduling("start", "Scheduler"),
    ),
    InjectedFault(
        "target_not_idle",
        "cluster2-server1",
        "Its Folder Monitor is started.",
        _scheduling("start", "FolderMonitor"),
        _scheduling("stop", "FolderMonitor"),
    ),
    InjectedFault(
        "scheduling_disabled",
        "cluster2",
        "Its options let no Scheduler and no Folder Monitor start.",
        _disable_scheduling,
        _enable_scheduling,
    ),
    InjectedFault(
        "target_has_sessions",
        "cluster2-edge1",
        "A client is connected to it past the load balancer.",
        _send_visitor,
        _call_visitor_back,
    ),
    InjectedFault(
        "graceful_stop_pending",
        "cluster1-edge2",
        "Somebody has asked its HTTP protocol server to stop within ten minutes.",
        _begin_graceful_stop,
        _end_graceful_stop,
    ),
)
