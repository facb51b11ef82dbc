"""Replace scripts of a machine and set its simulated faults, and restore both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.atomic import replace_file
from lab.layout import Layout
from lab.simulation_options import SimulationOptions

EXITS_1 = """\
#!/bin/sh
echo 'ERROR: the operation was refused' >&2
exit 1
"""
KILLS_ITSELF = """\
#!/bin/sh
# Ends its whole session, so that no process reports how it ended.
kill -9 0
"""
NOISE = "?? ERR-0x7f3a: state machine desync ??"
PRINTS_NOISE = f"""\
#!/bin/sh
echo '{NOISE}'
"""

SCRIPT_MODE = 0o755


@dataclass
class Scripts:
    """Scripts that are replaced for a while."""

    _originals: dict[Path, str] = field(default_factory=dict)

    def replace(self, scripts: tuple[Path, ...], text: str) -> None:
        """Replace these scripts."""
        for script in scripts:
            self._originals.setdefault(script, script.read_text(encoding="utf-8"))
            replace_file(script, text, SCRIPT_MODE)

    def heal(self) -> None:
        """Put all of them back."""
        while self._originals:
            replace_file(*self._originals.popitem(), SCRIPT_MODE)


@dataclass(frozen=True)
class SimulatedFaults:
    """The faults of one place that its own processes know how to show."""

    layout: Layout
    place: str

    def set(self, name: str, text: str = "yes") -> None:
        """Simulate this fault from now on."""
        self._change({self.place: {name: text}})

    def heal(self) -> None:
        """Simulate no fault."""
        self._change({})

    def _change(self, faults: dict[str, dict[str, str]]) -> None:
        simulation = SimulationOptions.read(self.layout.simulation)
        if simulation.faults != faults:
            replace(simulation, faults=faults).write(self.layout.simulation)
