"""Access of a Server's services to the database of their cluster."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, LiteralString

import psycopg

Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]


class Database:
    """One connection, opened when first needed and again after it broke."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    async def run(self, statement: LiteralString, *values: object) -> list[Row]:
        """Run one statement in a transaction of its own; raises psycopg.OperationalError."""
        async with self._lock:
            connection = await self._connected()
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Keep the connection for several statements that hold together."""
        async with self._lock:
            connection = await self._connected()
            async with connection.transaction():
                yield connection

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.broken or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn, autocommit=True, connect_timeout=5
            )
        return self._connection

    async def close(self) -> None:
        """Give the connection back."""
        with suppress(psycopg.OperationalError):
            if self._connection:
                await self._connection.close()
