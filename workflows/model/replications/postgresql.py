"""PostgreSQL's logical replication between the two databases."""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints

from workflows.model.excluded_tables import left_out
from workflows.model.replications.base import Replication, ReplicationLink

SQL_NAME = r"^[A-Za-z_][A-Za-z0-9_$.-]{0,62}$"
TABLE_PATTERN = r"^[A-Za-z0-9_$.*?\[\]!-]{1,200}$"

SqlName = Annotated[str, StringConstraints(pattern=SQL_NAME)]
TablePattern = Annotated[str, StringConstraints(pattern=TABLE_PATTERN)]


class SubscriptionLink(ReplicationLink):
    """One direction: a publication and its subscription."""

    publication: SqlName
    subscription: SqlName


class PostgresReplication(Replication):
    """Logical replication, in both directions."""

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
