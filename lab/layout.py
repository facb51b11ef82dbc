"""The layout of one lab: names, addresses, ports, directories and invented accounts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Literal

ESTATE = "lab"
_WRITTEN = "layout.json"

# The operating system's SSH server; 22 would need root.
SHELL_PORT = 10022
# The vendor's ports of an installation without root (docs/securetransport.md, section 10).
SFTP_PORT = 8022
FTP_PORT = 8021
HTTP_PORT = 8080
HTTPS_PORT = 8443
AS2_PORT = 10080
PESIT_PORT = 17617
ADMIN_PORT = 8444
STREAMING_PORT = 20022
DATABASE_PORT = 15432
DNS_PORT = 10053
# Where programs of a Windows machine call the machine.
CALL_PORT = 10024

PROTOCOL_PORTS = {
    "ssh": SFTP_PORT,
    "http": HTTPS_PORT,
    "ftp": FTP_PORT,
    "as2": AS2_PORT,
    "pesit": PESIT_PORT,
}

ADMIN_USER = "admin"
ADMIN_PASSWORD = "lab-admin"
PROBE_ACCOUNT = "probe"
DATABASE = "st"
DATABASE_USER = "st"
DATABASE_PASSWORD = "lab-database"
SHELL_USER = "st"
LOGIN_USER = "switchover"
"""Who logs in where the owner of a machine has no login."""
JUMP_HOST = "jumphost1"
JUMP_USER = "jump"

STORAGE = "SecureTransport"
"""The directory of a cluster's storage, on the drive ``S:`` of its Windows machines."""

ClusterName = Literal["cluster1", "cluster2"]
LoadBalancerDriver = Literal["hosts_file", "commands", "dns", "haproxy"]
"""The drivers by which the product may steer a lab's load balancer."""
ReplicationDriver = Literal["postgresql", "commands"]
"""The drivers by which the product may control the replication of a lab's databases."""


@dataclass(frozen=True)
class Drivers:
    """What the product works with on a lab; as text, the options that choose it."""

    load_balancer: LoadBalancerDriver = "hosts_file"
    replication: ReplicationDriver = "postgresql"
    jump_host: bool = False
    """Whether machines let in only who comes through a jump host."""
    run_as: bool = False
    """Whether machines let in an account without rights, and sudo leads to their owner."""
    windows: bool = False
    """Whether nodes run Windows."""

    def __str__(self) -> str:
        usual = asdict(USUAL_DRIVERS).items()
        chosen = (item for item in asdict(self).items() if item not in usual)
        return "".join(
            f" --{name.replace('_', '-')}" + ("" if driver is True else f" {driver}")
            for name, driver in chosen
        )


USUAL_DRIVERS = Drivers()


def account(number: int) -> str:
    """The name of the *number*-th invented partner, counted from 1."""
    return f"partner{number:03d}"


