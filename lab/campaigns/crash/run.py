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

from lab.campaigns.crash.nemesis import Attack, Mission, Saboteur
from lab.campaigns.crash.points import KILLS, Point
from lab.campaigns.crash.run_observer import Act, Watch
from lab.campaigns.crash.testbed import Den
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
WARM_UP = 4.0
RUN_ON = 1.0
ENDS_WITHIN = 300.0
BY_THE_REBOOT = ("reboot", "boot")
"""Who is said to have ended and started services when a machine went down and came back."""
BOOTED_AFTER = 1.0


@dataclass(frozen=True)
class Attacked:
    """What became of one run."""

    mission: Mission
    attacks: tuple[Attack, ...]
    missed: tuple[Point, ...]
    acts: tuple[Act, ...]
    events: int
    """How long its history became."""
    verdict: Verdict
    resumes: tuple[float, ...]
    """Seconds from a killed worker's restart to the next sign of progress."""

    @property
    def excused_acts(self) -> tuple[Act, ...]:
        """Decisions after a reboot, where nothing else may be honest."""
        boots = [a.at for a in self.attacks if a.point.kind == "reboot"]
        return tuple(act for act in self.acts if boots and act.at > min(boots))

    def problems(self) -> list[str]:
        """Everything that must not be."""
        acts = Counter(str(act) for act in self.acts if act not in self.excused_acts)
        needed = [f"an operator was needed: {act}, {times} times" for act, times in acts.items()]
        return [*self.verdict.problems(), *needed]


async def attack(den: Den, mission: Mission) -> Attacked:
    """Switch the estate over from its baseline, attack it meanwhile, and judge it."""
    await den.reset()
    layout = den.lab.layout
    worker = den.workers.start()
    async with living(den) as traffic:
        await worker.ready()
        await asyncio.sleep(WARM_UP)
        handle = await den.client.start_workflow(
            "Switchover",
            REQUEST | {"variant": mission.variant},
            id=WORKFLOW,
            task_queue="switchover",
        )
        watch = Watch(layout, handle, requests=den.lines.gatekeeper.moments)
        saboteur = Saboteur(den, watch, mission)
        run = await _seen_through(handle, watch)
        await saboteur.rest()
        await asyncio.sleep(RUN_ON)
        await traffic.finish()
        await settle(layout)
    attacks = tuple(saboteur.attacks)
    return Attacked(
        mission=mission,
        attacks=attacks,
        missed=saboteur.missed,
        acts=tuple(watch.acts),
        events=watch.events,
        verdict=await _judged(den, mission, run, attacks),
        resumes=tuple(_resumes(attacks, list(watch.signs()))),
    )


@asynccontextmanager
async def living(den: Den) -> AsyncIterator[Traffic]:
    """Clients transfer, and the estate is sampled."""
    samples, traffic = Samples(den.lab.layout), Traffic(den.lab.layout, CLIENTS)
    samples.start()
    traffic.start()
    try:
        yield traffic
    finally:
        await samples.stop()
        await traffic.stop()


async def _seen_through(handle: WorkflowHandle[Any, Any], watch: Watch) -> Run:
    looks = [asyncio.create_task(look) for look in watch.looks()]
    looks.append(asyncio.create_task(_await_outcome(handle, watch)))
    began = time.time()
    try:
        outcome = await asyncio.wait_for(watch.ended, ENDS_WITHIN)
    except TimeoutError:
        outcome = f"none after {ENDS_WITHIN:.0f} s"
    finally:
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        with suppress(RPCError):  # it has ended by itself
            await handle.terminate("the crash run is over")
    return Run(outcome, began, time.time())


async def _await_outcome(handle: WorkflowHandle[Any, Any], watch: Watch) -> None:
    while not watch.ended.done():
        try:
            watch.ended.set_result((await handle.result())["outcome"])
        except WorkflowFailureError as failure:
            watch.ended.set_result(f"failed: {failure.cause}")
        except RPCError:  # the server is away
            await asyncio.sleep(0.2)


async def _judged(den: Den, mission: Mission, run: Run, attacks: tuple[Attack, ...]) -> Verdict:
    layout = den.lab.layout
    evidence = _without_reboots(await gather(layout), attacks)
    verdict = judge(roles(layout, mission.variant), run, evidence)
    booted = sum(recorded.by in BY_THE_REBOOT for recorded in evidence.effects)
    effects = replace(verdict.effects, unexpected=verdict.effects.unexpected - booted)
    return replace(verdict, effects=effects)


def _without_reboots(evidence: Evidence, attacks: tuple[Attack, ...]) -> Evidence:
    """Nobody claims anything about what is seen while a machine of the estate boots."""
    boots = [(a.at, (a.back or a.at) + BOOTED_AFTER) for a in attacks if a.point.kind == "reboot"]
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
