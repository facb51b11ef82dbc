"""Bring over what a lost slot no longer delivers: copy the tables, or begin the slot anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final, LiteralString

from psycopg import sql
from pydantic import TypeAdapter

from activities.replication.postgresql.connection import (
    ANSWER_TIMEOUT,
    MARGIN,
    Name,
    Session,
    connected,
    parsed,
)
from activities.replication.postgresql.contents import Table, carried_tables, settle
from activities.replication.postgresql.copy_rows import copy_rows
from activities.replication.postgresql.definition import rests
from activities.replication.postgresql.link import PostgresLink, SubscriptionState
from activities.replication.postgresql.own_rows import OwnRows
from activities.replication.postgresql.pending import Pending
from activities.replication.postgresql.row_changes import Row
from activities.replication.postgresql.slots import (
    DROP_IDLE,
    DROP_LOST,
    MAX_SHOWN_ROWS,
    create_slot,
    named,
    owed,
    require_ours,
    slot_names,
)
from activities.replication.postgresql.tables import read_subscribed
from workflows.errors import NotReady, NotYet, OutcomeUnknown, SwitchoverError
from workflows.model.text import listed

STATEMENT_LIMIT = 3600.0
"""Seconds for one statement that removes or compares the rows of a table."""
IDLE_LIMIT = 900.0
"""Seconds after which a server ends our transaction if it is not told anything: the other side may
sort a large table meanwhile, and a worker that was lost must not hold the tables for ever."""
LOCK_TIMEOUT = 5.0
"""Seconds to wait until nobody writes to the tables of the passive side."""

_SET: LiteralString = "SELECT set_config(%s, %s, false)"
_PATIENCE: Final = {
    "lock_timeout": f"{LOCK_TIMEOUT:.0f}s",
    "idle_in_transaction_session_timeout": f"{IDLE_LIMIT:.0f}s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_EXPORTING: LiteralString = "CREATE_REPLICATION_SLOT {} LOGICAL pgoutput EXPORT_SNAPSHOT"
_EXPORTING_FOR_FAILOVER: LiteralString = (
    "CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER true)"
)
# Neither triggers nor foreign keys act, as with what arrives by replication.
_AS_REPLICATED: LiteralString = "SET LOCAL session_replication_role = replica"
# And as with that, a link that leads back does not send it.
_WITH_ORIGIN: LiteralString = """
SELECT pg_replication_origin_session_setup('pg_' || oid) FROM pg_subscription
WHERE subname = %s AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_ORIGIN_AT: LiteralString = "SELECT pg_replication_origin_xact_setup(%s::pg_lsn, clock_timestamp())"
_CREATED = TypeAdapter(list[tuple[Name, Name, Name, Name]])


@dataclass(frozen=True)
class _NewSlot:
    """A slot, where it begins, and the snapshot of everything before that."""

    position: str
    snapshot: str


