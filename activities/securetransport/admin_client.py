"""Send requests to a node's admin REST API, and translate their errors."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from activities.securetransport import admin_requests as requests
from activities.securetransport import admin_responses as answers
from activities.securetransport import json_text
from activities.securetransport.admin_requests import BASE, SESSIONS, Call, Query
from activities.securetransport.admin_responses import OperationResult, Page, Session
from activities.securetransport.service_state import ObservedState
from activities.time_limits import LIMITS, Stopwatch
from activities.transport.answer import MAX_ANSWER, MAX_LIST
from activities.transport.http import PLAIN, HttpAnswer, bracketed, receive, translated, transport
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from activities.transport.tls import trust
from workflows.errors import (
    AccessRefused,
    CommandFailed,
    OutcomeUnknown,
    SwitchoverError,
    Unreachable,
)
from workflows.model.estate import Node, Protocol
from workflows.model.results import Service
from workflows.model.text import printable

DROPOUT_RETRY_DELAYS = (0.2, 0.4, 0.8, 1.6)
"""The admin API drops out briefly while services start or stop (section 4): reads are repeated."""
NOT_FOUND = 404
MAX_HELD = 64 << 20
"""Bytes of memory that all answers of one node may take together, until they are taken apart."""
VALUE_BYTES = 128
"""Of memory that a value of JSON takes, about."""

Hold = Callable[[int], None]
"""Is told how many more bytes of an answer are in memory; OutcomeUnknown if they are too many."""


@dataclass(frozen=True)
class Reply:
    """A body, and the node's own time when it was sent."""

    body: Any
    at: datetime
    size: "Size"


@dataclass(frozen=True)
class Size:
    """How much one or more answers are."""

    bytes: int = 0
    values: int = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.bytes + other.bytes, self.values + other.values)

    @property
    def memory(self) -> int:
        """Bytes of memory that it takes, about."""
        return self.bytes + VALUE_BYTES * self.values

    @property
    def excessive(self) -> bool:
        """Whether it is more than a list may be."""
        return self.bytes > MAX_LIST or self.values > json_text.MAX_VALUES


