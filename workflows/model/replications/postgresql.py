"""PostgreSQL's logical replication between the two databases."""

from typing import Literal

from pydantic import Field, PositiveInt

from workflows.model.replications.base import Replication, ReplicationLink


class SubscriptionLink(ReplicationLink):
    """One direction: a publication and its subscription."""

    publication: str
    subscription: str


class PostgresReplication(Replication):
    """Logical replication, in both directions."""

    driver: Literal["postgresql"] = "postgresql"
    links: tuple[SubscriptionLink, ...] = Field(min_length=1)
    lag_limit: PositiveInt = 64 * 1024**2
    """Bytes that a subscriber may be behind when a switchover begins."""
