"""What every action has: its place, its key, its activity id, its sentence."""

from enum import StrEnum
from typing import ClassVar

from workflows.model.base import Value
from workflows.model.estate import Name, Protocol


class Intent(StrEnum):
    """What an activity is for; ``workflows.activity_options`` gives each its timeouts."""

    READ = "read"
    COMPARE_STORAGE = "compare_storage"
    COMPARE_DATABASES = "compare_databases"
    COPY_DATABASES = "copy_databases"
    """An effect over SQL that takes as long as the tables are large, in one transaction."""
    VERIFY = "verify"
    WAIT = "wait"
    """For clients and partners; a drain timeout applies."""
    CALL = "call"
    """An effect over REST."""
    STATEMENT = "statement"
    """An effect over SQL."""
    COMMAND = "command"
    """A command through a ledger that ends soon."""
    GRACEFUL_STOP = "graceful_stop"
    """A command that lets work in progress finish."""
    START = "start"


class BaseAction(Value):
    """One thing done to one place."""

    intent: ClassVar[Intent]
    sentence: ClassVar[str]
    """What it does, with its fields in braces; also good with "2 nodes" instead of a node."""

    @property
    def place(self) -> str:
        """The node, link, load balancer host or cluster that the action concerns."""
        raise AssertionError(self)  # every action names its place

    @property
    def subject(self) -> str:
        """What of that place is concerned, where there may be several."""
        return ""

    @property
    def key(self) -> str:
        """The action's name within its stage; part of its operation id, so it never changes."""
        kind: str = self.kind  # type: ignore[attr-defined] # every action has one
        return ".".join(part for part in (kind, self.place, self.subject) if part)

    def activity_id(self, round_: int) -> str:
        """Return the id under which the action's heartbeats are found while it runs."""
        return f"{self.key}.{round_}"

    def __str__(self) -> str:
        return self.sentence.format_map(dict(self))


class ReadOnly(BaseAction):
    """An action that changes nothing, so there is nothing to undo."""

    intent = Intent.READ
    verifies: ClassVar[type[BaseAction] | None] = None
    """The effect, of the same stage, that a retry makes again where this finds it missing."""

    @property
    def undo(self) -> None:
        return None


class OnNode(BaseAction):
    """An action on a node."""

    node: Name

    @property
    def place(self) -> str:
        return self.node


class OnLink(BaseAction):
    """An action on a replication link."""

    link: Name

    @property
    def place(self) -> str:
        return self.link


class OnHost(BaseAction):
    """An action on a load balancer host."""

    host: Name

    @property
    def place(self) -> str:
        return self.host


class OverProtocol(BaseAction):
    """An action that concerns one protocol of its place."""

    protocol: Protocol

    @property
    def subject(self) -> str:
        return self.protocol
