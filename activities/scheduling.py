"""Stop and start Scheduler and Folder Monitor through the admin REST API."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.nodes.desired_state import POLL_INTERVAL
from activities.runtime.heartbeat import heartbeating, sleep
from activities.runtime.preview_text import twice
from activities.runtime.send_deadline import SendDeadline
from activities.runtime.tracing import effect
from activities.securetransport import admin_requests as requests
from activities.securetransport.admin_client import AdminClient
from activities.securetransport.admin_requests import CLUSTER_SERVICES, ServiceOperation
from activities.securetransport.service_state import ObservedState
from workflows.errors import CommandFailed, NotReady, OutcomeUnknown
from workflows.model.actions import StartScheduling, StopScheduling, VerifySchedulingStopped
from workflows.model.estate import Node
from workflows.model.results import SCHEDULING, Report, Service, State, changed, seen, unchanged
from workflows.ports.inputs import NodeInput
from workflows.ports.scheduling import SchedulingPort

MAX_READINGS = 10
"""How often a service is read back before its change counts as failed."""


class RestScheduling(SchedulingPort):
    """One Server at a time: whether a call acts on its node or its cluster is not known."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    @activity.defn
    async def stop_scheduling(self, given: NodeInput[StopScheduling]) -> Report:
        stopped = [
            service
            for service in SCHEDULING
            if not (await self._read(given.node, service)).down
            and await self._change(given, service, "stop")
        ]
        return _report(given, SCHEDULING, stopped, "stopped")

    @activity.defn
    async def start_scheduling(self, given: NodeInput[StartScheduling]) -> Report:
        wanted = tuple(Service(name) for name in given.action.services)
        states = {service: await self._read(given.node, service) for service in wanted}
        for service, observed in states.items():
            if observed.state is State.DISABLED:
                raise NotReady(
                    f"{given.node.name}: {service} is disabled by its option; "
                    f"set {CLUSTER_SERVICES[service]}.enable to true, then decide `retry`"
                )
        started = [
            service
            for service, observed in states.items()
            if observed.state is not State.RUNNING and await self._change(given, service, "start")
        ]
        return _report(given, wanted, started, "started")

    @activity.defn
    async def verify_scheduling_stopped(self, given: NodeInput[VerifySchedulingStopped]) -> Report:
        node = given.node
        async with heartbeating():
            await self._require_stopped(node)
            await sleep(given.timing.takeover)
            await self._require_stopped(node)
        message = f"no Scheduler or Folder Monitor runs on {node.name}, nor took over"
        return seen(given.action, message, datetime.now(UTC))

    def preview(self, given: NodeInput[Any]) -> Iterator[str]:
        """Yield the requests that an action sends, in sequence."""
        match given.action:
            case StopScheduling():
                yield from (str(requests.operation("stop", service)) for service in SCHEDULING)
            case StartScheduling():
                services = map(Service, given.action.services)
                yield from (str(requests.operation("start", service)) for service in services)
            case VerifySchedulingStopped():
                readings = (str(requests.state(service)) for service in SCHEDULING)
                yield from twice(readings, given.timing.takeover)

    async def _require_stopped(self, node: Node) -> None:
        for service in SCHEDULING:
            observed = await self._read(node, service)
            if not observed.down:
                raise NotReady(
                    f"{node.name}: {service} is {observed.state} ({observed.text}), expected "
                    "stopped; check whether it moved there from another Server, then decide `retry`"
                )

    async def _read(self, node: Node, service: Service) -> ObservedState:
        observed = await self._admin.cluster_service(node, service)
        return observed.require_known(f"{node.name}: {service}")

    async def _change(
        self, given: NodeInput[Any], service: Service, verb: ServiceOperation
    ) -> bool:
        """Send one operation and read it back: the state decides, whatever the answer was.

        What was refused, and reads as before, is sent once more: a server that is busy for a moment
        refuses too.
        """
        node, deadline = given.node, SendDeadline.of_this_attempt()
        failure = await self._send(given, service, verb, deadline)
        if isinstance(failure, CommandFailed):
            await sleep(POLL_INTERVAL)
            if not _done(verb, await self._read(node, service)):
                failure = await self._send(given, service, verb, deadline)
        for _ in range(MAX_READINGS):
            observed = await self._read(node, service)
            if _done(verb, observed):
                return True
            await sleep(POLL_INTERVAL)
        if failure is not None:
            raise failure
        raise CommandFailed(
            f"{node.name}: {verb} of {service} was accepted, but it is still {observed.state}"
        )

    async def _send(
        self, given: NodeInput[Any], service: Service, verb: ServiceOperation, until: SendDeadline
    ) -> CommandFailed | OutcomeUnknown | None:
        """Send one operation; return why its answer does not say that it was accepted."""
        within = until.require()
        with effect(given, f"{verb} {service} on {given.node.name}"):
            try:
                await self._admin.operate(given.node, requests.operation(verb, service), within)
            except (CommandFailed, OutcomeUnknown) as failure:
                return failure
        return None


def _done(verb: ServiceOperation, observed: ObservedState) -> bool:
    return observed.down if verb == "stop" else observed.state is State.RUNNING


def _report(
    given: NodeInput[Any], asked: Sequence[Service], acted: Sequence[Service], done: str
) -> Report:
    node, now = given.node.name, datetime.now(UTC)
    if not acted:
        return unchanged(given.action, f"{' and '.join(asked)} {done} already on {node}", now)
    return changed(given.action, f"{' and '.join(acted)} {done} on {node}", now)
