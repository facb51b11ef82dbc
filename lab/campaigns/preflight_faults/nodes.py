"""Faults of machines and of their admin APIs."""

from functools import partial

import asyncssh

from lab.access import shell
from lab.campaigns.preflight_faults.actions import until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.fault_injection.node_faults import NOISE
from lab.layout import PROBE_ACCOUNT, Layout
from lab.simulation_options import end_simulation, simulate


def _simulated(name: str, place: str, description: str, **faults: str) -> InjectedFault:
    """Return a fault that the place's own processes simulate."""

    async def inject(layout: Layout, place: str) -> None:
        simulate(layout, place, **faults)

    async def revert(layout: Layout, place: str) -> None:
        end_simulation(layout, place, *faults)

    return InjectedFault(name, place, description, inject, revert)


async def _accepts_login(layout: Layout, place: str) -> bool:
    try:
        async with shell(layout, place):
            return True
    except (OSError, asyncssh.Error):
        return False


async def _refuses_login(layout: Layout, place: str) -> bool:
    return not await _accepts_login(layout, place)


def closed(name: str, place: str, description: str, fault: str) -> InjectedFault:
    """Return a fault of a machine that accepts no login."""

    async def inject(layout: Layout, place: str) -> None:
        simulate(layout, place, **{fault: "yes"})
        # The refused login also ends the connections that others have.
        await until(partial(_refuses_login, layout, place), f"{place} refuses logins")

    async def revert(layout: Layout, place: str) -> None:
        end_simulation(layout, place, fault)
        await until(partial(_accepts_login, layout, place), f"{place} accepts the operator")

    return InjectedFault(name, place, description, inject, revert)


FAULTS = (
    closed(
        "node_unreachable_ssh",
        "cluster1-edge1",
        "Its SSH server breaks off every connection.",
        "unreachable",
    ),
    closed(
        "ssh_access_refused",
        "cluster2-server1",
        "Its SSH server does not accept the operator's key.",
        "refuses_login",
    ),
    _simulated(
        "node_unreachable_admin",
        "cluster1-edge1",
        "Its admin API does not answer; the other services run.",
        admin_silent="yes",
    ),
    _simulated(
        "admin_access_refused",
        "cluster2-server1",
        "Its admin API requires another password.",
        admin_password="another",
    ),
    _simulated(
        "service_unreadable",
        "cluster1-edge2",
        "Its status_sshd prints an unknown text.",
        status_sshd=NOISE,
    ),
    _simulated(
        "target_edge_login_fails",
        "cluster2-edge1",
        "Its protocol servers run, and do not accept the probe's account.",
        refuses_account=PROBE_ACCOUNT,
    ),
)
