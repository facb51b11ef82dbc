"""Write the estate file of a lab, as an operator would."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.environment.databases import PUBLICATION, subscription
from lab.environment.load_balancers.registry import load_balancer
from lab.environment.replication_command import command
from lab.environment.storage import MARKERS
from lab.layout import (
    ADMIN_PORT,
    ADMIN_USER,
    DATABASE,
    DATABASE_PORT,
    DATABASE_USER,
    ESTATE,
    HTTPS_PORT,
    JUMP_HOST,
    JUMP_USER,
    LOGIN_USER,
    PROBE_ACCOUNT,
    SFTP_PORT,
    SHELL_PORT,
    SHELL_USER,
    ClusterLayout,
    Layout,
    NodeLayout,
)
from workflows.model.estate import Estate

Described = dict[str, Any]

TIMING: Mapping[str, float] = {
    "grace": 10,
    "transaction_manager_grace": 30,
    "stop_margin": 3,
    "start_timeout": 30,
    "takeover": 1.5,
    "storage_delay": 1,
    "reading_interval": 0.3,
    "readings": 3,
    "drain_timeout": 86400,
    "unreachable_timeout": 60,
    "cool_down": 0,
}
"""The lab's delays are short; a real estate keeps the defaults."""
ON_WINDOWS: Mapping[str, float] = {"stop_margin": 20, "reading_interval": 0.6}
"""A command costs wine about five times as much, and a lost one is told late."""
READING_TIMEOUT = 3
"""Of the replication's command, in seconds: a worker that dies while it reads is noticed after
twelve times as long."""
LAG_LIMIT = 64 * 1024**2
"""Bytes, as the command counts them."""
NOT_COMPARED: Described = {
    "severity": "warns",
    "reason": "the lab compares the files of Windows nodes by itself",
}
MEASURED: Mapping[str, float] = {"storage_delay": 4}


def write_estate(
    layout: Layout,
    timing: Mapping[str, float] | None = None,
    *,
    markers: bool = False,
    links: Sequence[tuple[ClusterLayout, ClusterLayout]] | None = None,
) -> Estate:
    """Write the estate file, and return its content; keys and hosts must have been made.

    *timing* holds what is to differ from ``TIMING``, in seconds. With *markers* the storages'
    delay may be measured, and has a limit that a busy machine does not exceed by itself. *links*
    are source and target of each link, where not both clusters send changes to the other.
    """
    described = describe(layout, {**(timing or {}), **(MEASURED if markers else {})})
    for cluster in described["clusters"] if markers else ():
        cluster["storage_markers"] = MARKERS
    if links is not None:
        described["replication"]["links"] = [_link(layout, a.name, b.name) for a, b in links]
    estate = Estate.model_validate(described)
    layout.estate_file.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(described, sort_keys=False, width=100)
    layout.estate_file.write_text(text, encoding="utf-8")
    return estate


def add_keys(file: Path, keys: Mapping[str, object]) -> None:
    """Write these keys into an estate file that was written before."""
    described: Described = yaml.safe_load(file.read_text(encoding="utf-8"))
    text = yaml.safe_dump({**described, **keys}, sort_keys=False, width=100)
    file.write_text(text, encoding="utf-8")


def describe(layout: Layout, timing: Mapping[str, float] | None = None) -> Described:
    """The content of the estate file; *timing* as for ``write_estate``."""
    one, two = layout.clusters
    return {
        "name": ESTATE,
        "defaults": {
            "ssh": _ssh(layout),
            "admin": {
                "user": ADMIN_USER,
                "password": _secret(layout, "admin_password"),
                "port": ADMIN_PORT,
                "via": "ssh",
                "ca": str(layout.keys / "ca.pem"),
            },
            "protocols": {"ssh": [SFTP_PORT], "http": [HTTPS_PORT]},
        },
        "clusters": [_cluster(layout, cluster) for cluster in layout.clusters],
        "load_balancer": _load_balancer(layout),
        "replication": {
            **_replication(layout),
            "links": [_link(layout, one.name, two.name), _link(layout, two.name, one.name)],
        },
        "timing": {**TIMING, **(ON_WINDOWS if layout.drivers.windows else {}), **(timing or {})},
        "ignored_peers": [layout.monitoring],
        # Many labs may share few cores.
        "limits": {"slow_answer": 60},
        **({"checks": {"storage_unreadable": NOT_COMPARED}} if layout.drivers.windows else {}),
    }


