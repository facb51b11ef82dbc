"""What is shown of a plan before anyone starts it: each order's words, and what holds already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workflows.model.base import Value
from workflows.model.observations import Reading
from workflows.model.results import Finding
from workflows.model.stages import Slug
from workflows.planning.already_satisfied import holds
from workflows.planning.plan import Plan


class Spelled(Value):
    """The exact words of one order, as the hands would send them."""

    stage: Slug
    order: str
    """The order's key."""
    commands: tuple[str, ...]
    """Commands, requests and statements; of an order that waits, until when it looks."""


class ReviewedOrder(Value):
    """One order of the plan, before it is carried out."""

    stage: Slug
    order: str
    place: str
    words: str
    commands: tuple[str, ...] = ()
    holds: bool | None = None
    """Whether the wished state holds already; None where that cannot be told, or says nothing."""
    undo: str | None = None
    """What a roll-back would do instead, where that is anything."""


class Review(Value):
    """A plan, beside what was seen of its estate."""

    plan: Plan
    hash: str
    steps: tuple[ReviewedOrder, ...]
    findings: tuple[Finding, ...] = ()


def review(
    plan: Plan,
    readings: Sequence[Reading] = (),
    spelled: Iterable[Spelled] = (),
    findings: tuple[Finding, ...] = (),
) -> Review:
    """Lay everything that is known of each order beside it."""
    words = {(one.stage, one.order): one.commands for one in spelled}
    return Review(
        plan=plan,
        hash=plan.hash,
        steps=tuple(
            ReviewedOrder(
                stage=stage.slug,
                order=order.key,
                place=order.place,
                words=str(order),
                commands=words.get((stage.slug, order.key), ()),
                holds=holds(plan, order, readings),
                undo=None if order.undo is None else str(order.undo),
            )
            for stage in plan.stages
            for order in stage.orders
        ),
        findings=findings,
    )
