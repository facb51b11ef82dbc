"""The Monitor: start again what ended without a command."""

import time

from lab.forking import Message
from lab.node.service import Context


def watch(context: Context) -> None:
    """Start what died again, at intervals."""
    context.channel.send(Message("ready", sender="monitor"))
    while True:
        time.sleep(context.simulation.monitor_interval)
        context.channel.send(Message("revive", sender="monitor"))
