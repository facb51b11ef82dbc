"""Run one measured switchover of a lab, or a round trip, unattended, and show the verdicts."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from lab import records, unkind
from lab.checker.evidence import gather
from lab.checker.expected import Variant
from lab.checker.legs import ROUND_TRIP, Leg
from lab.checker.roles import SOURCE, TARGET, roles
from lab.checker.verdict import Run, Verdict, judge
from lab.environment.lab import Lab
from lab.environment.quiesce import settle
from lab.environment.temporal import TemporalServer
from lab.fault_injection.scenario import TIMING, FaultScenario
from lab.layout import USUAL_DRIVERS, Drivers, Layout
from lab.product_driver import Product, console_log, stage_of
from lab.proxy.estate_file import write_proxied_estate
from lab.proxy.proxies import Proxies
from lab.recorder.samples import Samples
from lab.traffic.process import Traffic
from lab.vendor_procedure import VendorProcedure

WARM_UP_SECONDS = 8.0
"""Seconds until large transfers are in flight, and there are old files to read back."""
AFTER_SECONDS = 10.0
"""Seconds of traffic on the target after the switchover."""
REPORT_SECONDS = 5.0
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class DemoOptions:
    """What the command line asks for."""

    directory: Path
    clients: int
    literal: bool
    keep: bool
    json: Path | None
    scenario: FaultScenario | None = None
    variant: Variant = "by_stage"
    unkind: int | None = None
    """The seed of what its machines bring."""
    drivers: Drivers = USUAL_DRIVERS
    round_trip: bool = False
    """Whether the drained cluster comes back, and traffic as well."""
    worker_per_cluster: bool = False
    """Whether each cluster's nodes have a worker of their own."""
    separate_networks: bool = False
    """Whether each cluster has a network of its own; this process has left the machine's."""

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The runs, one after the other."""
        return ROUND_TRIP if self.round_trip else ROUND_TRIP[:1]


@dataclass(frozen=True)
class Driver:
    """What carries the runs out: the product or the vendor's procedure."""

    drive: Callable[[Leg], Awaitable[Run]]
    stage: Callable[[], Awaitable[str]]
    ui: str = ""
    """Where it can be watched."""


class Demo:
    """One demonstration, shown on a terminal."""

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._console = Console(soft_wrap=True, highlight=False)
        self._began = time.monotonic()

    async def run(self) -> list[Verdict]:
        """Run it, and judge each run; what follows one that did not complete is left out."""
        verdicts: list[Verdict] = []
        async with AsyncExitStack() as stack:
            options = self._options
            opening = Lab.open(
                options.directory,
                drivers=options.drivers,
                separate_networks=options.separate_networks,
            )
            lab = await stack.enter_async_context(opening)
            layout = lab.layout
            self._say(f"{len(layout.nodes)} nodes are up; clients reach {layout.load_balancer}")
            if self._options.unkind is not None:
                unkindness = unkind.choose(layout, self._options.unkind)
                unkind.apply(lab, unkindness)
                self._say(f"unkind, seed {unkindness.seed}: {unkindness}")
            begin = self._literal if self._options.literal else self._product
            driver = await begin(layout, stack)
            for number, leg in enumerate(self._options.legs, start=1):
                if verdicts:
                    lab.forget_records()
                run = await self._under_traffic(layout, driver, stack, leg, f"{number}-")
                verdicts.append(await _judged(layout, self._options.variant, leg, run))
                self._show(verdicts[-1])
                if run.outcome != "completed":
                    break
            self._write(verdicts)
            if self._options.keep:
                self._say(f"everything stays up until Ctrl-C {driver.ui}")
                await _until_interrupted()
        return verdicts

    async def _under_traffic(
        self, layout: Layout, driver: Driver, stack: AsyncExitStack, leg: Leg, series: str
    ) -> Run:
        samples, traffic = Samples(layout), Traffic(layout, self._options.clients, series)
        stack.push_async_callback(samples.stop)
        stack.push_async_callback(traffic.stop)
        samples.start()
        traffic.start()
        self._say(f"{self._options.clients} clients begin to transfer")
        await asyncio.sleep(WARM_UP_SECONDS)
        self._say(f"the {leg} begins")
        async with self._progress_shown(layout, driver):
            run = await driver.drive(leg)
        self._say(f"the {leg} is over: {run.outcome}")
        if run.outcome != run.expected_outcome:
            self._say(f"the console's output ends with: {console_output(layout)}")
        self._say(f"everything together uses {_megabytes()} MiB of memory")
        await asyncio.sleep(AFTER_SECONDS)
        await traffic.finish()
        await settle(layout)
        await samples.stop()
        return run

    async def _literal(self, layout: Layout, _: AsyncExitStack) -> Driver:
        procedure = VendorProcedure(layout, layout.cluster(SOURCE), layout.cluster(TARGET))

        async def stage() -> str:
            return procedure.stage

        return Driver(lambda _: procedure.run(), stage)

    async def _product(self, layout: Layout, stack: AsyncExitStack) -> Driver:
        server = TemporalServer(layout)
        stack.push_async_callback(server.stop)
        client = await server.start()
        self._say(f"Temporal's Web UI: {server.ui}")
        product = Product(layout, server.address)
        stack.push_async_callback(product.stop)

        scenario = self._options.scenario
        proxies = None
        if scenario:
            proxies = await stack.enter_async_context(Proxies.open(layout))
            write_proxied_estate(layout, layout.estate_file.parent, TIMING)
            self._say(
                f"{scenario.fault} begins when the run acts there, and lasts until it has noticed"
            )

        async def drive(leg: Leg) -> Run:
            if scenario and proxies:
                return await scenario.run(product, client, proxies)
            variant = ("--variant", self._options.variant) if leg.procedure == "switchover" else ()
            return await product.run(leg, client, *variant)

        if self._options.worker_per_cluster:
            where = server.address_for_clusters if self._options.separate_networks else ""
            await product.start_worker_per_cluster(where)
            self._say("a worker is ready, and one for each cluster")
        else:
            await product.start_worker()
            self._say("a worker is ready")
        return Driver(drive, lambda: stage_of(client), server.ui)

    @asynccontextmanager
    async def _progress_shown(self, layout: Layout, driver: Driver) -> AsyncIterator[None]:
        task = asyncio.create_task(self._show_progress(layout, driver))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _show_progress(self, layout: Layout, driver: Driver) -> None:
        last, shown_at = "", 0.0
        while True:
            stage = await driver.stage() or last
            if stage != last or time.monotonic() > shown_at + REPORT_SECONDS:
                tried = Counter(line["ok"] for line in records.read(layout.traffic))
                effects = sum(1 for _ in records.read(layout.effects))
                self._say(
                    f"{stage or 'starting':<26} {tried.total():>5} operations, "
                    f"{tried[False]} failed; {effects} effects"
                )
                last, shown_at = stage, time.monotonic()
            await asyncio.sleep(POLL_SECONDS)

    def _say(self, message: str) -> None:
        self._console.print(f"{time.monotonic() - self._began:6.1f} s  {message}", markup=False)

    def _show(self, verdict: Verdict) -> None:
        self._console.print(table(verdict))
        for problem in verdict.problems():
            self._console.print(f"problem: {problem}", style="red", markup=False)
        for kind, details in verdict.details.items():
            self._console.print(f"{kind}: {'; '.join(details[:5])}", style="dim", markup=False)

    def _write(self, verdicts: list[Verdict]) -> None:
        if not self._options.json:
            return
        shown = [verdict.as_json() for verdict in verdicts]
        content = {"runs": shown} if self._options.round_trip else shown[0]
        self._options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        self._say(f"the verdict is in {self._options.json}")


