"""Save the state of a campaign beside its result, so that an interrupted campaign resumes."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from lab.atomic import replace_file

S = TypeVar("S")


@dataclass(frozen=True)
class StateFile(Generic[S]):
    """The saved state of one campaign."""

    result: Path | None
    """Where the campaign writes its result; without one nothing is saved."""
    request: object
    """What the command line asked for: the state of another request is ignored, and without a
    request nothing is saved."""

    def load(self, fresh: S) -> S:
        """Return the saved state, or *fresh* if there is none for this request."""
        file = self._file
        if file is None or not file.exists():
            return fresh
        request, state = pickle.loads(file.read_bytes())  # noqa: S301 - we wrote it beside the result
        return state if request == self.request and isinstance(state, type(fresh)) else fresh

    def save(self, state: S) -> None:
        """Save the state."""
        if file := self._file:
            replace_file(file, pickle.dumps((self.request, state)))

    def discard(self) -> None:
        """Remove the state of a campaign that is complete."""
        if file := self._file:
            file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path | None:
        if self.result is None or self.request is None:
            return None
        return self.result.with_suffix(".state")
