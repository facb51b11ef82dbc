"""The estate's ``replication``: any type that has a registered driver."""

from typing import Annotated

from pydantic import SerializeAsAny, WrapValidator

from workflows.model.driver_types import DriverTypes
from workflows.model.replications.base import Replication
from workflows.model.replications.commands import CommandsReplication
from workflows.model.replications.postgresql import PostgresReplication

TYPES: DriverTypes[Replication] = DriverTypes(PostgresReplication)
TYPES.register(CommandsReplication)

AnyReplication = Annotated[SerializeAsAny[Replication], WrapValidator(TYPES.validate), TYPES]
