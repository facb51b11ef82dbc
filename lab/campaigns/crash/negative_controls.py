"""Negative controls: failures that no product can prevent and the campaign must report."""

import shutil
from typing import Literal

from lab.access import shell
from lab.layout import Layout
from lab.node.services import BY_NAME

Control = Literal["ledger_vanishes", "start_overtakes"]


def let_ledgers_vanish(layout: Layout) -> None:
    """Remove the ledgers between two attempts, as if they were not on persistent disks."""
    balancer = layout.load_balancer_root / "var/lib/switchover"
    for ledger in (*(node.ledger for node in layout.nodes), balancer):
        shutil.rmtree(ledger, ignore_errors=True)


async def start_while_pending(layout: Layout, place: str, service: str) -> None:
    """Start a service on its node while its graceful stop is pending."""
    node = layout.node(place)
    script = node.seen(node.script(f"start_{BY_NAME[service].script}"))
    async with shell(layout, place) as connection:
        await connection.run(f'"{script}"')
