"""Points of attack, written so that a run can be repeated."""

from dataclasses import dataclass
from typing import Literal, Self, get_args

from workflows.model.stages import Procedure

Kind = Literal[
    "before_effect",
    "after_effect",
    "history_event",
    "freeze",
    "server",
    "network",
    "reset",
    "reboot",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
KILLS: tuple[Kind, ...] = ("before_effect", "after_effect", "history_event")
"""Kinds that end with another worker's start."""
ANY = "any"
"""The key of every request that comes once the estate was first changed."""


def is_turn(procedure: Procedure, effect: str, service: str) -> bool:
    """Whether this effect is a node's turn: it drains, or in a rejoin it starts to serve."""
    if procedure == "rejoin":
        return effect == "start" and service in {"tm", "ssh"}
    return effect == "drain"


@dataclass(frozen=True, order=True)
class Point:
    """One attack: its kind, and what it waits for.

    Written ``KIND@TRIGGER``. The trigger is ``KEY.N``: the N-th time that a request comes, by its
    key, or by ``any``; of a ``history_event`` the event's number; of a ``reboot`` a node, at its
    turn.
    """

    kind: Kind
    trigger: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Read one; ValueError says what is wrong with it."""
        kind, _, trigger = text.partition("@")
        if kind not in KINDS or not trigger:
            raise ValueError(f"{text!r} is no point: write KIND@TRIGGER")
        return cls(kind, trigger)

    def __str__(self) -> str:
        return f"{self.kind}@{self.trigger}"
