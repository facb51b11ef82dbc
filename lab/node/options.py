"""Configuration options of the nodes of a cluster."""

import json
from dataclasses import dataclass
from pathlib import Path

from lab.atomic import replace_file
from lab.layout import Layout, NodeLayout
from lab.node.defaults import ADDRESSED, FURTHER
from lab.simulation_options import SimulationOptions

# The vendor ships 30 s for http; this site has raised it, as every site should (section 4).
_GRACE = {"ftp": 86400, "as2": 86400, "ssh": 86400, "pesit": 86400, "http": 600, "tm": 600}
_NAMES = {
    "ftp": "Ftpd.GracefulShutdownTimeout",
    "as2": "As2.GracefulShutdownTimeout",
    "ssh": "Ssh.GracefulShutdownTimeout",
    "pesit": "Pesit.GracefulShutdownTimeout",
    "http": "Http.GracefulShutdownTimeout",
    "tm": "TransactionManager.GracefulShutdownTimeout",
}


@dataclass(frozen=True)
class Option:
    """One row of ``/configurations/options``."""

    name: str
    values: tuple[str, ...]
    local: bool = False
    encrypted: bool = False


def grace(service: str) -> float:
    """What a graceful stop gets where its caller names no timeout (section 4)."""
    return _GRACE[service]


def options(layout: Layout, node: NodeLayout) -> list[Option]:
    """Every option, as this node sees it now."""
    simulation = SimulationOptions.read(layout.simulation)
    scheduling = str(simulation.scheduling_option.get(node.cluster, True)).lower()
    configured = {
        **{_NAMES[service]: str(seconds) for service, seconds in _GRACE.items()},
        "FolderMonitor.enable": scheduling,
        "FolderMonitor.heartbeatTimeout": str(simulation.folder_monitor_heartbeat),
        "GracefulShutdown.Logging.Interval": "60",
        "Scheduler.enable": scheduling,
        **FURTHER,
        **{name: text.format(node=node) for name, text in ADDRESSED.items()},
        **changed(layout, node.cluster),
    }
    own = [
        Option("Server.Hostname", (node.name,), local=True),
        Option("Server.Address", (node.address,), local=True),
        Option("Db.Password", (f"encrypted:{node.cluster}",), encrypted=True),
    ]
    listed = [Option(name, (value,)) for name, value in configured.items()]
    return sorted([*listed, *own], key=lambda option: option.name)


def changed(layout: Layout, cluster: str) -> dict[str, str]:
    """The options that were changed through the API; a cluster's nodes share them."""
    file = _file(layout, cluster)
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def change(layout: Layout, cluster: str, name: str, value: str) -> None:
    """Give an option another value, on every node of the cluster."""
    values = {**changed(layout, cluster), name: value}
    replace_file(_file(layout, cluster), json.dumps(values))


def forget(layout: Layout, cluster: str) -> None:
    """Give all of them the value that they were installed with."""
    _file(layout, cluster).unlink(missing_ok=True)


def _file(layout: Layout, cluster: str) -> Path:
    return layout.root / "machines" / f"{cluster}-options.json"
