"""What is wanted of a campaign, and what is remembered of it, should it be interrupted?"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

from lab.campaigns.crash.negative_controls import Control
from lab.campaigns.crash.nemesis import AttackPlan
from lab.campaigns.crash.points import Kind
from lab.campaigns.crash.results import CrashResults
from lab.campaigns.crash.schedule import Schedule
from lab.checker.expected import Variant

FULL_CAMPAIGN_POINTS = 300
"""A campaign of so many points of all kinds must have covered every request."""


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for."""

    place: Path
    points: int = 300
    seed: int = 1
    labs: int = 2
    only: Kind | None = None
    variant: Variant = "by_stage"
    control: Control | None = None
    replay: AttackPlan | None = None
    json: Path | None = None

    @property
    def whole(self) -> bool:
        """Whether it is to cover every request."""
        return self.points >= FULL_CAMPAIGN_POINTS and not (
            self.only or self.control or self.replay
        )

    @property
    def resumable(self) -> bool:
        """Whether it is worth remembering."""
        return self.json is not None and not (self.control or self.replay)


@dataclass
class State:
    """How far a campaign has come."""

    results: CrashResults
    schedule: Schedule
    numbers: int = 0
    """Of the latest run."""
    seconds: float = 0.0
    """It has taken so far."""


def kept(wishes: Wishes) -> State | None:
    """Return where an interrupted campaign with the same wishes was."""
    file = _file(wishes)
    if file is None or not file.exists():
        return None
    asked, state = pickle.loads(file.read_bytes())  # noqa: S301 - we wrote it beside the result
    return state if asked == _asked(wishes) and isinstance(state, State) else None


def keep(wishes: Wishes, state: State) -> None:
    """Remember where it is."""
    if file := _file(wishes):
        fresh = file.with_suffix(".fresh")
        fresh.write_bytes(pickle.dumps((_asked(wishes), state)))
        fresh.replace(file)


def forget(wishes: Wishes) -> None:
    """It has come to its end."""
    if file := _file(wishes):
        file.unlink(missing_ok=True)


def _file(wishes: Wishes) -> Path | None:
    return wishes.json.with_suffix(".state") if wishes.json and wishes.resumable else None


def _asked(wishes: Wishes) -> tuple[int, int, Kind | None]:
    return wishes.points, wishes.seed, wishes.only