def table(verdict: Verdict) -> Table:
    """The verdict for a terminal."""
    traffic, files, events = verdict.traffic, verdict.files, verdict.events
    effects, invariants, seconds = verdict.effects, verdict.invariants, verdict.seconds
    moved = f"gap {traffic.redirect_gap_seconds} s" if traffic.redirected else "no redirect"
    if verdict.procedure == "switchover":
        moved = f"{traffic.straddling} transfers straddled the redirect, {moved}"
    rows = {
        "traffic": f"{traffic.attempted} operations by {traffic.clients} clients, "
        f"{traffic.failed} failed, {moved}",
        "files": f"{files.expected} uploaded, {files.missing} missing, {files.corrupt} corrupt, "
        f"{files.duplicated} processed twice",
        "events": f"{events.expected} expected, {events.missing} missing, "
        f"{events.duplicated} processed twice",
        "effects": f"{effects.recorded} of {effects.expected} expected, "
        f"{effects.repeated} repeated, {effects.skipped} skipped, "
        f"{effects.misordered} misordered, {effects.unexpected} unexpected",
        "invariants": f"{invariants.violations} violations in {invariants.samples} checks",
        "seconds": f"{seconds.total} in all: {seconds.drain} until all sessions had ended, "
        f"{seconds.orchestration} for the tool itself",
    }
    if verdict.baseline:
        rows["estate"] = (
            f"{verdict.baseline.differences} differences from how it should be in the end"
        )
    if jump := verdict.jump_host:
        rows["jump host"] = (
            f"{jump.logins} logins, {jump.connections} connections to {jump.reached} of "
            f"{jump.machines} machines, {jump.past_it} past it"
        )
    if sudo := verdict.sudo:
        rows["sudo"] = (
            f"{sudo.commands} commands as the owner on {sudo.reached} of {sudo.machines} machines, "
            f"{sudo.questions} questions about it, {sudo.others} other commands of the account "
            f"that logs in ({'a real sudo' if sudo.real else 'a stand-in for sudo'})"
        )
    shown = Table("", f"outcome: {verdict.outcome}", show_lines=False)
    for name, row in rows.items():
        shown.add_row(name, row)
    return shown


def console_output(layout: Layout) -> str:
    """The end of the console's output, if there was a console."""
    log = console_log(layout)
    return log.read_text(encoding="utf-8")[-1000:].strip() if log.exists() else "nothing"


def _megabytes() -> int:
    """What this process and all that it started use, pages that they share counted once."""
    here = psutil.Process()
    sizes = []
    for process in (here, *here.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has just ended
            sizes.append(process.memory_full_info().pss)
    return int(sum(sizes) / 2**20)


async def _judged(layout: Layout, variant: Variant, leg: Leg, run: Run) -> Verdict:
    end = leg.after if leg.procedure == "rejoin" else leg.before
    return judge(roles(layout, variant, leg), run, await gather(layout, end))


async def _until_interrupted() -> None:
    shown_at = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shown_at.set)
    await shown_at.wait()
