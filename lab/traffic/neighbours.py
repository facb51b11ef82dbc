"""Other users of the estate: an application on the shared storage, and the site's monitoring."""

import asyncio
import time
from contextlib import suppress

from lab import records
from lab.layout import HTTPS_PORT, SFTP_PORT, Layout
from lab.traffic.sessions import digest

DROP_SECONDS = 1.0
"""Seconds between two files that an application leaves in the inbox."""
MONITORING_SECONDS = 5.0
"""Seconds that monitoring keeps a connection open, before it opens the next."""


async def drop_files(layout: Layout, finishing: asyncio.Event, series: str) -> None:
    """Leave work for the Folder Monitor, on cluster1's storage whichever cluster is active.

    An application knows no clusters; the storages are in sync both ways.
    """
    inbox, number = layout.cluster("cluster1").storage / "inbox", 0
    while not await _happens(finishing, DROP_SECONDS):
        number += 1
        name, content = f"drop{series}{number:04d}.dat", f"file {number}\n".encode() * 100
        hidden = inbox / f".{name}"
        begin = time.time()
        hidden.write_bytes(content)
        hidden.replace(inbox / name)
        records.append(
            layout.traffic,
            begin=begin,
            end=time.time(),
            client="application",
            account="",
            protocol="storage",
            operation="drop",
            name=name,
            sha256=digest(content),
            ok=True,
            message="",
        )


async def watch_ports(layout: Layout, finishing: asyncio.Event) -> None:
    """Hold a connection to every protocol server, as a health check does: no client's session."""
    places = [(node.address, port) for node in layout.nodes for port in (SFTP_PORT, HTTPS_PORT)]
    await asyncio.gather(*(_watch(layout, place, finishing) for place in places))


async def _watch(layout: Layout, place: tuple[str, int], finishing: asyncio.Event) -> None:
    while not finishing.is_set():
        with suppress(OSError):  # a server that is down is what monitoring is for
            _, writer = await asyncio.open_connection(*place, local_addr=(layout.monitoring, 0))
            try:
                await _happens(finishing, MONITORING_SECONDS)
            finally:
                writer.close()
        await _happens(finishing, 1.0)


async def _happens(event: asyncio.Event, within: float) -> bool:
    """Wait for the event, but no longer than that many seconds; return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await event.wait()
    return event.is_set()