@dataclass(frozen=True)
class Repair:
    """Repairs one link between the active side and the passive one."""

    here: PostgresLink
    opposites: Sequence[PostgresLink]
    """The links that lead the other way."""
    profile: str
    within: float
    """Seconds for one reading of what a slot has yet to deliver."""

    async def copy_tables(self) -> bool:
        """Make the subscriber equal to the publisher; return whether that was necessary.

        The new slot has another name than the old one until the transaction is committed that
        holds the rows: a slot that the subscription names was never without them.

        Raises:
            NotReady: the subscriber wrote rows itself that would be lost.
            NotYet: somebody writes to the tables of the subscriber, or an attempt that was lost.
            OutcomeUnknown: the answer to the commit was lost.
        """
        state = await self.here.subscription()
        if await self._is_whole(state):
            await self._drop_idle(self._spare(state))  # left by an attempt that ended early
            return False
        tables = await carried_tables(self.here, self.profile)
        await self._require_subscribed(tables)
        try:
            async with self._locked(self.here, tables) as passive:
                state = await self.here.subscription()
                if await self._is_whole(state):
                    return False  # by an attempt that ended while we waited
                await self._require_nothing_owed(tables, passive)
                await self._copy(tables, passive, state)
        except SwitchoverError:
            with suppress(SwitchoverError):  # then the next attempt finds it
                await self._clear(tables)
            raise
        return True

    async def renew_slot(self) -> bool:
        """Begin a lost slot anew; return whether anything was changed.

        Raises:
            NotReady: the publisher has rows that the subscriber lacks.
            NotYet: somebody writes to the tables of the publisher.
        """
        state = await self.here.subscription()
        resting = await rests(self.here, state)
        if await self._is_whole(state) or (resting and not state.slot):
            return False
        if not self.opposites:
            raise NotReady(
                f"{self.here.name}: its slot was lost, and the estate has no link that leads the "
                "other way, so the sides cannot be compared; make it anew by hand, then decide "
                "`retry`"
            )
        async with AsyncExitStack() as stack:
            for ahead in self.opposites:
                tables = await carried_tables(ahead, self.profile)
                passive = await stack.enter_async_context(self._locked(ahead, tables))
                if own := await self._compared(ahead, tables, passive):
                    raise _only_there(ahead, own)
            await self._begin_anew(state, resting=resting)
        return True

    @property
    def _names(self) -> tuple[str, str]:
        return slot_names(self.here.link.subscription)

    def _spare(self, state: SubscriptionState) -> str:
        """Return the name of a slot that only a copy of tables makes, until it is committed."""
        base, spare = self._names
        return base if state.slot == spare else spare

    async def _is_whole(self, state: SubscriptionState) -> bool:
        """Whether nothing is to repair; NotReady where the link must not be touched."""
        slot = await self.here.find_slot(state.slot) if state.slot else None
        if slot is not None and not slot.lost:
            return True
        if state.enabled:
            raise NotReady(
                f"{self.here.name}: it is enabled, and its slot was lost; disable subscription "
                f"{self.here.link.subscription} on {self.here.subscriber.name}, then decide `retry`"
            )
        return False

    async def _require_subscribed(self, tables: Sequence[Table]) -> None:
        subscribed = await read_subscribed(self.here)
        if missing := [one.full_name for one in tables if one.full_name not in subscribed]:
            name, place = self.here.link.subscription, self.here.subscriber.name
            raise NotReady(
                f"{self.here.name}: subscription {name} on {place} does not receive "
                f"{listed(missing, MAX_SHOWN_ROWS)}; run ALTER SUBSCRIPTION {name} REFRESH "
                "PUBLICATION WITH (copy_data = false) there, then decide `retry`"
            )

    @asynccontextmanager
    async def _locked(self, link: PostgresLink, tables: Sequence[Table]) -> AsyncIterator[Session]:
        """Begin a transaction at the passive side beside which nobody writes to the tables."""
        async with connected(link.logins, link.subscriber) as session:
            await settle(session, STATEMENT_LIMIT)
            for setting, value in _PATIENCE.items():
                await session.ask(_SET, setting, value)
            await session.ask("BEGIN")
            if tables:
                names = sql.SQL(", ").join(table.source for table in tables)
                lock = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names)
                await session.ask(lock, within=LOCK_TIMEOUT * len(tables) + MARGIN)
            yield session

    async def _require_nothing_owed(self, tables: Sequence[Table], passive: Session) -> None:
        """Refuse where the passive side wrote rows that the active one has not received."""
        for back in self.opposites:
            state = await back.subscription()
            if not await back.keeps_changes(state):
                continue
            kept = await Pending(back, state.slot, self.within).own_rows(MAX_SHOWN_ROWS + 1)
            if kept.own:
                raise owed(back, state.slot, kept.own)
            return
        if own := await self._compared(self.here, tables, passive):
            raise _only_there(self.here, own)

    async def _compared(
        self, ahead: PostgresLink, tables: Sequence[Table], passive: Session
    ) -> tuple[Row, ...]:
        """Return rows that only the passive side has."""
        state = await ahead.subscription()
        slot = state.slot if await ahead.keeps_changes(state) else None
        async with connected(ahead.logins, ahead.publisher) as active:
            await settle(active, STATEMENT_LIMIT)
            await active.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await OwnRows(ahead, slot, tables, STATEMENT_LIMIT).find(active, passive)

    async def _copy(
        self, tables: Sequence[Table], passive: Session, state: SubscriptionState
    ) -> None:
        name = self._spare(state)
        await self._drop_idle(name)
        if state.slot:
            await self.here.alter_slot(DROP_LOST, state.slot)
        await self._copy_from_snapshot(tables, passive, name)
        await passive.ask("COMMIT", within=STATEMENT_LIMIT, lost=OutcomeUnknown)

    async def _clear(self, tables: Sequence[Table]) -> None:
        """Drop the slot of a copy that was not committed, and of no attempt that goes on."""
        async with self._locked(self.here, tables):
            await self._drop_idle(self._spare(await self.here.subscription()))

    async def _copy_from_snapshot(
        self, tables: Sequence[Table], passive: Session, name: str
    ) -> None:
        here = self.here
        async with AsyncExitStack() as stack:
            new = await self._export(stack, name)
            active = await stack.enter_async_context(connected(here.logins, here.publisher))
            await settle(active, STATEMENT_LIMIT)
            await active.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            await active.ask(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(new.snapshot))
            await passive.ask(_AS_REPLICATED)
            await passive.ask(_WITH_ORIGIN, here.link.subscription)
            await passive.ask(_ORIGIN_AT, new.position)
            for table in tables:
                removing = sql.SQL("DELETE FROM {}").format(table.source)
                await passive.ask(removing, within=STATEMENT_LIMIT)
                await copy_rows(active, passive, table, STATEMENT_LIMIT)
            await passive.ask(here.pointing_at(name))

    async def _export(self, stack: AsyncExitStack, name: str) -> _NewSlot:
        """Make a slot, with a snapshot that lives as long as the stack."""
        kept = await self.here.wants_failover()
        connecting = connected(self.here.logins, self.here.publisher, "database")
        session = await stack.enter_async_context(connecting)
        exporting = sql.SQL(_EXPORTING_FOR_FAILOVER if kept else _EXPORTING)
        statement = exporting.format(sql.Identifier(name))
        # It waits for transactions of the publisher that have written something.
        answer = await session.ask(statement, within=self.within)
        created = parsed(session.place, _CREATED, answer)
        if len(created) != 1:
            raise OutcomeUnknown(
                f"{session.place}: its answer tells no snapshot; "
                "find out which server answers there"
            )
        _, position, snapshot, _ = created[0]
        return _NewSlot(position, snapshot)

    async def _begin_anew(self, state: SubscriptionState, *, resting: bool) -> None:
        here = self.here
        if state.slot:
            await here.alter_slot(DROP_LOST, state.slot)
        if resting:
            await here.alter(here.pointing_at(None), ANSWER_TIMEOUT)
            return
        name = state.slot or self._names[0]
        if not state.slot:
            await here.alter(here.pointing_at(name), ANSWER_TIMEOUT)
        await create_slot(here, name)

    async def _drop_idle(self, name: str) -> None:
        slot = await self.here.find_slot(name)
        if slot is None:
            return
        require_ours(self.here, name, slot)
        await self.here.alter_slot(DROP_IDLE, name)
        if await self.here.find_slot(name) is not None:
            raise NotYet(f"{self.here.name}: another connection uses slot {name}; try again")


def _only_there(ahead: PostgresLink, rows: tuple[Row, ...]) -> NotReady:
    passive, active = ahead.subscriber.name, ahead.publisher.name
    return NotReady(
        f"{ahead.name}: {passive} has rows that {active} has not, or has otherwise, and no slot "
        f"tells which side wrote them: {named(rows)}; they would be lost; make each of them the "
        "same on both sides, as it is to stay, then decide `retry`"
    )
