"""The observed state of a service, with the text it was read from."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.errors import OutcomeUnknown
from workflows.model.results import DOWN, State


@dataclass(frozen=True)
class ObservedState:
    """A state, and the text that the node printed."""

    state: State
    text: str = ""

    @property
    def down(self) -> bool:
        """Whether it is known not to run."""
        return self.state in DOWN

    @property
    def running(self) -> bool:
        """Whether it is known to run, with or without a pending stop."""
        return self.state in (State.RUNNING, State.STOPPING)

    def require_known(self, subject: str) -> ObservedState:
        """Return this state; OutcomeUnknown if the text could not be understood."""
        if self.state is State.UNKNOWN:
            raise OutcomeUnknown(
                f"{subject}: its status cannot be read: {self.text or 'no answer'!r}"
            )
        return self
