"""Every replication driver, by the name that the estate file gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from activities.replication.driver import Direction, ReplicationDriver
from activities.replication.postgresql.driver import PostgreSql
from activities.transport.secrets import Secrets

DRIVERS: Mapping[str, Callable[[Secrets, Direction], ReplicationDriver]] = MappingProxyType(
    {"postgresql": PostgreSql.of}
)
