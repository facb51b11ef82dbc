"""The plan of a run: which actions, in which stages and waves, for which estate."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, zip_longest
from operator import add
from typing import Literal

from workflows.model.base import Value
from workflows.model.estate import Estate
from workflows.model.results import UNDO
from workflows.model.seals import Seals
from workflows.model.site_policy import Approvals
from workflows.model.stages import TITLES, Procedure, StageName
from workflows.planning.waves import Wave


class Stage(Value):
    """One numbered stage of the manual, or a part of it."""

    name: StageName
    gated: bool = False
    """Whether it needs an approval before it begins."""
    waves: tuple[Wave, ...]
    undo: bool = False
    """Whether this rolls back the stage of that name."""

    @property
    def key(self) -> str:
        """The stage's id within a run; part of the ids of its operations."""
        return f"{self.name}{UNDO}" if self.undo else self.name.value

    @property
    def title(self) -> str:
        """What the stage is for, as in the table of the README."""
        return f"Roll back: {TITLES[self.name]}" if self.undo else TITLES[self.name]

    @property
    def actions(self) -> Wave:
        """Every action of the stage, wave by wave."""
        return tuple(action for wave in self.waves for action in wave)


class Chain(Value):
    """Stages, or parts of them, that run one after the other beside other chains."""

    after: tuple[int, ...] = ()
    """Positions of the earlier chains that must have ended before this one begins."""
    stages: tuple[Stage, ...]


class Parallel(Value):
    """Chains that run side by side; all of them end before the plan continues."""

    chains: tuple[Chain, ...]

    @property
    def stages(self) -> Iterable[Stage]:
        """What all chains together do of each stage, wave by wave.

        What waits for another chain comes in a later wave than that chain's part of the stage.
        """
        ends: list[Counter[StageName]] = []
        parts = []
        for one in self.chains:
            end = Counter[StageName]()
            for earlier in one.after:
                end |= ends[earlier]
            for stage in one.stages:
                waves = ((),) * end[stage.name] + stage.waves
                parts.append(stage.model_copy(update={"waves": waves}))
                end[stage.name] = len(waves)
            ends.append(end)
        return _joined(parts, _wave_by_wave)


class Plan(Value):
    """A run as it is executed: a snapshot of the estate, and its actions."""

    procedure: Procedure = "switchover"
    estate: Estate
    source: str
    """The cluster that traffic leaves; of a rejoin, the active one."""
    target: str
    """The cluster that traffic reaches; of a rejoin, the one that comes back."""
    variant: Literal["by_stage", "by_node"] = "by_stage"
    approvals: Approvals = Approvals()
    """The stricter of the estate's and the request's."""
    sequence: tuple[Stage | Parallel, ...]
    """What is executed, step by step."""
    seals: Seals = Seals()
    """Of the estate's parts, for the run that the plan was made for; no part of what is planned."""

    @property
    def hash(self) -> str:
        """SHA-256 over the whole plan: equal hashes mean the same actions on the same estate."""
        return hashlib.sha256(self.model_dump_json(exclude={"seals"}).encode()).hexdigest()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The ten stages by number, each with all its parts."""
        parts = chain.from_iterable(
            step.stages if isinstance(step, Parallel) else (step,) for step in self.sequence
        )
        return tuple(sorted(_joined(parts, add), key=lambda stage: stage.name.number))

    def stage(self, name: StageName) -> Stage:
        """Return the stage of that name, with all its parts."""
        return {stage.name: stage for stage in self.stages}[name]


def _joined(
    parts: Iterable[Stage], join: Callable[[tuple[Wave, ...], tuple[Wave, ...]], tuple[Wave, ...]]
) -> Iterable[Stage]:
    """Join the parts of the same stage."""
    whole: dict[StageName, Stage] = {}
    for part in parts:
        known = whole.setdefault(part.name, part)
        if known is not part:
            waves, gated = join(known.waves, part.waves), known.gated or part.gated
            whole[part.name] = known.model_copy(update={"waves": waves, "gated": gated})
    return whole.values()


def _wave_by_wave(one: tuple[Wave, ...], other: tuple[Wave, ...]) -> tuple[Wave, ...]:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=()))
