"""Read everything about a node before the run changes anything."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from activities.nodes import missing_programs, run_as
from activities.nodes.operating_system import Use
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import PartialReading
from activities.securetransport import admin_responses as answers
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import PAGE_SIZE
from activities.securetransport.service_state import ObservedState
from activities.transport.secrets import readable_by_others
from activities.transport.ssh import Shell
from workflows.model.actions import ObserveNode
from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import NodeReading
from workflows.model.results import SCHEDULING, Service, State
from workflows.model.text import listed
from workflows.ports.inputs import SessionInput
from workflows.preflight import access, parity
from workflows.preflight.nodes import program_missing

SHELL, ADMIN_API = access.node_unreachable_ssh, access.node_unreachable_admin
GRACEFUL_TIMEOUT = "GracefulShutdownTimeout"


@dataclass(frozen=True)
class Observer:
    """Reads a node over its shell and its admin REST API, in parallel; neither needs the other."""

    shell: Shell
    services: ServiceStatusReader
    admin: AdminClient

    async def read(self, given: SessionInput[ObserveNode]) -> NodeReading:
        """Return everything that could be read, and findings about the rest."""
        node, parts = given.node, PartialReading(given.node.name)
        system, nothing = self.services.system(node), dict[Service, ObservedState]()
        secret = node.below(node.filedrivehome, "bin", "taeh")
        over_shell = asyncio.gather(
            parts.part(lambda: self._services(node), SHELL, nothing),
            parts.part(lambda: self._sessions(node, given.ignored_peers), SHELL, None),
            parts.part(lambda: system.digest(node, secret), SHELL, None),
            parts.part(lambda: self._clock(node), SHELL, None),
            parts.part(lambda: system.facts(node), SHELL, None),
            parts.part(lambda: self.services.silent_ports(node), SHELL, ()),
        )
        of_access = asyncio.gather(
            parts.part(lambda: run_as.findings(self.shell, node, node.name), SHELL, ()),
            parts.part(lambda: self._missing_programs(node), SHELL, ()),
            _secrets(node),
        )
        over_api = asyncio.gather(
            parts.part(lambda: self._scheduling(node), ADMIN_API, nothing),
            parts.part(lambda: self._version(node), ADMIN_API, None),
            parts.part(lambda: self._database(node), ADMIN_API, None),
            parts.part(lambda: self._timeouts(node), ADMIN_API, {}),
        )
        services, sessions, taeh, clock, facts, silent = await over_shell
        scheduling, version, database, timeouts = await over_api
        account, programs, secrets = await of_access
        if version is not None:  # or the API does not answer at all
            await parts.part(lambda: self._awaited(node, services), ADMIN_API, None)
        observed = services | scheduling
        return NodeReading(
            place=node.name,
            services={service: seen.state for service, seen in observed.items()},
            texts={s: seen.text for s, seen in observed.items() if seen.state is State.UNKNOWN},
            sessions=sessions,
            machine=facts,
            taeh=taeh,
            clock_ahead=clock,
            version=version and version.level,
            system=version and version.system,
            database=database or (version and version.database),
            graceful_timeouts=timeouts,
            silent_ports=tuple(map(str, silent)),
            slowest_answer=self.services.slowest_answer(node),
            findings=(*parts.findings, *account, *programs, *secrets),
            not_read=_not_said(node, version, database),
        )

    async def _services(self, node: Node) -> dict[Service, ObservedState]:
        return await self.services.states(node, securetransport.SERVICES[node.kind])

    async def _sessions(self, node: Node, ignored: tuple[str, ...]) -> int:
        return sum((await self.services.connections(node, ignored)).values())

    async def _missing_programs(self, node: Node) -> tuple[Finding, ...]:
        use = Use.EDGE if node.kind is Kind.EDGE else Use.SERVER
        missing = await self.services.system(node).missing_programs(node, use)
        return missing_programs.judged(missing, node, program_missing, node.name)

    async def _clock(self, node: Node) -> timedelta:
        asked = datetime.now(UTC)
        there = await self.services.system(node).now(node)
        answered = datetime.now(UTC)
        return there - (asked + (answered - asked) / 2)

    async def _scheduling(self, node: Node) -> dict[Service, ObservedState]:
        if node.kind is Kind.EDGE:
            return {}
        found = await asyncio.gather(*(self.admin.cluster_service(node, s) for s in SCHEDULING))
        return dict(zip(SCHEDULING, found, strict=True))

    async def _version(self, node: Node) -> answers.Installed:
        body = (await self.admin.get(node, "version")).body
        return answers.read(answers.Installed, body, node.name)

    async def _awaited(self, node: Node, services: Mapping[Service, ObservedState]) -> None:
        """Read once what later stages wait for: an answer that they could not use is found now.

        No stage waits where no Transaction Manager runs, and its transfers may be refused there.
        """
        await self.admin.sessions(node)
        manager = services.get(Service.TRANSACTION_MANAGER)
        if node.kind is Kind.SERVER and not (manager is not None and manager.down):
            await self.admin.first(node, "events", PAGE_SIZE)
            await self.admin.total(node, "transfers")

    async def _database(self, node: Node) -> str | None:
        """Return the type of a Server's database; None where its version does not say it."""
        if node.kind is Kind.EDGE:
            return None
        reply = await self.admin.find(node, "configurations/database")
        if reply is None:
            return None
        return answers.read(answers.Database, reply.body, node.name).type

    async def _timeouts(self, node: Node) -> dict[str, str]:
        options = await self.admin.options(node)
        return answers.option_values(options, GRACEFUL_TIMEOUT)


async def _secrets(node: Node) -> tuple[Finding, ...]:
    logins = (node.ssh, *node.ssh.jump)
    references = chain.from_iterable((login.key, login.passphrase) for login in logins)
    exposed = await readable_by_others(*references, node.admin.password)
    if not exposed:
        return ()
    return (
        access.secret_readable_by_others.finding(
            node.name,
            seen=f"every user of the worker's machine may read {listed(exposed)}",
            expected="files that only the worker's user may read",
            advice=f"chmod 600 {' '.join(exposed)}",
        ),
    )


def _not_said(
    node: Node, version: answers.Installed | None, database: str | None
) -> dict[str, str]:
    """Return the comparisons that a node takes no part in, since it does not say what it has."""
    if version is None:
        return {}
    unsaid = {}
    if version.system is None:
        unsaid[parity.operating_system_differs.name] = "the admin API names no operating system"
    if node.kind is Kind.SERVER and not (database or version.database):
        unsaid[parity.database_type_differs.name] = "the admin API names no type of database"
    return unsaid
