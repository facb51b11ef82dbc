"""Attack one run at its points, and restart what was killed.

One attack at a time: until what it killed is back, other points wait for their next occurrence.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from lab.campaigns.crash.negative_controls import Control, let_ledgers_vanish, start_while_pending
from lab.campaigns.crash.points import ANY, Point
from lab.campaigns.crash.run_observer import RunObserver
from lab.campaigns.testbed import TestBed
from lab.checker.expected import Variant
from lab.checker.legs import LEGS, Leg
from lab.node.request_hook import RequestEvent, When
from lab.proxy.request_id import Request
from lab.proxy.tcp_proxy import TcpProxy
from workflows.model.stages import Procedure

CATCH_SECONDS = 0.3
"""Seconds in which everything else on its way is held, too, before the worker is killed."""
RESTART_SECONDS = (0.3, 1.0)
"""Seconds until what was killed is started again."""
OUTAGE_SECONDS = (3.0, 8.0)
"""Seconds that a node's network is cut."""
MAX_BYTES_UNTIL_RESET = 8000
"""A ledger's script and some answers."""
PROGRESS_TIMEOUT = 12.0
"""Seconds without a sign of progress until the next attack is due all the same."""


@dataclass(frozen=True)
class AttackPlan:
    """What to do to one run."""

    seed: int
    points: tuple[Point, ...]
    control: Control | None = None
    variant: Variant = "by_stage"
    procedure: Procedure = "switchover"

    @property
    def leg(self) -> Leg:
        """The run that is attacked."""
        return LEGS[self.procedure]

    @property
    def token(self) -> str:
        """What repeats it: SEED:POINT+POINT..."""
        return f"{self.seed}:{'+'.join(map(str, self.points))}"


@dataclass
class Attack:
    """One point that was hit."""

    point: Point
    at: float
    description: str
    """What was being done at that time."""
    caught: set[tuple[Request, When]] = field(default_factory=set)
    """Requests that were about to have their effect, or to be answered, when the worker died."""
    back: float | None = None
    """When what was attacked was started again."""


