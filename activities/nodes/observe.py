"""What does a node look like before anything is asked of it? Reads everything, changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from activities.nodes import linux, machine_facts
from activities.nodes.service_status import ServiceStatusReader
from activities.runtime.partial_reading import reading_or_finding
from activities.securetransport import admin_responses as answers
from activities.securetransport import scripts as securetransport
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.service_state import ObservedState
from workflows.model.actions import ObserveNode
from workflows.model.estate import Kind, Node
from workflows.model.findings import Finding
from workflows.model.observations import MachineFacts, NodeReading
from workflows.model.results import SCHEDULING, Service, State
from workflows.ports.inputs import SessionInput
from workflows.preflight import access

SHELL, ADMIN = access.node_unreachable_ssh, access.node_unreachable_admin
GRACEFUL_TIMEOUT = "GracefulShutdownTimeout"


T = TypeVar("T")


def _or_none(result: T | Finding) -> T | None:
    return None if isinstance(result, Finding) else result


@dataclass(frozen=True)
class Observer:
    """Reads a node over its shell and its admin REST API side by side; neither needs the other."""

    survey: ServiceStatusReader
    admin: AdminClient

    async def read(self, given: SessionInput[ObserveNode]) -> NodeReading:
        """Return everything that could be read, and why the rest could not."""
        node = given.node
        over_shell = asyncio.gather(
            reading_or_finding(lambda: self._services(node), node.name, SHELL),
            reading_or_finding(lambda: self._sessions(node, given.ignored_peers), node.name, SHELL),
            reading_or_finding(lambda: self._taeh(node), node.name, SHELL),
            reading_or_finding(lambda: self._clock(node), node.name, SHELL),
            reading_or_finding(lambda: self._facts(node), node.name, SHELL),
        )
        over_api = asyncio.gather(
            reading_or_finding(lambda: self._scheduling(node), node.name, ADMIN),
            reading_or_finding(lambda: self._version(node), node.name, ADMIN),
            reading_or_finding(lambda: self._timeouts(node), node.name, ADMIN),
        )
        services, sessions, taeh, clock, facts = await over_shell
        scheduling, version, timeouts = await over_api
        results = (timeouts, services, sessions, taeh, clock, facts, scheduling, version)
        sightings: dict[Service, ObservedState] = {}
        for found in (services, scheduling):
            if not isinstance(found, Finding):
                sightings.update(found)
        known = _or_none(version) or answers.Installed()
        return NodeReading(
            place=node.name,
            services={service: seen.state for service, seen in sightings.items()},
            texts={s: seen.text for s, seen in sightings.items() if seen.state is State.UNKNOWN},
            sessions=_or_none(sessions),
            machine=_or_none(facts),
            taeh=_or_none(taeh),
            clock_ahead=_or_none(clock),
            version=known.level,
            system=known.system,
            database=known.database,
            graceful_timeouts=_or_none(timeouts) or {},
            # One silent machine is one finding, whatever was asked of it.
            findings=tuple({f.name: f for f in results if isinstance(f, Finding)}.values()),
        )

    async def _services(self, node: Node) -> dict[Service, ObservedState]:
        return await self.survey.states(node, securetransport.SERVICES[node.kind])

    async def _sessions(self, node: Node, ignored: tuple[str, ...]) -> int:
        return sum((await self.survey.connections(node, ignored)).values())

    async def _taeh(self, node: Node) -> str:
        path = f"{node.filedrivehome}/bin/taeh"
        return linux.parse_digest((await self.survey.expect(node, linux.digest(path))).out)

    async def _clock(self, node: Node) -> timedelta:
        asked = datetime.now(UTC)
        there = linux.parse_clock((await self.survey.expect(node, linux.clock())).out)
        answered = datetime.now(UTC)
        return there - (asked + (answered - asked) / 2)

    async def _facts(self, node: Node) -> MachineFacts:
        answer = await self.survey.expect(node, machine_facts.facts(node))
        return machine_facts.parse_facts(answer.out)

    async def _scheduling(self, node: Node) -> dict[Service, ObservedState]:
        if node.kind is Kind.EDGE:
            return {}
        found = await asyncio.gather(*(self.admin.cluster_service(node, s) for s in SCHEDULING))
        return dict(zip(SCHEDULING, found, strict=True))

    async def _version(self, node: Node) -> answers.Installed:
        return answers.installed((await self.admin.get(node, "version")).body, node.name)

    async def _timeouts(self, node: Node) -> dict[str, str]:
        options = await self.admin.options(node)
        return answers.option_values(options, GRACEFUL_TIMEOUT)
