"""Run one switchover with a fault, driven by the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from temporalio.client import Client

from lab.checker.legs import LEGS
from lab.checker.verdict import Run
from lab.fault_injection.fault import Fault
from lab.fault_injection.operator import (
    Answer,
    Operator,
    checked_outcome,
    expected_outcome,
    rollback_point,
)
from lab.fault_injection.trigger import Trigger
from lab.product_driver import WORKFLOW, Product
from lab.proxy.proxies import Proxies

TIMING = {"unreachable_timeout": 4}
"""Seconds until the run stops retrying an unreachable place; a fault lasts at least as long."""
BY = ("--by", "demo")


@dataclass(frozen=True)
class FaultScenario:
    """One fault, and the operator's answer if the run asks."""

    fault: Fault
    answer: Answer = "retry"

    async def run(self, product: Product, client: Client, proxies: Proxies) -> Run:
        """Switch over with the fault, end it when it was noticed, and return the run."""
        operator = Operator(
            client.get_workflow_handle(WORKFLOW),
            None if self.fault.before_no_return else self.answer,
            lambda answer: self._decide(product, answer),
        )
        rule = "roll_back" if self.fault.before_no_return else "ask"
        async with injected(self.fault, proxies, operator) as trigger:
            options = ("--on-fault", rule, "--reason", f"a demonstration of {self.fault}")
            run = await product.run(LEGS["switchover"], client, *options)
        outcome = checked_outcome(run, operator, began=trigger.began_at is not None)
        return replace(
            run,
            outcome=outcome,
            expected_outcome=expected_outcome(self.fault, self.answer),
            rollback_point=rollback_point(
                outcome, self.fault.stage.number, begun=self.fault.may_act
            ),
        )

    async def _decide(self, product: Product, answer: Answer) -> None:
        if answer == "retry":
            await product.decide("retry", "--stage", self.fault.stage, *BY)
        else:
            await product.decide("roll-back", *BY, "--reason", f"{self.fault} was enough")


@asynccontextmanager
async def injected(fault: Fault, proxies: Proxies, operator: Operator) -> AsyncIterator[Trigger]:
    """Arm the fault, and let an operator answer."""
    trigger = Trigger(fault, proxies, operator.noticed)
    operator.repair = trigger.heal
    trigger.arm()
    tasks = [asyncio.create_task(work) for work in (trigger.follow(), operator.run())]
    try:
        yield trigger
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await trigger.end()
