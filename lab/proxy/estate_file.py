"""Write an estate file that names the proxies instead of the machines."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.environment.estate_file import describe
from lab.layout import HTTPS_PORT, SFTP_PORT, Layout
from lab.proxy.name_server_proxy import NAME_SERVER_PROXY_PORT
from lab.proxy.postgres_proxy import DATABASE_PROXY_PORT
from lab.proxy.tcp_proxy import SHELL_PROXY_PORT

PROBE_PROXY_PORTS = {SFTP_PORT: SFTP_PORT + 10000, HTTPS_PORT: HTTPS_PORT + 10000}
"""Clients keep the load balancer's own ports."""
NAME_SERVER_LINE_PORT = NAME_SERVER_PROXY_PORT + 1
"""Of the line to the proxy that reads DNS messages."""


def write_proxied_estate(layout: Layout, directory: Path, timing: Mapping[str, float]) -> None:
    """Write the estate with the lines' ports instead of the machines' own, and other times."""
    described: dict[str, Any] = describe(layout, timing)
    hosts = (*described["load_balancer"]["hosts"], *described["replication"].get("hosts", ()))
    for machine in (described["defaults"], *hosts):
        machine["ssh"]["port"] = SHELL_PROXY_PORT
        if jump := machine["ssh"].get("jump"):
            jump["port"] = SHELL_PROXY_PORT
    if layout.drivers.load_balancer == "dns":
        for server in described["load_balancer"]["servers"]:
            server["port"] = NAME_SERVER_LINE_PORT
    for probe in described["load_balancer"]["probes"]:
        probe["port"] = PROBE_PROXY_PORTS[probe["port"]]
    for cluster in described["clusters"]:
        cluster["database"]["port"] = DATABASE_PROXY_PORT
    directory.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(described, sort_keys=False, width=100)
    (directory / layout.estate_file.name).write_text(text, encoding="utf-8")
