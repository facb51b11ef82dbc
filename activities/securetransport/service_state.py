"""What was a service seen to be, and what does that entitle us to say?"""

from __future__ import annotations

from dataclasses import dataclass

from workflows.errors import OutcomeUnknown
from workflows.model.results import DOWN, State


@dataclass(frozen=True)
class ObservedState:
    """A state, and the place's own words for it."""

    state: State
    text: str = ""

    @property
    def down(self) -> bool:
        """Whether it is known not to run."""
        return self.state in DOWN

    @property
    def running(self) -> bool:
        """Whether it is known to run, a pending stop or not."""
        return self.state in (State.RUNNING, State.STOPPING)

    def require_known(self, subject: str) -> ObservedState:
        """Return this sighting; OutcomeUnknown where nobody understands the place's words."""
        if self.state is State.UNKNOWN:
            raise OutcomeUnknown(
                f"{subject}: its status cannot be read: {self.text or 'no answer'!r}"
            )
        return self
