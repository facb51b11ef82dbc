"""What does a run go through that meets a fault, driven by the console as its operator would?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from temporalio.client import Client

from lab.checker.roles import SOURCE, TARGET
from lab.checker.verdict import Run
from lab.fault_injection.fault import Fault
from lab.fault_injection.operator import Answer, Operator, objection, turn, wished
from lab.fault_injection.trigger import Trap
from lab.product_driver import WORKFLOW, Product
from lab.proxy.proxies import Lines

PATIENCE = {"unreachable_timeout": 4}
"""Seconds until a place that does not answer is given up: a fault lasts that long at least."""
BY = ("--by", "demo")


@dataclass(frozen=True)
class Ordeal:
    """One fault, and what an operator says where the run asks."""

    fault: Fault
    answer: Answer = "retry"

    async def endure(self, product: Product, client: Client, lines: Lines) -> Run:
        """Switch over, meet the fault, have it healed, and see how it ends."""
        operator = Operator(
            client.get_workflow_handle(WORKFLOW),
            None if self.fault.undone_by_itself else self.answer,
            lambda answer: self._decide(product, answer),
        )
        rule = "roll_back" if self.fault.undone_by_itself else "ask"
        async with laid(self.fault, lines, operator) as trap:
            words = ("--on-fault", rule, "--reason", f"a demonstration of {self.fault}")
            run = await product.switch_over(SOURCE, TARGET, client, *words)
        outcome = objection(run, operator, struck=trap.struck_at is not None)
        return replace(
            run,
            outcome=outcome,
            wished=wished(self.fault, self.answer),
            turn=turn(outcome, self.fault.stage.number, begun=True),
        )

    async def _decide(self, product: Product, answer: Answer) -> None:
        if answer == "retry":
            await product.decide("retry", "--stage", self.fault.stage, *BY)
        else:
            await product.decide("roll-back", *BY, "--reason", f"{self.fault} was enough")


@asynccontextmanager
async def laid(fault: Fault, lines: Lines, operator: Operator) -> AsyncIterator[Trap]:
    """Have the fault wait for its moment, healed in time, and an operator at hand."""
    trap = Trap(fault, lines, operator.noticed)
    operator.set_right = trap.heal
    trap.set()
    tasks = [asyncio.create_task(work) for work in (trap.follow(), operator.attend())]
    try:
        yield trap
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await trap.end()
