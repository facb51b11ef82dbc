"""Give each cluster of a lab a worker of its own, which has only what it needs."""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.layout import Layout
from lab.networks import namespace

OF_NODES = ("operator", "admin_password")
"""Secrets with which a cluster's nodes are reached; each cluster's worker has its own copy."""
OF_JUMP_HOST = "jump"
OF_PROBE = "probe_password"
"""With which a worker also logs in directly to the nodes that clients will reach."""

Argv = tuple[str, ...]


@dataclass(frozen=True)
class DividedWorkers:
    """The arguments of the workers: each has an estate directory and secrets of its own."""

    main: Argv
    clusters: tuple[Argv, ...]

    @property
    def all(self) -> tuple[Argv, ...]:
        """Return the arguments of each."""
        return self.main, *self.clusters


def divide(layout: Layout, estates: Path) -> DividedWorkers:
    """Name a task queue for each cluster in the estate file of *estates*, and divide the secrets.

    All workers share one file of seal keys.

    A cluster's worker cannot read what leads to the other cluster's nodes, to a database or to the
    load balancer's machine.
    """
    place = _place(layout)
    shutil.rmtree(place, ignore_errors=True)
    file = estates / layout.estate_file.name
    described: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    place.mkdir(parents=True)
    keys = place / "seal-keys"
    keys.touch(0o600)
    keys.write_text(f"{secrets.token_hex(32)}\n", encoding="ascii")
    shared = ("--seal-keys", str(keys))
    copies = place / "secrets"
    probe = _copied(layout.keys / OF_PROBE, copies / "probe")
    for one in described["load_balancer"]["probes"]:
        one["password"] = probe
    for cluster in described["clusters"]:
        cluster["task_queue"] = _queue(cluster["name"])
        own = copies / cluster["name"]
        key, password = (_copied(layout.keys / name, own) for name in OF_NODES)
        for node in cluster["nodes"]:
            node["ssh"] = {**node.get("ssh", {}), "key": key}
            if jump := described["defaults"]["ssh"].get("jump"):
                node["ssh"]["jump"] = {**jump, "key": _copied(layout.keys / OF_JUMP_HOST, own)}
            node["admin"] = {**node.get("admin", {}), "password": password}
    text = yaml.safe_dump(described, sort_keys=False, width=100)
    file.write_text(text, encoding="utf-8")
    names = [cluster["name"] for cluster in described["clusters"]]
    main = ("--estates", str(estates), "--secrets", str(layout.keys), "--secrets", str(copies))
    clusters = (_arguments(layout, file, name) for name in names)
    return DividedWorkers((*shared, *main), tuple((*shared, *one) for one in clusters))


def _place(layout: Layout) -> Path:
    return layout.root / "cluster_workers"


def _queue(cluster: str) -> str:
    return f"near-{cluster}"


def _arguments(layout: Layout, file: Path, cluster: str) -> Argv:
    """Return the arguments of a cluster's worker, which gets a copy of the estate file.

    One in the cluster's own network is behind the jump host.
    """
    place = _place(layout)
    estates, copies = place / cluster / "estates", place / "secrets"
    inside = namespace(layout, cluster) is not None
    estates.mkdir(parents=True)
    shutil.copy(file, estates)
    return (
        *("--task-queue", _queue(cluster), "--estates", str(estates)),
        *("--secrets", str(copies / cluster), "--secrets", str(copies / "probe")),
        *(("--behind-jump-hosts", "yes") if inside else ()),
    )


def _copied(secret: Path, directory: Path) -> str:
    """Copy a secret, and return the reference to the copy."""
    directory.mkdir(parents=True, exist_ok=True)
    return f"file:{shutil.copy(secret, directory)}"
