"""What a run has to remember of itself: what it began, what had run before, who is dead."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from workflows.model.actions import Action
from workflows.model.stages import POINT_OF_NO_RETURN, StageName
from workflows.planning.plan import Plan, Stage
from workflows.planning.rollback import Baseline


@dataclass
class RunState:
    """Everything an undo, a second look and an outcome need to know."""

    baseline: Baseline = field(default_factory=Baseline)
    begun: dict[StageName, list[Action]] = field(default_factory=dict)
    """By stage: effects that were, or may have been, begun, each before it acts."""
    over: set[str] = field(default_factory=set)
    """The names of the stages whose every order has ended."""
    undoing: set[StageName] = field(default_factory=set)
    """Stages whose undo has begun to act."""
    gone: frozenset[str] = frozenset()
    """Source nodes on which nothing ran any more when this run began."""
    dead: dict[str, str] = field(default_factory=dict)
    """Nodes that were proven dead, and who counts them as down."""
    waited: timedelta = timedelta()
    """How long people were waited for since the last look at the estate."""
    turned_back: str = ""
    """Why the run goes no further, once that is decided."""

    def register(self, stage: Stage, action: Action) -> None:
        """Note an effect before it acts: from now on an undo concerns it."""
        if stage.undo:
            self.undoing.add(stage.name)
        elif action.undo is not None and action not in self.begun.setdefault(stage.name, []):
            self.begun[stage.name].append(action)

    def remember(self, plan: Plan, stages: frozenset[StageName]) -> None:
        """Take what an earlier run began for this run's own."""
        for name in stages:
            self.begun[name] = [o for o in plan.stage(name).actions if o.undo is not None]

    def begun_any(self, *stages: StageName) -> bool:
        """Whether any of these stages has begun, and not all of them are over."""
        return any(self.begun.get(name) for name in stages) and not all(
            name.value in self.over for name in stages
        )

    @property
    def past_return(self) -> bool:
        """Whether the first graceful stop may have been asked for."""
        return bool(self.begun.get(POINT_OF_NO_RETURN))

    @property
    def scheduled_somewhere(self) -> bool:
        """Whether scheduling runs on one of the clusters, during a roll-back."""
        if not self.begun.get(StageName.STOP_SCHEDULING):
            return True
        if f"{StageName.STOP_SCHEDULING}.undo" in self.over:
            return True
        started = StageName.START_SCHEDULING.value in self.over
        return started and StageName.START_SCHEDULING not in self.undoing
