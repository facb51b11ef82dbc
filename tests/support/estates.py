"""Estates for tests, written as an operator would write them."""

from typing import Any

from workflows.model.estate import Estate
from workflows.model.request import Request

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ0zYpVdd5uQ1nVYmZ0mGJv1V6h1cVJ9m2n3o4p5q6r"


def written(servers: int = 2, edges: int = 2, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the keys of an estate file for two clusters; *changes* replace top-level keys."""
    clusters = [_cluster(number, servers, edges) for number in (1, 2)]
    estate: dict[str, Any] = {
        "name": "lab",
        "defaults": {
            "ssh": {"user": "st", "key": "file:/keys/operator"},
            "admin": {"user": "admin", "password": "env:ADMIN", "fingerprint": "0" * 64},
            "host_key": HOST_KEY,
            "protocols": {"ssh": [8022], "http": [8443]},
        },
        "clusters": clusters,
        "load_balancer": {
            "hosts": [
                {
                    "name": "loadbalancer1",
                    "address": "192.0.2.2",
                    "ssh": {"user": "lb", "key": "file:/keys/operator"},
                    "host_key": HOST_KEY,
                    "reload": ["/usr/bin/systemctl", "reload", "haproxy"],
                }
            ],
            "names": {
                f"edge{n}": {f"cluster{c}": f"192.0.2.{c}{n}" for c in (1, 2)}
                for n in range(1, edges + 1)
            },
            "probes": [
                {
                    "protocol": protocol,
                    "address": "192.0.2.2",
                    "port": port,
                    "user": "probe",
                    "password": "env:PROBE",
                    **trust,
                }
                for protocol, port, trust in (
                    ("ssh", 8022, {"host_key": HOST_KEY}),
                    ("http", 8443, {"fingerprint": "0" * 64}),
                )
            ],
        },
        "replication": {
            "links": [
                {
                    "name": f"cluster{a}_to_cluster{b}",
                    "source": f"cluster{a}",
                    "target": f"cluster{b}",
                    "publication": "pub",
                    "subscription": f"cluster{a}_to_cluster{b}",
                }
                for a, b in ((1, 2), (2, 1))
            ]
        },
    }
    return estate | changes


def estate(servers: int = 2, edges: int = 2, **changes: Any) -> Estate:  # noqa: ANN401
    """Return the estate of :func:`written`."""
    return Estate.model_validate(written(servers, edges, **changes))


def request(**changes: Any) -> Request:  # noqa: ANN401
    """Return the request that moves the estate from cluster1 to cluster2."""
    return Request.model_validate(
        {"estate": "lab", "source": "cluster1", "target": "cluster2", **changes}
    )


def _cluster(number: int, servers: int, edges: int) -> dict[str, Any]:
    nodes = [("server", index) for index in range(1, servers + 1)]
    nodes += [("edge", index) for index in range(1, edges + 1)]
    return {
        "name": f"cluster{number}",
        "storage": "/shared",
        "database": {
            "name": f"database{number}",
            "address": f"198.51.100.{number}",
            "database": "st",
            "user": "st",
            "password": "env:DATABASE",
        },
        "nodes": [
            {
                "name": f"cluster{number}-{kind}{index}",
                "kind": kind,
                "address": f"203.0.113.{100 * (number - 1) + position}",
            }
            for position, (kind, index) in enumerate(nodes, start=1)
        ],
    }
