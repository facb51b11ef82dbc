"""Redirect the zone itself: one update, once per operation, until every server has it."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dns.name
import dns.rcode
import dns.tsig
from dns.rdatatype import RdataType

from activities.load_balancer.dns import zone_findings
from activities.load_balancer.dns.exchange import send, signing_key
from activities.load_balancer.dns.record import Entry
from activities.load_balancer.dns.zone_state import FAMILIES, ZoneState, has_any, read_zone
from activities.load_balancer.dns.zone_update import (
    CHANGED_MEANWHILE,
    preview,
    redirecting,
    without_effect,
)
from activities.load_balancer.driver import PlaceState
from activities.runtime.partial_reading import PartialReading
from activities.runtime.send_deadline import SendDeadline
from activities.runtime.tracing import effect
from activities.transport.secrets import Secrets
from workflows.errors import (
    AccessRefused,
    BadInput,
    NotReady,
    OutcomeUnknown,
    SwitchoverError,
    Unreachable,
)
from workflows.model.actions import Redirect
from workflows.model.findings import Finding
from workflows.model.load_balancers.dns import DnsLoadBalancer, DnsServer
from workflows.model.observations import Destination
from workflows.model.results import Report, changed, unchanged
from workflows.model.text import listed
from workflows.ports.load_balancer import TrafficInput
from workflows.preflight import access

TRANSFER_TIME = timedelta(seconds=60)
"""How long the other servers may take to answer with what was changed on the first one."""
RECORD = (RdataType.TXT,)
NO_RIGHT = (dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.NOTIMP, dns.rcode.NOTZONE)
FIRST_INTERVAL, MAX_INTERVAL = 0.2, 2.0
"""Seconds between two readings of a server."""


class Zone:
    """The zone of one load balancer."""

    def __init__(self, load_balancer: DnsLoadBalancer, secrets: Secrets) -> None:
        self._load_balancer = load_balancer
        self._primary, *self._others = load_balancer.servers
        self._secrets = secrets

    async def observe(self) -> PlaceState:
        """Read every server, and try by an update without effect whether a redirect may be made."""
        place = self._load_balancer.name
        parts = PartialReading(place)
        first, rest = await asyncio.gather(
            parts.part(
                lambda: read_zone(self._primary, self._load_balancer),
                access.load_balancer_unreachable,
                None,
            ),
            asyncio.gather(*map(self._state_or_reason, self._others)),
        )
        others = dict(zip(self._others, rest, strict=True))
        found = list(zone_findings.differing(self._load_balancer, first, others))
        if first is None:
            return PlaceState((), (*parts.failed, *found))
        judged = tuple(zone_findings.judged(self._load_balancer, first))
        rights = await parts.part(
            lambda: self._missing_rights(first), access.load_balancer_unreachable, ()
        )
        return PlaceState(
            tuple(self._destinations(first)), (*parts.failed, *judged, *rights, *found)
        )

    async def redirect(self, given: TrafficInput[Redirect]) -> Report:
        """Change the zone, unless an attempt did, and wait until every server answers with it.

        A name that leads to another cluster, or nowhere, is for an operator to judge. An undo of
        what this run never did needs nothing but the first server's answer.
        """
        action, operation = given.action, given.operation
        deadline = SendDeadline.of_this_attempt()
        state = await read_zone(self._primary, self._load_balancer)
        entry, at = state.entry(operation.id), datetime.now(UTC)
        holds = state.leads_to(self._load_balancer, action.to)
        if entry is None and not operation.undoes and state.undone_by(operation.identity):
            raise NotReady(
                f"{self._load_balancer.zone}: this run has put its addresses back already, "
                f"so this attempt is late; nothing was changed"
            )
        if entry is None and holds and operation.undoes:
            if not state.changed_by(operation.identity):
                entry = await self._shut_out_late_updates(given, state, deadline)
                return self._not_changed(action, entry.at if entry else at)
        elif entry is None and not holds:
            entry, state = await self._change(given, state, deadline)
        elif entry is not None and not entry.changed:
            return self._not_changed(action, entry.at)
        await self._wait_for_servers(action.to, state.serial)
        if entry is None:
            message = f"{self._load_balancer.zone} led to {action.to} already"
            return unchanged(action, message, at)
        return changed(action, f"{self._load_balancer.zone} leads to {action.to}", entry.at)

    def preview(self, action: Redirect) -> tuple[str, ...]:
        """Return the records that a redirect leaves."""
        return tuple(preview(self._load_balancer, action.to))

    async def slowest(self) -> timedelta:
        """Return how long a resolver may keep what a redirect replaces."""
        state = await read_zone(self._primary, self._load_balancer)
        return state.slowest(self._load_balancer)[0]

    def _not_changed(self, action: Redirect, at: datetime) -> Report:
        zone = self._load_balancer.zone
        return unchanged(action, f"{zone} leads to {action.to}; this run has not changed it", at)

    async def _shut_out_late_updates(
        self, given: TrafficInput[Redirect], state: ZoneState, deadline: SendDeadline
    ) -> Entry | None:
        """Record an undo that finds nothing to change: an update of this run is perhaps under way.

        The server refuses that one from now on. Where it takes no update that is signed with this
        key, it takes none of these either: then there is nothing to record.
        """
        try:
            entry, _ = await self._change(given, state, deadline)
        except (AccessRefused, BadInput):
            return None
        return entry

    async def _change(
        self, given: TrafficInput[Redirect], state: ZoneState, deadline: SendDeadline
    ) -> tuple[Entry, ZoneState]:
        """Send the update once, and read it back: an answer that is lost settles nothing.

        Raises:
            NotReady: a name has addresses of no cluster.
            AccessRefused: the server takes no such update that is signed with this key.
            Unreachable: nothing was changed by this attempt.
            OutcomeUnknown: the update was sent; the next attempt reads what became of it.
        """
        self._require_known(state)
        key = await self._key()
        changes = not state.leads_to(self._load_balancer, given.action.to)
        entry = Entry(given.operation.id, datetime.now(UTC).replace(microsecond=0), changes)
        update = redirecting(self._load_balancer, state, given.action.to, entry, key)
        lost: OutcomeUnknown | None = None
        rcode = dns.rcode.NOERROR
        with effect(given, str(given.action)):
            deadline.require()
            try:
                rcode = await send(self._primary, update)
            except OutcomeUnknown as unknown:
                lost = unknown
        state = await read_zone(self._primary, self._load_balancer)
        found = state.entry(given.operation.id)
        if found is not None:
            return found, state
        if lost is not None:
            raise OutcomeUnknown(f"{lost}; the zone has not changed so far") from lost
        if rcode in CHANGED_MEANWHILE:
            raise Unreachable(
                f"{self._load_balancer.zone} was changed by others between reading and writing, "
                f"so nothing was written; it leads elsewhere: {zone_findings.shown(state.names)}"
            )
        refusal = (
            f"{self._primary} answered {dns.rcode.to_text(rcode)} to the update of "
            f"{self._load_balancer.zone}, which has not changed"
        )
        if rcode not in NO_RIGHT:
            raise OutcomeUnknown(f"{refusal}; read the log of that server")
        raise AccessRefused(
            f"{refusal}; check update-policy or allow-update there, then decide `retry`"
        )

    def _require_known(self, state: ZoneState) -> None:
        strange = {
            name: now
            for name, now in state.names.items()
            if now.alias is not None
            or self._load_balancer.cluster_with(name, now.addresses) is None
        }
        if strange:
            raise NotReady(
                f"{self._load_balancer.zone}: {zone_findings.shown(strange)}, which is on no "
                "cluster of the estate; correct these records, or load_balancer.names in the estate"
            )

    async def _wait_for_servers(self, cluster: str, serial: int) -> None:
        """Wait until each server has the change; NotReady names those that do not get it."""
        objections = await asyncio.gather(
            *(self._wait_for(server, cluster, serial) for server in self._load_balancer.servers)
        )
        wrong = [one for one in objections if one is not None]
        if wrong:
            raise NotReady(
                f"{listed(wrong, between='; ')}; the zone leads to {cluster} on the other servers; "
                "find out why it is not transferred there (NOTIFY, allow-transfer), then decide "
                "`retry`"
            )

    async def _wait_for(self, server: DnsServer, cluster: str, serial: int) -> str | None:
        clock, interval = asyncio.get_running_loop().time, FIRST_INTERVAL
        until = clock() + TRANSFER_TIME.total_seconds()
        while True:
            state = await self._state_or_reason(server)
            if isinstance(state, str):
                objection = f"{server} {state}"
            elif not state.is_at_least(serial):
                objection = f"{server} has the serial {state.serial}, before {serial}"
            elif not state.leads_to(self._load_balancer, cluster):
                objection = f"{server} says that {zone_findings.shown(state.names)}"
            else:
                return None
            if clock() >= until:
                return objection
            await asyncio.sleep(interval)
            interval = min(interval * 1.5, MAX_INTERVAL)

    async def _state_or_reason(self, server: DnsServer) -> ZoneState | str:
        try:
            return await read_zone(server, self._load_balancer)
        except SwitchoverError as failure:
            return str(failure).removeprefix(f"{server} ")

    async def _missing_rights(self, state: ZoneState) -> tuple[Finding, ...]:
        if any(not now.rrsets for now in state.names.values()):
            return ()  # it is a finding already, and nothing could be required of such a name
        try:
            key = await self._key()
            rcode = await send(self._primary, without_effect(self._load_balancer, state, key))
        except (AccessRefused, BadInput) as refusal:
            return (zone_findings.refused(self._load_balancer, str(refusal)),)
        if rcode == dns.rcode.NOERROR:
            return ()
        if rcode in CHANGED_MEANWHILE and (names := await self._answered_by_wildcards()):
            return (zone_findings.wildcard(self._load_balancer, names),)
        if rcode in CHANGED_MEANWHILE:
            raise OutcomeUnknown(
                f"{self._primary} says that the zone is not as it has just answered; "
                "read again; if it stays so, it answers from another zone (a view, or inline "
                "signing) than the one that takes updates"
            )
        answer = f"{self._primary} answers {dns.rcode.to_text(rcode)}"
        return (zone_findings.refused(self._load_balancer, answer),)

    async def _answered_by_wildcards(self) -> list[str]:
        """Return the names beside which any other name has addresses, too."""
        types = dict.fromkeys(self._load_balancer.names, FAMILIES)
        found = []
        for name, rdtypes in {**types, self._load_balancer.record_name: RECORD}.items():
            beside = dns.name.from_text(name).parent()
            invented = dns.name.from_text(f"switchover-{secrets.token_hex(8)}", beside)
            if await has_any(self._primary, invented, rdtypes):
                found.append(name)
        return found

    def _destinations(self, state: ZoneState) -> Iterator[Destination]:
        for name, now in state.names.items():
            cluster = self._load_balancer.cluster_with(name, now.addresses)
            yield Destination(item=name, seen=str(now) if now.rrsets else None, cluster=cluster)

    async def _key(self) -> dns.tsig.Key:
        tsig = self._load_balancer.tsig
        return signing_key(tsig, await self._secrets.password(tsig.secret))
