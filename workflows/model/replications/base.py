"""What the core knows of database replication, whichever driver controls it."""

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from workflows.model.base import Value
from workflows.model.machines import Name


class ReplicationLink(Value):
    """One direction of database replication."""

    name: Name
    source: Name
    """The cluster whose database publishes."""
    target: Name
    """The cluster whose database subscribes."""


class Replication(Value):
    """The part of a description of replication that every driver has.

    A driver adds a subclass with the keys of its own and registers it (see ``registry``).
    """

    has_slots: ClassVar[bool] = False
    """Whether slots keep what links have yet to deliver: they may be missing, full or lost."""

    driver: str
    profile: Literal["5.4", "5.5"] = "5.5"
    """Which set of tables must not be replicated (section 2)."""
    links: tuple[ReplicationLink, ...] = Field(min_length=1)

    @property
    def attempt_limit(self) -> timedelta:
        """How long one attempt to suspend or resume may take.

        Its first third is for reading and for the wait until everything was delivered, its second
        one for the change. It is short, since a dead worker is not noticed before.
        """
        return timedelta(seconds=15)

    def link(self, name: str) -> ReplicationLink:
        """Return the link of that name; KeyError where there is none."""
        return {link.name: link for link in self.links}[name]
