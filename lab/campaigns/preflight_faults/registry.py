"""Which faults are there, which are planted in a running lab, and how are they taken out again?"""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path

from lab.campaigns.preflight_faults import (
    configuration,
    databases,
    estate,
    nodes,
    storage,
    temporal,
)
from lab.campaigns.preflight_faults import earlier_runs as history
from lab.campaigns.preflight_faults import load_balancer as balancer
from lab.campaigns.preflight_faults import machine_programs as programs
from lab.campaigns.preflight_faults import services as running
from lab.campaigns.preflight_faults.actions import InjectionFailed
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.lab import is_running
from lab.layout import ESTATE, Layout

FAULTS = (
    *nodes.FAULTS,
    *programs.FAULTS,
    *running.FAULTS,
    *configuration.FAULTS,
    *databases.FAULTS,
    *storage.FAULTS,
    *balancer.FAULTS,
    *estate.FAULTS,
    *history.FAULTS,
    *temporal.FAULTS,
)
"""In the order in which a campaign plants them: what takes longest to go comes last."""
BY_NAME = {plant.name: plant for plant in FAULTS}


class FaultRegistry:
    """The faults of one running lab; what is planted is remembered in its directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def injected(self) -> list[tuple[str, str]]:
        """Every fault that stands, and where, in the order in which they were planted."""
        file = self._layout.injected_faults
        read = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        return [(name, place) for name, place in read]

    async def inject(self, name: str, place: str | None = None) -> tuple[InjectedFault, str]:
        """InjectedFault a fault, at its own place or another; InjectionFailed where that cannot be."""
        if name not in BY_NAME:
            raise InjectionFailed(
                f"there is no fault {name}; `python -m lab plant --list` shows all"
            )
        plant = BY_NAME[name]
        where = place or plant.place
        if _kind(where) != _kind(plant.place):
            raise InjectionFailed(
                f"{name} cannot be planted at {where}: its place is {plant.place}"
            )
        if where not in _places(self._layout):
            raise InjectionFailed(f"{name}: the lab has no place {where}")
        if (name, where) in self.injected:
            raise InjectionFailed(f"{name} is planted at {where} already")
        # Before it is: whatever comes of it, it can be taken out.
        self._remember([*self.injected, (name, where)])
        try:
            await plant.inject(self._layout, where)
        except InjectionFailed:
            with suppress(InjectionFailed):  # what is half planted is taken out as far as it goes
                await plant.revert(self._layout, where)
            self._remember([one for one in self.injected if one != (name, where)])
            raise
        return plant, where

    async def clear(self) -> list[tuple[str, str]]:
        """Take everything out, the last first; return what that was."""
        taken = []
        for name, place in reversed(self.injected):
            await BY_NAME[name].revert(self._layout, place)
            taken.append((name, place))
            self._remember([one for one in self.injected if one != (name, place)])
        return taken

    def _remember(self, planted: list[tuple[str, str]]) -> None:
        self._layout.injected_faults.write_text(json.dumps(planted), encoding="utf-8")


def running_lab(directory: Path | None) -> Layout:
    """Return the lab in that directory, or the only one that runs; InjectionFailed if there is none."""
    if directory is not None:
        found = [Layout.read(directory.absolute())] if (directory / "layout.json").exists() else []
    else:
        places = Path(tempfile.gettempdir()).glob("switchover-lab-*/layout.json")
        found = [Layout.read(place.parent) for place in places]
    alive = [layout for layout in found if is_running(layout)]
    match alive:
        case [one]:
            return one
        case []:
            where = f" in {directory}" if directory else ""
            raise InjectionFailed(f"no lab runs{where}; start one with `python -m lab up`")
        case _:
            roots = ", ".join(sorted(str(layout.root) for layout in alive))
            raise InjectionFailed(f"several labs run; say which with --dir: {roots}")


def _places(layout: Layout) -> set[str]:
    """Return everything of a lab that has a name."""
    one, two = (cluster.name for cluster in layout.clusters)
    places = {ESTATE, "loadbalancer1", one, two, f"{one}-to-{two}", f"{two}-to-{one}"}
    places.update(cluster.database_name for cluster in layout.clusters)
    return places.union(node.name for node in layout.nodes)


def _kind(place: str) -> str:
    """What a place is: its name without numbers, and a node's without its cluster's."""
    return place.rpartition("-")[2].rstrip("0123456789") if "-to-" not in place else "link"
