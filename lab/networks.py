"""Give each cluster of a lab a network of its own, as two data centres have.

The lab leaves the network of its machine for a new one (``leave``), in which are the clients, the
load balancer, the databases and Temporal. The nodes of each cluster, with the cluster's worker, are
in a further network namespace, which one pair of virtual interfaces connects with it. From the
lab's network only the ports of SecureTransport's protocols are reached on nodes: the kernel has no
route to their SSH servers and admin APIs, except from the jump host, and from the address of the
lab's own operator. Between the clusters' networks there is no route at all.
"""

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.forking import die_with_parent
from lab.layout import ADMIN_PORT, SHELL_PORT, STREAMING_PORT, ClusterLayout, Layout

BLOCK = "10.77.1"
"""The addresses of a lab in a network of its own: its namespace has no others."""
_CLOSED = (SHELL_PORT, ADMIN_PORT, STREAMING_PORT)
"""Ports of nodes that are not reached from the lab's network."""
_OPEN, _CLOSED_TO_OTHERS = 100, 200
"""Priorities of rules: the kernel follows the first that fits."""
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_HOLD = ("unshare", "--net", "sh", "-c", "echo held; exec sleep infinity")

_libc = ctypes.CDLL(None, use_errno=True)


class NoNetworks(Exception):
    """This machine or this user cannot have network namespaces, with the reason."""


def leave() -> None:
    """Leave the machine's network for a new, empty one; what is started from now on is in it.

    Raises:
        NoNetworks: this is not possible here.
    """
    if missing := [name for name in ("ip", "unshare") if shutil.which(name) is None]:
        raise NoNetworks(f"{' and '.join(missing)} must be installed (iproute2, util-linux)")
    if _libc.unshare(_NEW_NETWORK) != 0:
        raise NoNetworks(f"only root may have them: {os.strerror(ctypes.get_errno())}")


def enter(network: int) -> None:
    """Let the calling thread, and what it starts, be in a network; as a file of it that is open."""
    if _libc.setns(network, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "the network of a cluster cannot be entered")


def namespace(layout: Layout, cluster: str) -> Path | None:
    """Return the file of a cluster's network namespace; None where it has none of its own."""
    holder = _holders(layout).get(cluster)
    return None if holder is None else Path(f"/proc/{holder}/ns/net")


def tcp_tables(layout: Layout) -> tuple[Path, ...]:
    """Return the kernel's tables of TCP sockets of all of the lab's networks."""
    processes = ("self", *_holders(layout).values())
    return tuple(Path(f"/proc/{process}/net/tcp") for process in processes)


@contextmanager
def separate(layout: Layout) -> Iterator[None]:
    """Give the clusters networks of their own, once this process has left the machine's."""
    with _held_networks(len(layout.clusters)) as holders:
        _ip(_core(layout))
        for number, (cluster, holder) in enumerate(
            zip(layout.clusters, holders, strict=True), start=1
        ):
            _connect(layout, cluster, f"cluster{number}", holder)
        names = [cluster.name for cluster in layout.clusters]
        written = json.dumps(dict(zip(names, holders, strict=True)))
        layout.networks.write_text(written, encoding="ascii")
        try:
            yield
        finally:
            layout.networks.unlink()


@contextmanager
def _held_networks(number: int) -> Iterator[list[int]]:
    """Hold that many new networks, each by a process that ends with this one."""
    parent, holders = os.getpid(), list[subprocess.Popen[bytes]]()
    try:
        for _ in range(number):
            holder = subprocess.Popen(
                _HOLD,
                stdout=subprocess.PIPE,
                preexec_fn=lambda: die_with_parent(9, parent),  # noqa: PLW1509 - as in spawn
            )
            holders.append(holder)
            assert holder.stdout
            if holder.stdout.readline() != b"held\n":
                raise NoNetworks("the program unshare makes no network")
        yield [holder.pid for holder in holders]
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def _core(layout: Layout) -> Iterator[str]:
    """Yield what makes the lab's own network, in words of ``ip``."""
    yield "link set lo up"
    own = (layout.load_balancer, layout.jump_host, layout.temporal, layout.monitoring)
    databases = (cluster.database_address for cluster in layout.clusters)
    for address in (*own, layout.operator, *databases):
        yield f"address add {address}/32 dev lo"
    for address in (layout.jump_host, layout.operator):
        yield f"rule add priority {_OPEN} from {address} lookup main"
    for port in _CLOSED:
        yield f"rule add priority {_CLOSED_TO_OTHERS} ipproto tcp dport {port} unreachable"


def _connect(layout: Layout, cluster: ClusterLayout, interface: str, holder: int) -> None:
    """Connect a cluster's network with the lab's own."""
    worker = layout.worker_address(cluster.name)
    addresses = (worker, *(node.address for node in cluster.nodes))
    _ip([f"link add {interface} type veth peer name outside netns {holder}"])
    inside = ("nsenter", f"--net=/proc/{holder}/ns/net")
    _ip(
        [
            "link set lo up",
            *(f"address add {address}/32 dev lo" for address in addresses),
            "link set outside up",
            f"route add {layout.block}.0/24 dev outside src {worker}",
        ],
        inside,
    )
    _ip(
        [
            f"link set {interface} up",
            *(
                f"route add {address}/32 dev {interface} src {layout.load_balancer}"
                for address in addresses
            ),
        ]
    )


def _ip(commands: Iterator[str] | Sequence[str], inside: tuple[str, ...] = ()) -> None:
    argv, text = (*inside, "ip", "-batch", "-"), "\n".join(commands)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoNetworks(f"the program ip says: {done.stderr.strip()[:300]}")


def _holders(layout: Layout) -> dict[str, int]:
    """Return by cluster the process that holds its network."""
    if not layout.networks.exists():
        return {}
    holders: dict[str, int] = json.loads(layout.networks.read_text(encoding="ascii"))
    return holders
