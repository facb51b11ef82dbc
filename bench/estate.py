"""A lab with a Temporal server and a worker, and the result of a measurement."""

import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client

from lab.campaigns.killable import KillableServer, Workers
from lab.environment.lab import Lab
from lab.layout import Layout


@dataclass(frozen=True)
class MeasuredEstate:
    """An estate in its baseline, a Temporal server, and workers that can be started."""

    layout: Layout
    server: KillableServer
    client: Client
    workers: Workers

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, servers: int = 2, edges: int = 2) -> AsyncIterator[Self]:
        """Start all but a worker."""
        async with AsyncExitStack() as stack:
            lab = await stack.enter_async_context(Lab.open(directory / "lab", servers, edges))
            server = KillableServer(lab.layout)
            stack.push_async_callback(server.stop)
            client = await server.start()
            workers = Workers(server.address, directory / "product", lab.layout.keys)
            stack.push_async_callback(workers.kill)
            shutil.copytree(lab.layout.estate_file.parent, workers.estates)
            yield cls(lab.layout, server, client, workers)


def write_result(result: dict[str, Any], file: Path | None) -> None:
    """Print the result as JSON, and write it to the file if there is one."""
    text = json.dumps(result, indent=1) + "\n"
    sys.stdout.write(text)
    if file is not None:
        file.write_text(text, encoding="utf-8")
