"""Every replication driver of the product: the one place where drivers are registered."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from activities.replication.commands_driver import CommandsDriver
from activities.replication.driver import ReplicationDriver
from activities.replication.postgresql.driver import PostgreSql
from activities.transport.secrets import Secrets
from activities.transport.ssh import Shell
from workflows.model.replications.base import Replication
from workflows.model.replications.commands import CommandsReplication
from workflows.model.replications.postgresql import PostgresReplication
from workflows.ports.replication import ReplicationInput

Maker = Callable[[Secrets, Shell, ReplicationInput[Any]], ReplicationDriver]
Drivers = Mapping[type[Replication], Maker]
"""By the estate type that each driver serves."""

DRIVERS: Drivers = MappingProxyType(
    {
        PostgresReplication: lambda _, shell, given: PostgreSql.of(shell.logins, given),
        CommandsReplication: lambda _, shell, given: CommandsDriver.of(shell, given),
    }
)
