"""How is the meter shown to count what the product prevents?

Each control makes the lab do to a run what no product can heal: the campaign must fail then.
"""

from __future__ import annotations

import asyncio
import shutil
from typing import Literal

from lab.layout import Layout
from lab.node.services import BY_NAME

Control = Literal["ledger_vanishes", "start_overtakes"]


def let_ledgers_vanish(layout: Layout) -> None:
    """Between two attempts, as if they had been kept where nothing lasts."""
    for root in (*(node.root for node in layout.nodes), layout.load_balancer_root):
        shutil.rmtree(root / "var/lib/switchover", ignore_errors=True)


async def start_while_pending(layout: Layout, place: str, service: str) -> None:
    """Start what is being stopped gracefully, as a hasty hand on the node would."""
    script = layout.node(place).home / "bin" / f"start_{BY_NAME[service].script}"
    process = await asyncio.create_subprocess_exec(
        script, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    await process.wait()
