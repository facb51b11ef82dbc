"""The services of a node and their names (docs/securetransport.md, section 3)."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["server", "edge"]


@dataclass(frozen=True)
class Service:
    """One row of the vendor's table."""

    name: str
    """In the lab's record; for protocol servers also in the REST API."""
    script: str
    """What follows ``start_``, ``stop_`` and ``status_``."""
    pid_file: str
    on: tuple[Kind, ...] = ("server", "edge")
    polite: bool = False
    """Whether a stop by command lets it write down how its sessions ended."""


ALL = (
    Service("db", "db", "db.pid", on=("edge",)),
    Service("socks", "socks", "socks.pid", on=("edge",)),
    Service("tm", "tm", "tm.pid", on=("server",)),
    Service("ftp", "ftpd", "ftpd.pid"),
    Service("http", "httpd", "httpd.pid", polite=True),
    Service("as2", "as2d", "as2d.pid"),
    Service("ssh", "sshd", "sshd.pid", polite=True),
    Service("pesit", "pesitd", "pesitd.pid"),
    Service("admin", "admin", "admin/tomcat.pid"),
    Service("monitor", "monitord", "monitord.pid"),
)
"""In the sequence in which ``start_all`` starts them."""

BY_NAME = {service.name: service for service in ALL}
BY_SCRIPT = {service.script: service for service in ALL}

PROTOCOLS = ("ftp", "http", "as2", "ssh", "pesit")
GRACEFUL = (*PROTOCOLS, "tm")
DISABLED = ("ftp",)
"""All their listeners are disabled, so their scripts are renamed."""
IDLE_IN_BASELINE = ("as2", "pesit")
"""Not running in the baseline."""

SCHEDULING = {"Scheduler": "scheduler", "FolderMonitor": "folder_monitor"}
"""By their names in the REST API."""


def server_of(protocol: str) -> str:
    """The name of what listens for a daemon; the vendor's daemons may have several."""
    return f"{protocol.capitalize()} Default"


def of(kind: Kind) -> tuple[Service, ...]:
    """Every service a node of that kind has."""
    return tuple(service for service in ALL if kind in service.on)


def baseline(kind: Kind) -> tuple[str, ...]:
    """The services that run on an untouched node, in the sequence of their start."""
    never = (*DISABLED, *IDLE_IN_BASELINE)
    return tuple(service.name for service in of(kind) if service.name not in never)
