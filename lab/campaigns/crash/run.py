"""What is one switchover with live traffic that is being attacked?"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from lab.campaigns.crash.nemesis import Attack, AttackPlan, Nemesis
from lab.campaigns.crash.points import KILLS, Point
from lab.campaigns.crash.run_observer import OperatorDecision, RunObserver
from lab.campaigns.crash.testbed import TestBed
from lab.checker.evidence import Evidence, gather
from lab.checker.roles import SOURCE, TARGET, roles
from lab.checker.verdict import Run, Verdict, judge
from lab.environment.quiesce import settle
from lab.layout import ESTATE
from lab.product_driver import WORKFLOW
from lab.recorder.samples import Samples
from lab.traffic.process import Traffic

REQUEST = {"estate": ESTATE, "source": SOURCE, "target": TARGET, "reason": "a crash run"}
CLIENTS = 10
"""Two of them always have a large transfer in flight."""
WARM_UP_SECONDS = 4.0
AFTER_SECONDS = 1.0
END_TIMEOUT = 300.0
REBOOT_ACTORS = ("reboot", "boot")
"""Who is said to have ended and started services when a machine went down and came back."""
BOOT_SECONDS = 1.0


@dataclass(frozen=True)
class AttackResult:
    """What became of one run."""

    plan: AttackPlan
    attacks: tuple[Attack, ...]
    missed: tuple[Point, ...]
    decisions: tuple[OperatorDecision, ...]
    events: int
    """How long its history became."""
    verdict: Verdict
    resumes: tuple[float, ...]
    """Seconds from a killed worker's restart to the next sign of progress."""

    @property
    def excused_decisions(self) -> tuple[OperatorDecision, ...]:
        """Decisions after a reboot, where nothing else may be honest."""
        boots = [a.at for a in self.attacks if a.point.kind == "reboot"]
        return tuple(decision for decision in self.decisions if boots and decision.at > min(boots))

    def problems(self) -> list[str]:
        """Everything that must not be."""
        decisions = Counter(
            str(decision) for decision in self.decisions if decision not in self.excused_decisions
        )
        needed = [
            f"an operator was needed: {decision}, {times} times"
            for decision, times in decisions.items()
        ]
        return [*self.verdict.problems(), *needed]


async def attack(testbed: TestBed, plan: AttackPlan) -> AttackResult:
    """Switch the estate over from its baseline, attack it meanwhile, and judge it."""
    await testbed.reset()
    layout = testbed.lab.layout
    worker = testbed.workers.start()
    async with live_estate(testbed) as traffic:
        await worker.ready()
        await asyncio.sleep(WARM_UP_SECONDS)
        handle = await testbed.client.start_workflow(
            "Switchover",
            REQUEST | {"variant": plan.variant},
            id=WORKFLOW,
            task_queue="switchover",
        )
        observer = RunObserver(
            layout, handle, requests=testbed.proxies.request_monitor.request_times
        )
        nemesis = Nemesis(testbed, observer, plan)
        run = await _seen_through(handle, observer)
        await nemesis.rest()
        await asyncio.sleep(AFTER_SECONDS)
        await traffic.finish()
        await settle(layout)
    attacks = tuple(nemesis.attacks)
    return AttackResult(
        plan=plan,
        attacks=attacks,
        missed=nemesis.missed,
        decisions=tuple(observer.decisions),
        events=observer.events,
        verdict=await _judged(testbed, plan, run, attacks),
        resumes=tuple(_resumes(attacks, list(observer.signs()))),
    )


@asynccontextmanager
async def live_estate(testbed: TestBed) -> AsyncIterator[Traffic]:
    """Clients transfer, and the estate is sampled."""
    samples, traffic = Samples(testbed.lab.layout), Traffic(testbed.lab.layout, CLIENTS)
    samples.start()
    traffic.start()
    try:
        yield traffic
    finally:
        await samples.stop()
        await traffic.stop()


async def _seen_through(handle: WorkflowHandle[Any, Any], observer: RunObserver) -> Run:
    looks = [asyncio.create_task(look) for look in observer.looks()]
    looks.append(asyncio.create_task(_await_outcome(handle, observer)))
    began = time.time()
    try:
        outcome = await asyncio.wait_for(observer.ended, END_TIMEOUT)
    except TimeoutError:
        outcome = f"none after {END_TIMEOUT:.0f} s"
    finally:
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        with suppress(RPCError):  # it has ended by itself
            await handle.terminate("the crash run is over")
    return Run(outcome, began, time.time())


async def _await_outcome(handle: WorkflowHandle[Any, Any], observer: RunObserver) -> None:
    while not observer.ended.done():
        try:
            observer.ended.set_result((await handle.result())["outcome"])
        except WorkflowFailureError as failure:
            observer.ended.set_result(f"failed: {failure.cause}")
        except RPCError:  # the server is away
            await asyncio.sleep(0.2)


async def _judged(
    testbed: TestBed, plan: AttackPlan, run: Run, attacks: tuple[Attack, ...]
) -> Verdict:
    layout = testbed.lab.layout
    evidence = _without_reboots(await gather(layout), attacks)
    verdict = judge(roles(layout, plan.variant), run, evidence)
    booted = sum(recorded.by in REBOOT_ACTORS for recorded in evidence.effects)
    effects = replace(verdict.effects, unexpected=verdict.effects.unexpected - booted)
    return replace(verdict, effects=effects)


def _without_reboots(evidence: Evidence, attacks: tuple[Attack, ...]) -> Evidence:
    """Nobody claims anything about what is seen while a machine of the estate boots."""
    boots = [(a.at, (a.back or a.at) + BOOT_SECONDS) for a in attacks if a.point.kind == "reboot"]
    samples = [
        sample
        for sample in evidence.samples
        if not any(down <= sample.at <= up for down, up in boots)
    ]
    return replace(evidence, samples=samples)


def _resumes(attacks: tuple[Attack, ...], signs: list[float]) -> list[float]:
    """For each restart of a worker: how long until something happened that only a worker does."""
    backs = [attack.back for attack in attacks if attack.back and attack.point.kind in KILLS]
    after = [[sign - back for sign in signs if sign > back] for back in backs]
    return [round(min(waits), 2) for waits in after if waits]