def _cluster(layout: Layout, cluster: ClusterLayout) -> Described:
    return {
        "name": cluster.name,
        "nodes": [_node(layout, node) for node in cluster.nodes],
        "database": {
            "name": cluster.database_name,
            "address": cluster.database_address,
            "port": DATABASE_PORT,
            "database": DATABASE,
            "user": DATABASE_USER,
            "password": _secret(layout, "database_password"),
        },
        "storage": cluster.seen_storage,
    }


def _node(layout: Layout, node: NodeLayout) -> Described:
    return {
        "name": node.name,
        "kind": node.kind,
        "address": node.address,
        "host_key": _public(layout.keys / f"{node.name}_host_key.pub"),
        "filedrivehome": node.seen(node.home),
        "ledger": node.seen(node.ledger),
        **({"system": "windows"} if node.windows else {"boot_id": str(node.boot_id)}),
        "listen_on": [node.address],
    }


def _load_balancer(layout: Layout) -> Described:
    probe = {
        "address": layout.load_balancer,
        "user": PROBE_ACCOUNT,
        "password": _secret(layout, "probe_password"),
    }
    return {
        **load_balancer(layout).described(_machine(layout)),
        "probes": [
            {
                "protocol": "ssh",
                "port": SFTP_PORT,
                "host_key": _public(layout.keys / "sftp_host_key.pub"),
                **probe,
            },
            {"protocol": "http", "port": HTTPS_PORT, "ca": str(layout.keys / "ca.pem"), **probe},
        ],
    }


def _machine(layout: Layout) -> Described:
    """The one machine that is no node."""
    root = layout.load_balancer_root
    return {
        "name": "loadbalancer1",
        "address": layout.load_balancer,
        "ssh": _ssh(layout),
        "host_key": _public(layout.keys / "loadbalancer1_host_key.pub"),
        "ledger": str(root / "var/lib/switchover"),
        "boot_id": str(root / "proc/boot_id"),
    }


def _replication(layout: Layout) -> Described:
    if layout.drivers.replication == "postgresql":
        return {"driver": "postgresql", "local_tables": ["fm_heartbeat"]}
    return {"driver": "commands", "hosts": [_machine(layout)], "reading_timeout": READING_TIMEOUT}


def _ssh(layout: Layout) -> Described:
    straight = {"user": SHELL_USER, "key": _secret(layout, "operator"), "port": SHELL_PORT}
    if layout.drivers.run_as:
        straight |= {"user": LOGIN_USER, "run_as": SHELL_USER}
    if not layout.drivers.jump_host:
        return straight
    jump = {
        "address": layout.jump_host,
        "port": SHELL_PORT,
        "user": JUMP_USER,
        "key": _secret(layout, "jump"),
        "host_key": _public(layout.keys / f"{JUMP_HOST}_host_key.pub"),
    }
    return {**straight, "jump": jump}


def _link(layout: Layout, source: str, target: str) -> Described:
    link = {"name": f"{source}-to-{target}", "source": source, "target": target}
    if layout.drivers.replication == "postgresql":
        return {**link, "publication": PUBLICATION, "subscription": subscription(source, target)}
    words = list(command(layout, source, target))
    return {**link, "host": "loadbalancer1", "command": words, "lag_limit": LAG_LIMIT}


def _secret(layout: Layout, name: str) -> str:
    return f"file:{layout.keys / name}"


def _public(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip()
