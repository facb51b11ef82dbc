"""Which verbs there are, and what each of them needs to be said with it."""

from __future__ import annotations

from typing import Literal, get_args

from workflows.model.request import Decision
from workflows.model.stages import StageName

Verb = Literal[
    "approve",
    "reject",
    "pause",
    "resume",
    "retry",
    "skip",
    "extend",
    "force",
    "roll_back",
    "abort",
]
Way = Literal["signal", "update"]

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
"""Stages that wait for clients and partners: there is something to extend and to force."""


def missing(verb: str, decision: Decision) -> str | None:
    """What the verb needs and was not told, with an example; None where all is there."""
    if verb in NEED_STAGE and decision.stage is None:
        return f'{verb} needs a stage, as in {{"stage": "redirect_traffic"}}'
    if verb in NEED_REASON and not decision.reason:
        return f'{verb} needs a reason, as in {{"reason": "..."}}'
    if verb in NEED_MINUTES and decision.minutes is None:
        return f'{verb} needs minutes, as in {{"minutes": 60}}'
    return None
