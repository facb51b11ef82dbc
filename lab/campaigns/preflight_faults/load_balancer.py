"""Faults of the load balancer, which leave no record of effects."""

import asyncio
import os
from functools import partial

from lab.campaigns.preflight_faults.actions import InjectionFailed, until
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.campaigns.preflight_faults.nodes import closed
from lab.environment.load_balancers.base import names
from lab.environment.load_balancers.hosts_file import UNRECORDED, HostsFileLoadBalancer
from lab.layout import HTTPS_PORT, SFTP_PORT, Layout
from lab.polling import opens, refuses

Change = tuple[str, str]
"""What a text has in the baseline, and what it has instead."""


def _configured(
    name: str, description: str, change: Change, *, https: bool = True
) -> InjectedFault:
    """Return a fault of the site's own HAProxy configuration; *https*: whether that is served."""

    async def inject(layout: Layout, _: str) -> None:
        _rewrite(layout, *change)
        await _reload(layout)
        await _until_served(layout, https=https)

    async def revert(layout: Layout, _: str) -> None:
        before, after = change
        _rewrite(layout, after, before)
        await _reload(layout)
        await _until_served(layout)

    return InjectedFault(name, "loadbalancer1", description, inject, revert)


def _rewrite(layout: Layout, before: str, after: str) -> None:
    file = HostsFileLoadBalancer(layout).site_configuration
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


async def _reload(layout: Layout) -> None:
    process = await asyncio.create_subprocess_exec(
        HostsFileLoadBalancer(layout).reload_command,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, UNRECORDED: "yes"},
    )
    _, error = await process.communicate()
    if process.returncode:
        raise InjectionFailed(f"the load balancer did not reload: {error.decode().strip()}")


async def _until_served(layout: Layout, *, https: bool = True) -> None:
    for port, served in ((SFTP_PORT, True), (HTTPS_PORT, https)):
        ready = partial(opens if served else refuses, layout.load_balancer, port)
        await until(ready, f"the load balancer {'serves' if served else 'refuses'} port {port}")


def _below(heading: str, *lines: str) -> Change:
    """Return the change that writes lines below a section's heading."""
    text = "".join(f"    {line}\n" for line in lines)
    return f"{heading}\n", f"{heading}\n{text}"


async def _point_away(layout: Layout, _: str) -> None:
    await _point(layout, "cluster1", "cluster2")


async def _point_back(layout: Layout, _: str) -> None:
    await _point(layout, "cluster2", "cluster1")


async def _point(layout: Layout, before: str, after: str) -> None:
    file = HostsFileLoadBalancer(layout).hosts_file
    text = file.read_text(encoding="utf-8")
    for name, address in names(layout).items():
        text = text.replace(f"{address[before]} {name}.", f"{address[after]} {name}.")
    file.write_text(text, encoding="utf-8")
    await _reload(layout)
    await _until_served(layout)


FAULTS = (
    closed(
        "load_balancer_unreachable",
        "loadbalancer1",
        "Its SSH server breaks off every connection.",
        "unreachable",
    ),
    closed(
        "access_refused",
        "loadbalancer1",
        "Its SSH server does not accept the operator's key.",
        "refuses_login",
    ),
    InjectedFault(
        "traffic_not_on_source",
        "loadbalancer1",
        "Its hosts file has cluster2's addresses, and was reloaded.",
        _point_away,
        _point_back,
    ),
    _configured(
        "probe_unreachable",
        "It does not serve HTTPS.",
        _below("frontend http", "disabled"),
        https=False,
    ),
    _configured(
        "sticky_entries",
        "It pins SSH clients to an Edge for 30 minutes.",
        _below("backend ssh", "stick-table type ip size 10k expire 30m", "stick on src"),
    ),
)