@dataclass
class PendingKill:
    """Requests that are held until the worker is killed."""

    when: When
    caught: set[tuple[Request, When]]
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Nemesis:
    """Attacks one run."""

    def __init__(self, testbed: TestBed, observer: RunObserver, plan: AttackPlan) -> None:
        self._testbed = testbed
        self._observer = observer
        self._attack_plan = plan
        self._remaining = list(plan.points)
        self._occurrences: Counter[tuple[str, When]] = Counter()
        self._pending_kill: PendingKill | None = None
        self._busy = False
        self._work: list[asyncio.Task[None]] = []
        self.attacks: list[Attack] = []
        testbed.proxies.request_monitor.hook = self._on_request
        observer.on_event = self._on_event
        observer.on_turn = self._on_turn
        self._overtakes = plan.control == "start_overtakes"

    @property
    def missed(self) -> tuple[Point, ...]:
        """Points whose request did not come, or came during another attack."""
        return tuple(self._remaining)

    async def stop(self) -> None:
        """Attack no more; raise the error of an attack that failed."""
        self._testbed.proxies.request_monitor.hook = None
        self._observer.on_event = lambda _: None
        self._observer.on_turn = lambda _, __: None
        await asyncio.gather(*self._work)

    async def _on_request(self, event: RequestEvent, request: Request) -> bool:
        self._occurrences[request.key, event.when] += 1
        self._occurrences[ANY, event.when] += self._observer.changed
        if self._pending_kill and event.when == self._pending_kill.when:
            self._pending_kill.caught.add((request, event.when))
            await self._pending_kill.done.wait()
            return event.when == "after"
        if self._busy or (point := self._due(event, request)) is None:
            return True
        attack = self._begin(point, f"{event.when} {request}")
        match point.kind:
            case "before_effect" | "after_effect":
                self._pending_kill = PendingKill(event.when, attack.caught)
                return await self._hold(self._pending_kill, attack, event, request)
            case "freeze":
                self._start(self._freeze(attack))
            case "server":
                self._start(self._kill_server(attack))
            case "network":
                self._start(self._cut(attack, event.place))
            case "reset":
                self._start(self._reset(attack, event.place))
        return True

    async def _hold(
        self, kill: PendingKill, attack: Attack, event: RequestEvent, request: Request
    ) -> bool:
        kill.caught.add((request, event.when))
        self._start(self._kill_and_release(kill, attack))
        await kill.done.wait()
        return event.when == "after"

    async def _kill_and_release(self, kill: PendingKill, attack: Attack) -> None:
        await asyncio.sleep(CATCH_SECONDS)
        await self._testbed.workers.kill()
        kill.done.set()
        self._pending_kill = None
        await self._restart_worker(attack)

    def _on_event(self, number: int) -> None:
        due = [p for p in self._remaining if p.kind == "history_event" and int(p.trigger) <= number]
        if due and not self._busy:
            attack = self._begin(due[0], f"after event {number}")
            self._start(self._kill_worker(attack))

    def _on_turn(self, place: str, service: str) -> None:
        if self._overtakes:
            self._overtakes = False
            self._start(start_while_pending(self._testbed.lab.layout, place, service))
        due = [p for p in self._remaining if p.trigger == place]
        if due and not self._busy:
            attack = self._begin(due[0], f"{place} at its turn: {service}")
            reboots = attack.point.kind == "reboot"
            self._start(self._reboot(attack, place) if reboots else self._kill_worker(attack))

    def _due(self, event: RequestEvent, request: Request) -> Point | None:
        for point in self._remaining:
            if _WHEN.get(point.kind) != event.when:
                continue
            key, _, number = point.trigger.partition(".")
            times = self._occurrences[key, event.when]
            if key in {request.key, ANY} and times >= int(number):
                return point
        return None

    def _begin(self, point: Point, description: str) -> Attack:
        self._busy = True
        self._remaining.remove(point)
        self.attacks.append(Attack(point, time.time(), description))
        return self.attacks[-1]

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._note_failure)
        self._work.append(task)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """End the run whose attack failed."""
        if not task.cancelled() and (error := task.exception()) and not self._observer.ended.done():
            self._observer.ended.set_exception(error)

    def _random(self, attack: Attack) -> random.Random:
        return random.Random(f"{self._attack_plan.seed}:{attack.point}")

    async def _kill_worker(self, attack: Attack) -> None:
        await self._testbed.workers.kill()
        await self._restart_worker(attack)

    async def _restart_worker(self, attack: Attack) -> None:
        if self._attack_plan.control == "ledger_vanishes":
            let_ledgers_vanish(self._testbed.lab.layout)
        await asyncio.sleep(self._random(attack).uniform(*RESTART_SECONDS))
        worker = self._testbed.workers.start()
        attack.back = worker.started_at
        await worker.ready()
        await self._await_progress(attack, worker.started_at)

    async def _freeze(self, attack: Attack) -> None:
        """Let another worker take over, then let the frozen one continue."""
        frozen = self._testbed.workers.running[-1]
        frozen.freeze()
        other = self._testbed.workers.start()
        await other.ready()
        attack.back = other.started_at
        await self._observer.progress_after(other.started_at, PROGRESS_TIMEOUT)
        await asyncio.sleep(self._random(attack).uniform(*RESTART_SECONDS))
        frozen.thaw()
        await self._await_progress(attack, time.time())

    async def _kill_server(self, attack: Attack) -> None:
        await self._testbed.server.kill()
        await asyncio.sleep(self._random(attack).uniform(*RESTART_SECONDS))
        await self._testbed.server.start()
        await self._await_progress(attack, time.time())

    async def _cut(self, attack: Attack, place: str) -> None:
        proxy = self._testbed.proxies.lines.get(place) or self._any_proxy(attack)
        proxy.cut()
        await asyncio.sleep(self._random(attack).uniform(*OUTAGE_SECONDS))
        proxy.heal()
        await self._await_progress(attack, time.time())

    async def _reset(self, attack: Attack, place: str) -> None:
        proxy = self._testbed.proxies.lines.get(place) or self._any_proxy(attack)
        proxy.was_reset.clear()
        proxy.resets_after = self._random(attack).randint(1, MAX_BYTES_UNTIL_RESET)
        try:
            await asyncio.wait_for(proxy.was_reset.wait(), PROGRESS_TIMEOUT)
        except TimeoutError:  # too few bytes passed
            proxy.break_off()
        proxy.heal()
        await self._await_progress(attack, time.time())

    async def _reboot(self, attack: Attack, place: str) -> None:
        await asyncio.sleep(self._random(attack).uniform(*RESTART_SECONDS))
        await asyncio.to_thread(self._testbed.lab.machines.reboot, place)
        await self._await_progress(attack, time.time())

    async def _await_progress(self, attack: Attack, event: float) -> None:
        """Begin no other attack until the run makes progress."""
        attack.back = attack.back or event
        await self._observer.progress_after(event, PROGRESS_TIMEOUT)
        self._busy = False

    def _any_proxy(self, attack: Attack) -> TcpProxy:
        return self._random(attack).choice(list(self._testbed.proxies.lines.values()))


_WHEN: dict[str, When] = {
    "before_effect": "before",
    "after_effect": "after",
    "freeze": "after",
    "server": "after",
    "network": "before",
    "reset": "before",
}
"""Whether an attack begins before or after its request is carried out."""
