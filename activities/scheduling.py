"""How are Scheduler and Folder Monitor stopped and started through the admin REST API?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.nodes.desired_state import POLL_INTERVAL
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.send_deadline import SendDeadline
from activities.runtime.tracing import effect
from activities.securetransport import admin_requests as requests
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import CLUSTER_SERVICES, Verb
from activities.securetransport.service_state import ObservedState
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import StartScheduling, StopScheduling, VerifySchedulingStopped
from workflows.model.estate import Node
from workflows.model.results import SCHEDULING, Report, Service, State, changed, seen, unchanged
from workflows.ports.inputs import NodeInput
from workflows.ports.scheduling import SchedulingPort

LOOKS = 10
"""How often a service is read after it was asked to change, before that counts as not done."""


class RestScheduling(SchedulingPort):
    """One Server at a time: whether a call acts on its node or its cluster is not known."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    @activity.defn
    async def stop_scheduling(self, given: NodeInput[StopScheduling]) -> Report:
        """Leave both stopped; disabled by their options counts as that (section 7)."""
        acted = [
            service
            for service in SCHEDULING
            if not (await self._read(given.node, service)).down
            and await self._bring(given, service, "stop")
        ]
        return _report(given, SCHEDULING, acted, "stopped")

    @activity.defn
    async def start_scheduling(self, given: NodeInput[StartScheduling]) -> Report:
        """Leave the order's services running; NotReady where an option forbids one of them.

        What the order leaves out is not even read: it did not run before, and is nobody's business.
        """
        wanted = tuple(Service(name) for name in given.action.services)
        states = {service: await self._read(given.node, service) for service in wanted}
        for service, sighting in states.items():
            if sighting.state is State.DISABLED:
                raise NotReady(
                    f"{given.node.name}: {service} is disabled by its option; "
                    f"set {CLUSTER_SERVICES[service]}.enable to true, then decide `retry`"
                )
        acted = [
            service
            for service, sighting in states.items()
            if sighting.state is not State.RUNNING and await self._bring(given, service, "start")
        ]
        return _report(given, wanted, acted, "started")

    @activity.defn
    async def verify_scheduling_stopped(self, given: NodeInput[VerifySchedulingStopped]) -> Report:
        """See both stopped, twice, the second time after the takeover time."""
        node = given.node
        async with heartbeating():
            await self._require_stopped(node)
            await sleep(given.timing.takeover)
            await self._require_stopped(node)
        words = f"no Scheduler or Folder Monitor runs on {node.name}, nor took over"
        return seen(given.action, words, datetime.now(UTC))

    async def _require_stopped(self, node: Node) -> None:
        for service in SCHEDULING:
            sighting = await self._read(node, service)
            if not sighting.down:
                raise NotReady(
                    f"{node.name}: {service} is {sighting.state} ({sighting.text}), expected "
                    "stopped; look whether it moved there from another Server, then decide `retry`"
                )

    async def _read(self, node: Node, service: Service) -> ObservedState:
        sighting = await self._admin.cluster_service(node, service)
        return sighting.require_known(f"{node.name}: {service}")

    async def _bring(self, given: NodeInput[Any], service: Service, verb: Verb) -> bool:
        """Send one operation and read it back; a lost reply is resolved by reading."""
        node, lost = given.node, None
        within = SendDeadline.of_this_attempt().require()
        with effect(given, f"{verb} {service} on {node.name}"):
            try:
                await self._admin.operate(node, requests.operation(verb, service), within)
            except OutcomeUnknown as silence:
                lost = silence
        for _ in range(LOOKS):
            sighting = await self._read(node, service)
            if sighting.down if verb == "stop" else sighting.state is State.RUNNING:
                return True
            await asyncio.sleep(POLL_INTERVAL.total_seconds())
        if lost is not None:
            raise lost
        raise CommandFailed(
            f"{node.name}: {verb} of {service} was accepted, but it is still {sighting.state}"
        )


def _report(
    given: NodeInput[Any], asked: Sequence[Service], acted: Sequence[Service], done: str
) -> Report:
    node, now = given.node.name, datetime.now(UTC)
    if not acted:
        words = f"{' and '.join(asked)}: {done} already on {node}"
        return unchanged(given.action, words, now)
    return changed(given.action, f"{' and '.join(acted)} {done} on {node}", now)
