"""The faults that can be injected, and those that are injected in a running lab."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path

from lab.campaigns.preflight_faults import (
    configuration,
    databases,
    earlier_runs,
    load_balancer,
    nodes,
    services,
    storage,
    temporal,
)
from lab.campaigns.preflight_faults.actions import InjectionFailed
from lab.campaigns.preflight_faults.fault import InjectedFault
from lab.environment.lab import is_running
from lab.layout import ESTATE, Layout

FAULTS = (
    *nodes.FAULTS,
    *services.FAULTS,
    *configuration.FAULTS,
    *databases.FAULTS,
    *storage.FAULTS,
    *load_balancer.FAULTS,
    *earlier_runs.FAULTS,
    *temporal.FAULTS,
)
"""In the sequence in which a campaign injects them: what takes longest to revert comes last."""
BY_NAME = {fault.name: fault for fault in FAULTS}


class FaultRegistry:
    """The faults injected in one running lab, saved in its directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def injected(self) -> list[tuple[str, str]]:
        """The name and place of every injected fault, the oldest first."""
        file = self._layout.injected_faults
        read = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        return [(name, place) for name, place in read]

    async def inject(self, name: str, place: str | None = None) -> tuple[InjectedFault, str]:
        """Inject a fault, at its default place or another; InjectionFailed if that fails."""
        if name not in BY_NAME:
            raise InjectionFailed(f"there is no fault {name}; `python -m lab inject --list` lists")
        fault = BY_NAME[name]
        where = place or fault.place
        if _kind(where) != _kind(fault.place):
            raise InjectionFailed(f"{name} cannot be injected at {where}, only at {fault.place}")
        if where not in _places(self._layout):
            raise InjectionFailed(f"{name}: the lab has no place {where}")
        if (name, where) in self.injected:
            raise InjectionFailed(f"{name} is already injected at {where}")
        # Saved first: whatever happens, it can be reverted.
        self._save([*self.injected, (name, where)])
        try:
            await fault.inject(self._layout, where)
        except InjectionFailed:
            with suppress(InjectionFailed):  # reverted as far as possible
                await fault.revert(self._layout, where)
            self._save([one for one in self.injected if one != (name, where)])
            raise
        return fault, where

    async def revert_all(self) -> list[tuple[str, str]]:
        """Revert every injected fault, the newest first; return them."""
        reverted = []
        for name, place in reversed(self.injected):
            await BY_NAME[name].revert(self._layout, place)
            reverted.append((name, place))
            self._save([one for one in self.injected if one != (name, place)])
        return reverted

    def _save(self, injected: list[tuple[str, str]]) -> None:
        self._layout.injected_faults.write_text(json.dumps(injected), encoding="utf-8")


def running_lab(directory: Path | None) -> Layout:
    """Return the lab in that directory, or the only one that runs; InjectionFailed without one."""
    if directory is not None:
        found = [Layout.read(directory.absolute())] if (directory / "layout.json").exists() else []
    else:
        places = Path(tempfile.gettempdir()).glob("switchover-lab-*/layout.json")
        found = [Layout.read(place.parent) for place in places]
    running = [layout for layout in found if is_running(layout)]
    match running:
        case [one]:
            return one
        case []:
            where = f" in {directory}" if directory else ""
            raise InjectionFailed(f"no lab runs{where}; start one with `python -m lab up`")
        case _:
            roots = ", ".join(sorted(str(layout.root) for layout in running))
            raise InjectionFailed(f"several labs run; name one with --dir: {roots}")


def _places(layout: Layout) -> set[str]:
    """Return every place of a lab."""
    one, two = (cluster.name for cluster in layout.clusters)
    places = {ESTATE, "loadbalancer1", one, two, f"{one}-to-{two}", f"{two}-to-{one}"}
    places.update(cluster.database_name for cluster in layout.clusters)
    return places.union(node.name for node in layout.nodes)


def _kind(place: str) -> str:
    """Return the kind of a place: its name without numbers, and a node's without its cluster's."""
    return place.rpartition("-")[2].rstrip("0123456789") if "-to-" not in place else "link"
