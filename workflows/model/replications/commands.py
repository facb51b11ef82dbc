"""A site's own command says how replication is, suspends it and resumes it (docs/drivers.md)."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, model_validator

from workflows.model.base import between
from workflows.model.machines import Command, Machine, Name
from workflows.model.replications.base import Replication, ReplicationLink

SECOND = timedelta(seconds=1)
MAX_READING, MAX_CHANGE = timedelta(seconds=60), timedelta(minutes=10)
READINGS_BEFORE_CHANGE = 4
"""The ledger, ``observe``, ``position`` and ``missing``: so many answers come before a change."""


def _whole(span: timedelta) -> timedelta:
    if span % SECOND:
        raise ValueError("write whole seconds: a shell counts no others")
    return span


class CommandLink(ReplicationLink):
    """One direction, and the site's command for it."""

    host: Name
    """On which of the machines the command runs."""
    command: Command
    """Followed by what it shall do: ``observe``, ``suspend``, ``resume`` and more."""
    lag_limit: NonNegativeFloat = 60
    """How far the subscriber may be behind when a switchover begins, in the command's own unit."""
    change_timeout: Annotated[timedelta, between(SECOND, MAX_CHANGE), AfterValidator(_whole)] = (
        timedelta(minutes=2)
    )
    """How long ``suspend`` and ``resume`` may take; then the command is ended."""


class CommandsReplication(Replication):
    """Replication of any make, which a site's own commands control."""

    driver: Literal["commands"] = "commands"
    hosts: tuple[Machine, ...] = Field(min_length=1)
    """The machines on which the commands run; each keeps a ledger."""
    links: tuple[CommandLink, ...] = Field(min_length=1)
    reading_timeout: Annotated[timedelta, between(SECOND, MAX_READING), AfterValidator(_whole)] = (
        timedelta(seconds=10)
    )
    """How long ``observe``, ``position`` and ``missing`` may take, each."""

    @property
    def attempt_limit(self) -> timedelta:
        """A third of an attempt has time for every answer that comes before a change."""
        return 3 * max(READINGS_BEFORE_CHANGE * self.reading_timeout, super().attempt_limit / 3)

    def host(self, name: str) -> Machine:
        """Return the machine of that name; KeyError where there is none."""
        return {host.name: host for host in self.hosts}[name]

    @model_validator(mode="after")
    def _has_every_host(self) -> Self:
        names = [host.name for host in self.hosts]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"hosts: {', '.join(twice)} is given twice")
        for link in self.links:
            if link.host not in names:
                raise ValueError(f"links: the host {link.host} of {link.name} is not in hosts")
        return self
