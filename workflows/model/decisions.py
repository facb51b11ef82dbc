"""The decisions that operators send to a run, and what each verb requires."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from pydantic import Field

from workflows.errors import BadInput
from workflows.model.base import FreeText, Person, Value
from workflows.model.estate import Name
from workflows.model.request import parse_object
from workflows.model.stages import StageName

EXAMPLE = '{"stage": "redirect_traffic", "by": "...", "reason": "..."}'

Verb = Literal[
    "approve", "reject", "pause", "resume", "retry", "skip", "extend", "force", "roll_back", "abort"
]
Way = Literal["signal", "update", "watch"]

VERBS: tuple[Verb, ...] = get_args(Verb)
NEED_STAGE = ("approve", "reject", "retry", "skip", "extend", "force")
NEED_REASON = ("reject", "skip", "force", "roll_back", "abort")
NEED_MINUTES = ("extend",)

SKIPPABLE = (
    StageName.START_SCHEDULING,
    StageName.STOP_REMAINING_SERVICES,
    StageName.RESTORE_MONITORS,
)
"""Without these the source is still drained and the target still serves."""

DRAINING = (
    StageName.START_SCHEDULING,
    StageName.DRAIN_PROTOCOL_SERVERS,
    StageName.DRAIN_TRANSACTION_MANAGER,
)
"""Stages that wait for clients and partners: these waits can be extended and forced."""


class Decision(Value):
    """The payload of every signal and update that an operator sends to a run."""

    stage: StageName | None = None
    node: Name | None = None
    by: Person = ""
    reason: FreeText = ""
    minutes: int | None = Field(default=None, ge=1, le=60 * 24 * 30)
    """Of `extend`: how much longer."""

    @property
    def author(self) -> str:
        """Who decided, as far as the message says."""
        return self.by or "an operator"


def parse_decision(given: Sequence[Any]) -> Decision:
    """Return the decision in a signal or an update; BadInput with one readable sentence."""
    if len(given) > 1:
        raise BadInput(f"a decision is one JSON object, and {len(given)} were sent")
    return parse_object(Decision, given[0] if given else {}, "the decision", EXAMPLE)


def missing(verb: str, decision: Decision) -> str | None:
    """Return what the verb requires and the decision lacks, with an example; None if complete."""
    if verb in NEED_STAGE and decision.stage is None:
        return f'{verb} needs a stage, as in {{"stage": "redirect_traffic"}}'
    if verb in NEED_REASON and not decision.reason:
        return f'{verb} needs a reason, as in {{"reason": "..."}}'
    if verb in NEED_MINUTES and decision.minutes is None:
        return f'{verb} needs minutes, as in {{"minutes": 60}}'
    return None
