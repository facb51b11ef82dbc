"""Every replication driver of the product: the one place where drivers are registered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from activities.replication.driver import ReplicationDriver
from activities.replication.postgresql.driver import PostgreSql
from activities.transport.secrets import Secrets
from workflows.model.replications.base import Replication
from workflows.model.replications.postgresql import PostgresReplication
from workflows.ports.replication import ReplicationInput

Drivers = Mapping[type[Replication], Callable[[Secrets, ReplicationInput[Any]], ReplicationDriver]]
"""By the estate type that each driver serves."""

DRIVERS: Drivers = MappingProxyType({PostgresReplication: PostgreSql.of})
