"""Reach the machines of a lab as an operator does."""

import ssl
from contextlib import AbstractAsyncContextManager

import asyncssh
import httpx

from lab.layout import (
    ADMIN_PASSWORD,
    ADMIN_PORT,
    ADMIN_USER,
    LOGIN_USER,
    SHELL_PORT,
    SHELL_USER,
    Layout,
    NodeLayout,
)


def shell(layout: Layout, place: str) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    """Log in on a machine; raises OSError and asyncssh.Error."""
    host_key = asyncssh.read_public_key(layout.keys / f"{place}_host_key.pub")
    return asyncssh.connect(
        layout.address(place),
        SHELL_PORT,
        config=None,
        username=LOGIN_USER if layout.drivers.run_as else SHELL_USER,
        client_keys=[layout.keys / "operator"],
        known_hosts=([host_key], [], []),
        agent_path=None,
        # Machines behind a jump host let in only who comes through it, and this address.
        local_addr=(layout.operator, 0),
    )


def admin(layout: Layout, node: NodeLayout) -> httpx.AsyncClient:
    """Return a client of a node's admin API."""
    base = f"https://{node.address}:{ADMIN_PORT}/api/v2.0/"
    tls = ssl.create_default_context(cafile=layout.keys / "ca.pem")
    return httpx.AsyncClient(
        base_url=base,
        transport=httpx.AsyncHTTPTransport(verify=tls, local_address=layout.operator),
        auth=(ADMIN_USER, ADMIN_PASSWORD),
        headers={"Referer": base},
        trust_env=False,
        timeout=10,
    )
