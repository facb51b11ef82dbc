"""Run the traffic as a process of its own.

``python -m lab.traffic ROOT CLIENTS SERIES``; on SIGTERM all clients finish.
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path

from lab.layout import Layout
from lab.traffic.clients import Client
from lab.traffic.neighbours import drop_files, watch_ports
from lab.traffic.sessions import Gateway


async def main() -> None:
    """Keep transferring until SIGTERM."""
    root, clients, series = sys.argv[1:]
    layout = Layout.read(Path(root))
    finishing = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, finishing.set)
    gateway = Gateway(layout)
    await asyncio.gather(
        drop_files(layout, finishing, series),
        watch_ports(layout, finishing),
        *(Client(number, gateway, finishing, series).run() for number in range(int(clients))),
    )


if __name__ == "__main__":
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)  # the record says what failed
    asyncio.run(main())
