"""Start the servers that a daemon left inactive (docs/securetransport.md, section 4).

A *daemon* is a protocol server's process; its *servers* are what listens for it, each on ports of
its own. A daemon may run, and say so, while none of them does.
"""

from collections.abc import Iterable
from typing import Any

from activities.nodes.service_status import ListedPort, ServiceStatusReader
from activities.runtime.tracing import effect
from activities.securetransport import admin_requests as requests
from activities.securetransport.admin_client import AdminClient
from workflows.errors import CommandFailed, OutcomeUnknown, Unreachable
from workflows.model.estate import Protocol
from workflows.model.results import Service
from workflows.model.text import listed, printable
from workflows.ports.inputs import NodeInput

_FAILURES = (CommandFailed, OutcomeUnknown, Unreachable)


class InactiveServers:
    """The inactive servers of all nodes, over their admin REST APIs."""

    def __init__(self, admin: AdminClient, status: ServiceStatusReader) -> None:
        self._admin = admin
        self._status = status

    async def start(self, given: NodeInput[Any], silent: Iterable[ListedPort]) -> str:
        """Start the inactive servers of silent ports; return what was found and what failed.

        Whether the ports listen then is for the caller to read. None is started where more servers
        of a protocol are inactive than ports are silent: which ones were stopped on purpose is not
        known.

        Raises:
            AccessRefused: the admin API refuses the worker's account.
        """
        protocols = sorted({port.protocol for port in silent})
        return "; ".join(filter(None, [await self._start(given, each) for each in protocols]))

    async def _start(self, given: NodeInput[Any], protocol: Protocol) -> str:
        node = given.node
        try:
            inactive = await self._admin.inactive_servers(node, protocol)
        except _FAILURES as failure:
            return f"the servers of {protocol} cannot be read ({failure})"
        # Read after the servers: one may have become active by itself.
        silent = await self._status.silent_ports(node, (Service(protocol.value),))
        if not silent:
            return ""
        found = f"inactive servers of {protocol}: {listed(map(printable, inactive)) or 'none'}"
        if len(inactive) > len(silent):
            return f"{found}; not all of them belong to silent ports, so none was started"
        failures = [await self._start_one(given, name) for name in inactive]
        return "; ".join(filter(None, (found, *failures)))

    async def _start_one(self, given: NodeInput[Any], name: str) -> str:
        node, limit = given.node, given.timing.answer_timeout.total_seconds()
        with effect(given, f"start server {printable(name)} on {node.name}"):
            try:
                await self._admin.operate(node, requests.start_server(name), limit)
            except _FAILURES as failure:
                return str(failure)
        return ""