def password(account_name: str) -> str:
    """The invented password of an account: derived, so that every part of the lab knows it."""
    return hashlib.sha256(f"lab:{account_name}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Below:
    """A path below the root of a machine or of the lab."""

    path: str

    def __get__(self, owner: NodeLayout | Layout, _: type) -> Path:
        return owner.root / self.path


@dataclass(frozen=True)
class _OnNode:
    """A path below the root of a node, which depends on its operating system."""

    usual: str
    windows: str

    def __get__(self, owner: NodeLayout, _: type) -> Path:
        return owner.root / (self.windows if owner.windows else self.usual)


@dataclass(frozen=True)
class NodeLayout:
    """One simulated SecureTransport machine."""

    name: str
    kind: Literal["server", "edge"]
    cluster: ClusterName
    address: str
    root: Path
    windows: bool = False
    """Whether its operating system is Windows."""

    drive = _Below("drive_c")
    """The drive ``C:`` of a Windows machine."""
    home = _OnNode("opt/axway/SecureTransport", "drive_c/Program Files/Axway/SecureTransport")
    """Its FILEDRIVEHOME."""
    ledger = _OnNode("var/lib/switchover", "drive_c/ProgramData/switchover")
    """The directory of the product's ledger on this machine."""
    boot_id = _Below("proc/boot_id")
    """The file that changes with every (simulated) boot of this machine."""

    def seen(self, path: Path) -> str:
        """Write a path as the machine's own programs do."""
        if not self.windows:
            return str(path)
        return str(PureWindowsPath("C:/", path.relative_to(self.drive)))

    def script(self, name: str) -> Path:
        """One of the scripts in FILEDRIVEHOME/bin, such as ``stop_sshd``."""
        stem, dot, renamed = name.partition(".")  # a disabled server's: start_ftpd.disable
        return self.home / "bin" / (f"{stem}.com{dot}{renamed}" if self.windows else name)


@dataclass(frozen=True)
class ClusterLayout:
    """One simulated cluster with its database and its shared storage."""

    name: ClusterName
    nodes: tuple[NodeLayout, ...]
    database_name: str
    database_address: str
    database_root: Path
    storage: Path
    windows: bool = False
    """Whether its nodes run Windows."""

    @property
    def servers(self) -> tuple[NodeLayout, ...]:
        """The nodes with a Transaction Manager."""
        return tuple(node for node in self.nodes if node.kind == "server")

    @property
    def edges(self) -> tuple[NodeLayout, ...]:
        """The nodes in the DMZ."""
        return tuple(node for node in self.nodes if node.kind == "edge")

    @property
    def seen_storage(self) -> str:
        """The storage as its nodes call it; on Windows, on the drive ``S:``."""
        return f"S:\\{STORAGE}" if self.windows else str(self.storage)

    @property
    def dsn(self) -> str:
        """How to reach the cluster's database."""
        return (
            f"host={self.database_address} port={DATABASE_PORT} dbname={DATABASE} "
            f"user={DATABASE_USER} password={DATABASE_PASSWORD}"
        )


@dataclass(frozen=True)
class Layout:
    """One lab: everything lives under *root* and on the loopback block ``BLOCK.0/24``.

    Addresses: the load balancer is ``.2`` (clients and its shell), the jump host ``.3``, Temporal
    ``.5``, the clusters' workers ``.6`` and ``.7`` where these have networks of their own, the
    lab's own operator ``.8``, monitoring ``.9``, the databases ``.11`` and ``.12``, cluster1's
    Servers from ``.21``, its Edges from ``.61``, cluster2's from ``.121`` and ``.161``: room for 20
    of each.
    """

    root: Path
    block: str
    servers: int = 2
    edges: int = 2
    drivers: Drivers = USUAL_DRIVERS

    effects = _Below("effects.jsonl")
    """What nodes, databases and the load balancer really did (see ``lab.records``)."""
    sessions = _Below("sessions.jsonl")
    """Every client session's begin and end, as the protocol servers saw it."""
    work = _Below("work.jsonl")
    """What was done once for a file or a schedule: events, pick-ups, scheduled runs."""
    traffic = _Below("traffic.jsonl")
    """What the clients tried and what became of it."""
    samples = _Below("samples.jsonl")
    """What ran, at intervals."""
    ways = _Below("ways.jsonl")
    """Which way machines were reached, where they are behind a jump host."""
    logins = _Below("logins.jsonl")
    """What the account was sent that logs in where the owner has no login."""
    injected_faults = _Below("injected_faults.json")
    """The injected faults (see ``lab.campaigns.preflight_faults.registry``)."""
    simulation = _Below("simulation.json")
    """The options of the simulation (see ``lab.simulation_options``)."""
    networks = _Below("networks.json")
    """The clusters' own networks, where they have them (see ``lab.networks``)."""
    windows = _Below("windows")
    """What all Windows machines of this lab share."""
    keys = _Below("keys")
    """Host keys, client keys, certificates and secrets of this lab."""
    estate_file = _Below(f"estates/{ESTATE}.yaml")
    load_balancer_root = _Below("machines/loadbalancer1")
    """The load balancer machine's own files."""

    @classmethod
    def read(cls, root: Path) -> Layout:
        """Return the layout of the lab that lives in that directory; FileNotFoundError if none."""
        written = json.loads((root / _WRITTEN).read_text(encoding="utf-8"))
        return cls(root, **{**written, "drivers": Drivers(**written["drivers"])})

    def write(self) -> None:
        """Save the layout in the lab's directory, for other processes."""
        keys = ("block", "servers", "edges")
        written = {key: getattr(self, key) for key in keys}
        text = json.dumps({**written, "drivers": asdict(self.drivers)})
        (self.root / _WRITTEN).write_text(text, encoding="utf-8")

    @property
    def load_balancer(self) -> str:
        """The address clients connect to; the machine ``loadbalancer1``."""
        return f"{self.block}.2"

    @property
    def behind(self) -> dict[str, str]:
        """Every machine with a shell, which a jump host may lead to, by its address."""
        return {
            self.address(name): name for name in (*(n.name for n in self.nodes), "loadbalancer1")
        }

    def worker_address(self, cluster: ClusterName) -> str:
        """The address of a cluster's worker in the cluster's own network."""
        return f"{self.block}.{6 if cluster == 'cluster1' else 7}"

    @property
    def temporal(self) -> str:
        """The address at which the clusters' own networks reach Temporal."""
        return f"{self.block}.5"

    @property
    def jump_host(self) -> str:
        """The address of the machine ``jumphost1``, and the one it leads on from."""
        return f"{self.block}.3"

    @property
    def operator(self) -> str:
        """The address from which the lab itself reaches machines."""
        return f"{self.block}.8"

    @property
    def monitoring(self) -> str:
        """The address the site's monitoring connects from, to every node's protocol servers."""
        return f"{self.block}.9"

    @cached_property
    def clusters(self) -> tuple[ClusterLayout, ClusterLayout]:
        """Both clusters; cluster1 is active in the baseline."""
        return self._cluster("cluster1", 1), self._cluster("cluster2", 2)

    @property
    def nodes(self) -> tuple[NodeLayout, ...]:
        """Every SecureTransport machine of both clusters."""
        return self.clusters[0].nodes + self.clusters[1].nodes

    def cluster(self, name: str) -> ClusterLayout:
        """Return the cluster of that name."""
        return {cluster.name: cluster for cluster in self.clusters}[name]  # type: ignore[index]

    def node(self, name: str) -> NodeLayout:
        """Return the node of that name."""
        return {node.name: node for node in self.nodes}[name]

    def address(self, place: str) -> str:
        """Where a machine is reached, ``loadbalancer1`` and ``jumphost1`` included."""
        others = {"loadbalancer1": self.load_balancer, JUMP_HOST: self.jump_host}
        return others.get(place) or self.node(place).address

    def is_no_node(self, place: str) -> bool:
        """Whether a machine is ``loadbalancer1`` or ``jumphost1``."""
        return place in {"loadbalancer1", JUMP_HOST}

    def machine_root(self, place: str) -> Path:
        """The directory of a machine's own files."""
        return self.root / "machines" / place

    def _cluster(self, name: ClusterName, number: int) -> ClusterLayout:
        base = 100 * (number - 1)
        nodes = tuple(
            NodeLayout(
                name=f"{name}-{kind}{index}",
                kind=kind,
                cluster=name,
                address=f"{self.block}.{base + first + index}",
                root=self.root / "machines" / f"{name}-{kind}{index}",
                windows=self.drivers.windows,
            )
            for kind, count, first in self._kinds()
            for index in range(1, count + 1)
        )
        return ClusterLayout(
            name=name,
            nodes=nodes,
            database_name=f"database{number}",
            database_address=f"{self.block}.{10 + number}",
            database_root=self.root / "machines" / f"database{number}",
            storage=self.root / "storage" / name,
            windows=self.drivers.windows,
        )

    def _kinds(self) -> tuple[tuple[Literal["server", "edge"], int, int], ...]:
        return ("server", self.servers, 20), ("edge", self.edges, 60)
