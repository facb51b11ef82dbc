"""Attack one run under traffic, and judge it."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace

from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from lab.campaigns.crash.nemesis import Attack, AttackPlan, Nemesis
from lab.campaigns.crash.points import KILLS, Point
from lab.campaigns.crash.run_observer import OperatorDecision, RunObserver
from lab.campaigns.testbed import TestBed
from lab.checker.evidence import Evidence, gather
from lab.checker.roles import roles
from lab.checker.verdict import Run, Verdict, judge
from lab.product_driver import Handle

END_TIMEOUT = 300.0
REBOOT_ACTORS = ("reboot", "boot")
"""The record's name for what ended and started services when a machine rebooted."""
BOOT_SECONDS = 1.0


@dataclass(frozen=True)
class AttackResult:
    """The result of one run."""

    plan: AttackPlan
    attacks: tuple[Attack, ...]
    missed: tuple[Point, ...]
    decisions: tuple[OperatorDecision, ...]
    events: int
    """The length of its history."""
    verdict: Verdict
    resumes: tuple[float, ...]
    """Seconds from a killed worker's restart to the next sign of progress."""

    @property
    def after_reboots(self) -> tuple[OperatorDecision, ...]:
        """Decisions after a reboot, where an operator may be needed."""
        boots = [a.at for a in self.attacks if a.point.kind == "reboot"]
        return tuple(one for one in self.decisions if boots and one.at > min(boots))

    @property
    def unexpected(self) -> tuple[OperatorDecision, ...]:
        """All other decisions."""
        return tuple(one for one in self.decisions if one not in self.after_reboots)

    def problems(self) -> list[str]:
        """Everything that must not be."""
        needed = Counter(map(str, self.unexpected)).items()
        questions = [f"an operator was needed: {one}, {times} times" for one, times in needed]
        return [*self.verdict.problems(), *questions]


async def attack(testbed: TestBed, plan: AttackPlan) -> AttackResult:
    """Start the run in the situation before it, attack it meanwhile, and judge it."""
    leg = plan.leg
    async with testbed.under_traffic(leg.before):
        variant = {"variant": plan.variant} if leg.procedure == "switchover" else {}
        handle = await testbed.start(leg, reason="a crash run", **variant)
        requests = testbed.proxies.request_monitor.request_times
        observer = RunObserver(
            testbed.lab.layout, handle, requests=requests, procedure=plan.procedure
        )
        nemesis = Nemesis(testbed, observer, plan)
        run = await _observed(handle, observer)
        await nemesis.stop()
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


async def _observed(handle: Handle, observer: RunObserver) -> Run:
    tasks = [asyncio.create_task(task) for task in observer.tasks()]
    tasks.append(asyncio.create_task(_await_outcome(handle, observer)))
    began = time.time()
    try:
        outcome = await asyncio.wait_for(observer.ended, END_TIMEOUT)
    except TimeoutError:
        outcome = f"none after {END_TIMEOUT:.0f} s"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RPCError):  # it has ended
            await handle.terminate("the crash run is over")
    return Run(outcome, began, time.time())


async def _await_outcome(handle: Handle, observer: RunObserver) -> None:
    while not observer.ended.done():
        try:
            observer.ended.set_result((await handle.result())["outcome"])
        except WorkflowFailureError as failure:
            observer.ended.set_result(f"failed: {failure.cause}")
        except RPCError:  # the server is down
            await asyncio.sleep(0.2)


async def _judged(
    testbed: TestBed, plan: AttackPlan, run: Run, attacks: tuple[Attack, ...]
) -> Verdict:
    layout = testbed.lab.layout
    evidence = _without_reboots(await gather(layout, plan.leg.after), attacks)
    if plan.procedure == "rejoin":  # what ran when a node was rebooted runs again: no effect
        kept = [r for r in evidence.effects if r.by not in REBOOT_ACTORS]
        evidence = replace(evidence, effects=kept)
    verdict = judge(roles(layout, plan.variant, plan.leg), run, evidence)
    booted = sum(recorded.by in REBOOT_ACTORS for recorded in evidence.effects)
    effects = replace(verdict.effects, unexpected=verdict.effects.unexpected - booted)
    return replace(verdict, effects=effects)


def _without_reboots(evidence: Evidence, attacks: tuple[Attack, ...]) -> Evidence:
    """Leave out samples taken while a machine boots: nothing is claimed of that time."""
    boots = [(a.at, (a.back or a.at) + BOOT_SECONDS) for a in attacks if a.point.kind == "reboot"]
    samples = [
        sample
        for sample in evidence.samples
        if not any(down <= sample.at <= up for down, up in boots)
    ]
    return replace(evidence, samples=samples)


def _resumes(attacks: tuple[Attack, ...], signs: list[float]) -> list[float]:
    """For each restart of a worker: the seconds until the next sign of a running worker."""
    backs = [attack.back for attack in attacks if attack.back and attack.point.kind in KILLS]
    after = [[sign - back for sign in signs if sign > back] for back in backs]
    return [round(min(waits), 2) for waits in after if waits]
