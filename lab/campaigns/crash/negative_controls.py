"""Negative controls: failures that no product can prevent and the campaign must report."""

import asyncio
import shutil
from typing import Literal

from lab.layout import Layout
from lab.node.services import BY_NAME

Control = Literal["ledger_vanishes", "start_overtakes"]


def let_ledgers_vanish(layout: Layout) -> None:
    """Remove the ledgers between two attempts, as if they were not on persistent disks."""
    for root in (*(node.root for node in layout.nodes), layout.load_balancer_root):
        shutil.rmtree(root / "var/lib/switchover", ignore_errors=True)


async def start_while_pending(layout: Layout, place: str, service: str) -> None:
    """Start a service on its node while its graceful stop is pending."""
    script = layout.node(place).home / "bin" / f"start_{BY_NAME[service].script}"
    process = await asyncio.create_subprocess_exec(
        script, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
