"""How far every node is in the `by_node` variant, where stages go on side by side."""

from __future__ import annotations

from collections.abc import Iterable

from workflows.execution.execution import CHAIN
from workflows.model.actions.change import LookForOrphans
from workflows.model.base import Value
from workflows.model.progress import OrderProgress, Progress, StageProgress, Step
from workflows.model.stages import Slug

OVER = (Step.DONE, Step.LEFT_OUT)

AFTERWARDS = LookForOrphans.model_fields["kind"].default
"""What belongs to a stage of the chains, and is done once all of them have ended."""


class Link(Value):
    """One stage, as far as one node is concerned."""

    stage: Slug
    step: Step
    done: int
    orders: int


class Chain(Value):
    """One node's way through its stages."""

    node: str
    links: tuple[Link, ...]
    """One for each stage of `CHAIN`; without orders where the stage does not concern the node."""


def chains(progress: Progress) -> tuple[Chain, ...]:
    """Return every source node's chain, Edges first, as they go; none in the `by_stage` variant."""
    if progress.variant != "by_node":
        return ()
    stages = [stage for stage in progress.stages if stage.stage in CHAIN]
    places = dict.fromkeys(order.place for stage in stages for order in stage.orders)
    every = [
        Chain(node=place, links=tuple(_link(stage, place) for stage in stages)) for place in places
    ]
    return tuple(sorted(every, key=lambda chain: bool(chain.links[0].orders)))


def _link(stage: StageProgress, place: str) -> Link:
    orders = [
        order
        for order in stage.orders
        if order.place == place and not order.key.startswith(f"{AFTERWARDS}.")
    ]
    return Link(
        stage=stage.stage,
        step=_step(orders),
        done=sum(order.step is Step.DONE for order in orders),
        orders=len(orders),
    )


def _step(orders: Iterable[OrderProgress]) -> Step:
    steps = {order.step for order in orders}
    if Step.FAULT in steps:
        return Step.FAULT
    if steps <= {*OVER}:
        return Step.DONE if Step.DONE in steps else Step.LEFT_OUT
    return Step.PENDING if steps == {Step.PENDING} else Step.RUNNING
