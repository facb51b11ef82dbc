"""What is the product told of an estate whose lines the saboteur has in hand?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab.crash.statements import DATABASE_BY_WIRE
from lab.crash.wires import SHELL_BY_WIRE
from lab.estate_file import TIMING, describe
from lab.layout import Layout
from lab.switches import Switches

SWITCHES = Switches(
    graceful_stop_ends="at_timeout",
    transaction_manager_clock=4.0,
    storage_delay=0.2,
)
"""Stops end at their timeout, so that there is a pending one to repeat."""

SHORT = {
    # Longer than a killed worker needs until it is back at work.
    "grace": 8,
    "storage_delay": 0.5,
    # Of the time for a statement's attempt, which nobody retries before it is over.
    "replication_patience": 3,
}


def write_wired_estate(layout: Layout, directory: Path) -> None:
    """Write the estate with the saboteur's ports instead of the machines' own."""
    described: dict[str, Any] = describe(layout)
    described["defaults"]["ssh"]["port"] = SHELL_BY_WIRE
    for host in described["load_balancer"]["hosts"]:
        host["ssh"]["port"] = SHELL_BY_WIRE
    for cluster in described["clusters"]:
        cluster["database"]["port"] = DATABASE_BY_WIRE
    described["timing"] = {**TIMING, **SHORT}
    directory.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(described, sort_keys=False, width=100)
    (directory / layout.estate_file.name).write_text(text, encoding="utf-8")
