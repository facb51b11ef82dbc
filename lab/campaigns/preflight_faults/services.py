"""Faults of the services that run on nodes, which leave no record of effects."""

from functools import partial

from lab.campaigns.preflight_faults import direct_client
from lab.campaigns.preflight_faults.actions import ask, leave_running, run, unrecorded, until
from lab.campaigns.preflight_faults.fault import Action, InjectedFault
from lab.layout import HTTPS_PORT, Layout
from lab.polling import opens, refuses
from lab.simulation_options import end_simulation, simulate

LATE = "completes_late"


def _schedule(operation: str) -> Action:
    """Return the action that starts or stops the Scheduler on every Server of a cluster."""

    async def act(layout: Layout, place: str) -> None:
        for node in layout.cluster(place).servers:
            async with unrecorded(layout, node):
                query = f"operation={operation}&serviceName=Scheduler"
                await ask(layout, node, f"clusterServices/operations?{query}", "POST")

    return act


async def _connect_client(layout: Layout, place: str) -> None:
    node = layout.node(place)
    async with unrecorded(layout, node):
        await direct_client.start(layout, node)
        await until(lambda: direct_client.is_connected(node), f"{place} has a session")


async def _disconnect_client(layout: Layout, place: str) -> None:
    node = layout.node(place)
    async with unrecorded(layout, node):
        direct_client.stop(node)
        await until(lambda: not direct_client.is_connected(node), f"{place} has no session")


async def _begin_graceful_stop(layout: Layout, place: str) -> None:
    node = layout.node(place)
    simulate(layout, place, **{LATE: "yes"})
    async with unrecorded(layout, node):
        await leave_running(layout, node, "stop_httpd -g -timeout 600")
        await until(partial(refuses, node.address, HTTPS_PORT), f"{place} refuses new clients")


async def _end_graceful_stop(layout: Layout, place: str) -> None:
    node = layout.node(place)
    end_simulation(layout, place, LATE)
    async with unrecorded(layout, node):
        for script in ("stop_httpd", "start_httpd"):
            await run(node, script)
        await until(partial(opens, node.address, HTTPS_PORT), f"{place} serves clients")


FAULTS = (
    InjectedFault(
        "source_not_active",
        "cluster1",
        "The Scheduler runs on none of its Servers.",
        _schedule("stop"),
        _schedule("start"),
    ),
    InjectedFault(
        "target_has_sessions",
        "cluster2-edge1",
        "A client is connected to it directly, not through the load balancer.",
        _connect_client,
        _disconnect_client,
    ),
    InjectedFault(
        "graceful_stop_pending",
        "cluster1-edge2",
        "Its HTTP protocol server has been asked to stop within ten minutes.",
        _begin_graceful_stop,
        _end_graceful_stop,
    ),
)
