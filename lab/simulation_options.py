"""Options of the simulation: what the facts leave open, and faults that a test wants.

Kept in ``simulation.json`` and read again by every process at every use, so that a test can change
an option while the lab runs. A reset restores the defaults.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from lab.atomic import replace_file
from lab.layout import Layout

SchedulingReturns = Literal["never", "if_started", "always"]


@dataclass(frozen=True)
class SimulationOptions:
    """Times are in seconds."""

    graceful_stop_ends: Literal["early", "at_timeout"] = "early"
    """With nothing in flight a graceful stop completes at once or only at its timeout."""
    graceful_stop_command: Literal["returns", "blocks"] = "returns"
    """``stop_X -g`` returns at once, or when the stop has completed."""
    transaction_manager_clock: float = 1.0
    """How many seconds pass for a stopping Transaction Manager in one real second: its timeout is
    at least 30 s (docs/securetransport.md, section 5), too long for many runs."""
    scheduling_returns: SchedulingReturns = "if_started"
    """Which of Scheduler and Folder Monitor run when their TM is started: none, those that were not
    stopped, or both of them, although they were stopped."""
    scheduling_option: dict[str, bool] = field(default_factory=dict)
    """``{"cluster2": False}`` makes that cluster's services "Disabled"."""
    monitor_interval: float = 1.0
    folder_monitor_heartbeat: float = 1.0
    storage_delay: float = 0.3
    admin_start_delay: float = 1.0
    """How long admin needs until it answers after a start."""
    protocol_start_delay: float = 0.5
    """How long a new protocol server refuses clients."""
    admin_dropout: float = 0.2
    """How long the admin API does not answer when a service starts or stops."""
    session_list_blindness: float = 0.2
    """The share of sessions missing from one answer of /sessions."""
    event_seconds: float = 0.05
    """How long a Transaction Manager processes one EVENT row."""
    folder_monitor_seconds: float = 0.5
    """How long the Folder Monitor keeps a file."""
    faults: dict[str, dict[str, str]] = field(default_factory=dict)
    """Faults by place, then by name: ``{"cluster1-edge1": {"status_sshd": "noise"}}``.
    The parts of the lab that simulate a fault document its name."""

    @classmethod
    def read(cls, file: Path) -> SimulationOptions:
        """Return the options that are in force now."""
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else cls()

    def write(self, file: Path) -> None:
        """Put these options in force."""
        replace_file(file, json.dumps(asdict(self)))


def simulate(layout: Layout, place: str, **faults: str) -> None:
    """Let a place simulate these faults, besides others."""
    simulation = SimulationOptions.read(layout.simulation)
    here = {**simulation.faults.get(place, {}), **faults}
    replace(simulation, faults={**simulation.faults, place: here}).write(layout.simulation)


def end_simulation(layout: Layout, place: str, *names: str) -> None:
    """End these faults of a place, or all of them."""
    simulation = SimulationOptions.read(layout.simulation)
    faults = dict(simulation.faults)
    here = faults.pop(place, {})
    if remaining := {name: here[name] for name in here if names and name not in names}:
        faults[place] = remaining
    if faults != simulation.faults:
        replace(simulation, faults=faults).write(layout.simulation)
