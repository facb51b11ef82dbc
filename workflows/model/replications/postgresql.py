"""PostgreSQL's logical replication between the two databases."""

from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, StringConstraints

from workflows.model.base import OneLine
from workflows.model.excluded_tables import left_out
from workflows.model.replications.base import Replication, ReplicationLink

SqlName = Annotated[str, StringConstraints(min_length=1, max_length=63), OneLine]
"""What PostgreSQL takes as a name, whatever it holds: it is quoted wherever it is sent."""
TablePattern = Annotated[str, StringConstraints(min_length=1, max_length=200), OneLine]


class SubscriptionLink(ReplicationLink):
    """One direction: a publication and its subscription."""

    publication: SqlName
    subscription: SqlName


class PostgresReplication(Replication):
    """Logical replication, in both directions."""

    has_slots: ClassVar[bool] = True

    driver: Literal["postgresql"] = "postgresql"
    links: tuple[SubscriptionLink, ...] = Field(min_length=1)
    lag_limit: PositiveInt = 64 * 1024**2
    """Bytes that a subscriber may be behind when a switchover begins."""
    local_tables: tuple[TablePattern, ...] = ()
    """Tables, beside those of the profile, that need not replicate: patterns such as ``audit.*``.

    They are compared without regard to case, with a table's name and with its schema and name.
    """

    def stays_local(self, table: str) -> bool:
        """Whether a table, given with its schema, need not replicate."""
        full = table.lower()
        names = (full, full.partition(".")[2])
        patterns = [pattern.lower() for pattern in self.local_tables]
        matches = any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
        return matches or left_out(table, self.profile)
