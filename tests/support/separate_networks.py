"""Try what is reached in a lab whose clusters have networks of their own.

A program, since a process cannot come back to the network that it has left:
``python -m tests.support.separate_networks DIRECTORY`` prints what it has seen as JSON.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path

from lab.environment.lab import Lab
from lab.layout import ADMIN_PORT, DATABASE_PORT, SFTP_PORT, SHELL_PORT, Layout
from lab.networks import enter, leave, namespace

TIMEOUT = 5


def connects(address: str, port: int, source: str = "") -> bool:
    """Whether somebody takes the connection."""
    try:
        with socket.create_connection((address, port), TIMEOUT, (source, 0) if source else None):
            return True
    except OSError:
        return False


def from_cluster(layout: Layout, *place: str | int) -> bool:
    """Whether somebody takes it from the network of cluster1, in which this thread stays."""
    network = namespace(layout, "cluster1")
    assert network
    with network.open("rb") as opened:
        enter(opened.fileno())
    return connects(str(place[0]), int(place[1]))


async def seen(directory: Path) -> dict[str, bool]:
    """Start a lab, and try."""
    async with Lab.open(directory, 1, 1, separate_networks=True) as lab:
        layout = lab.layout
        near, far = (cluster.servers[0].address for cluster in layout.clusters)
        database = layout.clusters[0].database_address
        return {
            "clients reach it": connects(near, SFTP_PORT),
            "its SSH server from the lab's network": connects(near, SHELL_PORT),
            "its admin API from the lab's network": connects(near, ADMIN_PORT),
            "its SSH server from the lab's operator": connects(near, SHELL_PORT, layout.operator),
            "its SSH server from its own network": await asyncio.to_thread(
                from_cluster, layout, near, SHELL_PORT
            ),
            "the database from its own network": await asyncio.to_thread(
                from_cluster, layout, database, DATABASE_PORT
            ),
            "the other cluster's clients' port from its own network": await asyncio.to_thread(
                from_cluster, layout, far, SFTP_PORT
            ),
        }


if __name__ == "__main__":
    leave()
    sys.stdout.write(json.dumps(asyncio.run(seen(Path(sys.argv[1])))))
