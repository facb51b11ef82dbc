"""What every order is: one thing asked of one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflows.model.base import Value
from workflows.model.estate import Name

if TYPE_CHECKING:
    from workflows.model.actions.change import Action


class Base(Value):
    """One thing asked of one place."""

    @property
    def place(self) -> str:
        """The node, link, load balancer host or cluster that is asked."""
        raise AssertionError(self)  # every order below names its place

    @property
    def subject(self) -> str:
        """What of that place is concerned, where there may be several."""
        return ""

    @property
    def key(self) -> str:
        """The order's name within its stage; part of its operation id, so it never changes."""
        kind: str = self.kind  # type: ignore[attr-defined] # every order below has one
        return ".".join(part for part in (kind, self.place, self.subject) if part)

    @property
    def undo(self) -> Action | None:
        """The order that takes this one back; None where nothing was changed."""
        return None


class OnNode(Base):
    """Something asked of a node."""

    node: Name

    @property
    def place(self) -> str:
        return self.node


class OnLink(Base):
    """Something asked of a replication link."""

    link: Name

    @property
    def place(self) -> str:
        return self.link