@dataclass
class _Held:
    """What of one node's answers is in memory."""

    bytes: int = 0
    parsing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One answer after the other: several long ones at once would stop the loop."""


class AdminClient:
    """The admin REST APIs of all nodes.

    Every request has its own connection: none is sent on a connection that broke unnoticed, so a
    refused connection always means that nothing was sent.
    """

    def __init__(self, shell: Shell, secrets: Secrets) -> None:
        self._shell = shell
        self._secrets = secrets
        self._options: dict[tuple[str, str], asyncio.Future[tuple[dict[str, Any], ...]]] = {}
        """For each access: the reading of a node's options that is in progress."""
        self._held: defaultdict[tuple[str, int], _Held] = defaultdict(_Held)
        """For each address and port."""

    async def get(self, node: Node, path: str, query: Query | None = None) -> Reply:
        """Read one resource; Unreachable after some seconds without an answer."""
        return await self.read(node, Call("GET", path, query or {}))

    async def read(self, node: Node, call: Call) -> Reply:
        """Send one reading request; Unreachable after some seconds without an answer."""
        with self._holding(node) as hold:
            answer = await self._read(node, call, hold)
            _require_success(node, call, answer, Unreachable)
            return await self._reply(node, answer, hold)

    async def find(self, node: Node, path: str, query: Query | None = None) -> Reply | None:
        """Read one resource; None if this version of the API does not have it."""
        with self._holding(node) as hold:
            answer = await self._read(node, Call("GET", path, query or {}), hold)
            return None if answer.status == NOT_FOUND else await self._reply(node, answer, hold)

    async def operate(self, node: Node, call: Call, limit: float) -> None:
        """Send an operation once, with *limit* seconds for its answer.

        Raises:
            Unreachable: nothing was sent.
            OutcomeUnknown: it was sent, and no answer was received.
            CommandFailed: the API refused it, perhaps with HTTP status 200.
        """
        with self._holding(node) as hold:
            answer = await self._send(node, call, limit, hold)
        _require_success(node, call, answer, OutcomeUnknown)
        for result in await _results(node, answer):
            if not result.succeeded:
                raise CommandFailed(f"{node.name}: the admin API refused: {result.message}")

    async def cluster_service(self, node: Node, service: Service) -> ObservedState:
        """Read the state of a node's Scheduler or Folder Monitor."""
        reply = await self.read(node, requests.state(service))
        return answers.service_status(reply.body, node.name)

    async def sessions(self, node: Node) -> tuple[tuple[Session, ...], datetime]:
        """Read the client sessions that the node lists now, and its clock."""
        with self._holding(node) as hold:
            reply = await self.read(node, SESSIONS)
            hold(reply.size.memory)
            # A list of thousands is read beside everything else that the worker does.
            return await asyncio.to_thread(answers.sessions, reply.body, node.name), reply.at

    async def inactive_servers(self, node: Node, protocol: Protocol) -> tuple[str, ...]:
        """Read the names of a protocol's servers that are not active now."""
        listed = await self.items(node, "servers", {"protocol": protocol.value})
        return await asyncio.to_thread(answers.inactive_servers, listed, protocol, node.name)

    async def listing(self, node: Node, path: str, max_items: int) -> Page | None:
        """Read a list with all of its items, or its first page if there are more than *max_items*.

        None if this version of the API has no such list.
        """
        reply = await self.find(node, path, requests.page(path).query)
        if reply is None:
            return None
        page = answers.read(Page, reply.body, node.name)
        if len(page.result) < page.total <= max_items:
            return page.model_copy(update={"result": await self.items(node, path)})
        return page

    async def total(self, node: Node, path: str, query: Query | None = None) -> int:
        """Read how many items a list has."""
        return (await self._page(node, requests.counting(path, query))).total

    async def first(self, node: Node, path: str, limit: int) -> Page:
        """Read the first items of a list with all of their fields, and the number of items.

        An API that ignores the limit answers with more.
        """
        page = await self._page(node, requests.first(path, limit))
        return page.model_copy(update={"result": page.result[:limit]})

    async def items(
        self, node: Node, path: str, query: Query | None = None, readings_per_item: int = 2
    ) -> tuple[dict[str, Any], ...]:
        """Read all pages of a list, most items twice, within the time that a reading may take.

        Pages overlap by half: an item that ends meanwhile moves the rest to an earlier page.
        """
        limit = LIMITS.get().reading
        with self._holding(node) as hold:
            reading = self._items(node, path, query, readings_per_item, hold)
            try:
                return await Stopwatch().time(reading, limit)
            except TimeoutError as slow:
                raise OutcomeUnknown(
                    f"{node.name}: the admin API did not show all {path} within {limit:.0f} s; "
                    "see how many there are, and how fast it answers"
                ) from slow

    async def _items(
        self, node: Node, path: str, query: Query | None, readings_per_item: int, hold: Hold
    ) -> tuple[dict[str, Any], ...]:
        found: list[dict[str, Any]] = []
        offset, size = 0, Size()
        while True:
            reply = await self.read(node, requests.page(path, query, offset))
            page = answers.read(Page, reply.body, node.name)
            size += reply.size
            if size.excessive:
                raise OutcomeUnknown(
                    f"{node.name}: the admin API shows more {path} than can be read, {page.total} "
                    f"as it says; {offset} were read"
                )
            hold(reply.size.memory)
            found.extend(page.result)
            if offset + len(page.result) >= page.total:
                return tuple(found)
            if not page.result:
                raise OutcomeUnknown(
                    f"{node.name}: the admin API shows {offset} of {page.total} {path}"
                )
            offset += max(1, len(page.result) // readings_per_item)

    async def options(self, node: Node) -> tuple[dict[str, Any], ...]:
        """Read all system options; calls during one reading share its answer."""
        key = (node.address, node.admin.model_dump_json())
        reading = self._options.get(key)
        if reading is None or reading.done():
            # Without overlap: options are not added or removed meanwhile.
            all_options = self.items(node, "configurations/options", readings_per_item=1)
            reading = self._options[key] = asyncio.ensure_future(all_options)
        return await asyncio.shield(reading)

    async def _page(self, node: Node, call: Call) -> Page:
        return answers.read(Page, (await self.read(node, call)).body, node.name)

    async def _read(self, node: Node, call: Call, hold: Hold) -> HttpAnswer:
        """Read in spite of dropouts; a missing resource is an answer, too."""
        clock = asyncio.get_running_loop().time
        until = clock() + LIMITS.get().reach
        for seconds in DROPOUT_RETRY_DELAYS:
            try:
                return await self._read_once(node, call, hold)
            except Unreachable:
                if clock() >= until:  # it was no dropout
                    raise
                await asyncio.sleep(seconds)
        return await self._read_once(node, call, hold)

    async def _read_once(self, node: Node, call: Call, hold: Hold) -> HttpAnswer:
        limit = LIMITS.get().contact
        try:
            answer = await Stopwatch().time(self._send(node, call, None, hold), limit)
        except TimeoutError as silence:
            raise Unreachable(
                f"{node.name}: HTTPS does not answer (nothing whole within {limit:.0f} s)"
            ) from silence
        if answer.status != NOT_FOUND:
            _require_success(node, call, answer, Unreachable)
        return answer

    @contextmanager
    def _holding(self, node: Node) -> Iterator[Hold]:
        """Count what answers of a node take of the memory until the block ends."""
        held, own = self._held_of(node), 0

        def hold(size: int) -> None:
            nonlocal own
            own += size
            held.bytes += size
            if held.bytes > MAX_HELD:
                raise OutcomeUnknown(
                    f"{node.name}: the admin API answers with more than {MAX_HELD >> 20} MiB at "
                    "once, in several lists; find out what answers there"
                )

        try:
            yield hold
        finally:
            held.bytes -= own

    def _held_of(self, node: Node) -> _Held:
        return self._held[node.address, node.admin.port]

    async def _reply(self, node: Node, answer: HttpAnswer, hold: Hold) -> Reply:
        async with self._held_of(node).parsing:
            size = Size(len(answer.body), json_text.count(answer.body))
            if size.values <= json_text.MAX_VALUES:  # others are not parsed
                hold(size.memory - size.bytes)
            body = await _json(node, answer)
        return Reply(body, answers.moment(answer.date) or datetime.now(UTC), size)

    async def _send(self, node: Node, call: Call, limit: float | None, hold: Hold) -> HttpAnswer:
        access = node.admin
        trusted = await trust(node.name, access.ca, access.fingerprint)
        tunnel = await self._shell.tunnel(node, access.port) if access.via == "ssh" else None
        origin = f"https://{bracketed(node.address)}:{access.port}"
        async with httpx.AsyncClient(
            auth=(access.user, await self._secrets.password(access.password)),
            headers={"Referer": f"{origin}/", "Accept": "application/json", **PLAIN},
            transport=transport(trusted.context, tunnel),
            trust_env=False,
        ) as client:
            with translated(node.name, OutcomeUnknown if call.changes else Unreachable):
                # The client's limits hold for each part of a request, this one for all of it.
                async with (
                    asyncio.timeout(limit),
                    client.stream(
                        call.method,
                        f"{origin}{call.target}",
                        timeout=limit,
                        extensions=dict(trusted.extensions),
                    ) as response,
                ):
                    most = MAX_ANSWER if call.changes else MAX_LIST
                    return await receive(response, node.name, most, hold)


def _require_success(
    node: Node, call: Call, answer: HttpAnswer, lost: type[SwitchoverError]
) -> None:
    status = answer.status
    if status in (401, 403):
        raise AccessRefused(
            f"{node.name}: the admin API refused {node.admin.user} ({status}); "
            "check the account and its password"
        )
    if status >= 500:  # noqa: PLR2004 - the server may have done it before it failed
        raise lost(f"{node.name}: the admin API answered {status}")
    if status >= 300:  # noqa: PLR2004 - anything but success
        raise CommandFailed(
            f"{node.name}: the admin API answered {status} to {call.method} "
            f"{BASE}/{call.path}: {answer.text}"
        )


async def _json(node: Node, answer: HttpAnswer) -> object:
    try:
        return await json_text.parse(answer.body)
    except ValueError as strange:
        raise OutcomeUnknown(
            f"{node.name}: the admin API's answer cannot be read as JSON: "
            f"{printable(str(strange)[:200])}; it begins with: {answer.text[:100]}"
        ) from strange


async def _results(node: Node, answer: HttpAnswer) -> tuple[OperationResult, ...]:
    """Read the one result, or the list of them; an operation may also answer nothing."""
    if not answer.body.strip():
        return ()
    body = await _json(node, answer)
    return answers.operation_results(body, node.name)
