"""Drive the product from outside as an operator does, with its worker and its console."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError

from lab.checker.legs import Leg
from lab.checker.verdict import Run
from lab.cluster_workers import divide
from lab.layout import ESTATE, Layout
from lab.networks import namespace
from lab.polling import holds_within
from lab.subprocesses import REPOSITORY, end, ended, spawn
from workflows.model.stages import Procedure

READY_TIMEOUT = 60.0
END_TIMEOUT = 900.0
ANSWER_TIMEOUT = 30.0
CHECK_TIMEOUT = 60.0
WORKFLOW = f"switchover-{ESTATE}"
FREEZE = f"freeze-{ESTATE}"
"""What watches the configuration between a switchover and its rejoin."""
STATE = SearchAttributeKey.for_keyword("SwitchoverState")
STAGE = SearchAttributeKey.for_keyword("SwitchoverStage")
ENDED = "ended"
"""The state of a run that has ended."""
FINDINGS = "findings"
"""The outcome of a run whose prerequisites did not hold."""
EXITS = {0: "completed", 4: "rolled_back", 6: FINDINGS}
"""The outcome by exit code of the console."""

WORKFLOWS: dict[Procedure, str] = {"switchover": "Switchover", "rejoin": "Rejoin"}
"""The workflow type by procedure; both have one id, so that an estate has one open run."""

Handle = WorkflowHandle[Any, Any]


def console_log(layout: Layout) -> Path:
    """The file with the console's output."""
    return layout.root / "console.log"


@dataclass(frozen=True)
class ReadinessAnswer:
    """The console's answer on the readiness of an estate."""

    exit: int
    findings: tuple[dict[str, str], ...]
    seconds: float
    """From the start of the console to its end."""
    unreadable: str = ""
    """Its output, if that was not JSON."""

    @property
    def ready(self) -> bool:
        """Whether nothing at all was found."""
        return self.exit == 0 and not self.findings and not self.unreadable


@dataclass
class Worker:
    """One worker process, unmodified."""

    process: subprocess.Popen[bytes]
    log: Path
    started_at: float

    @classmethod
    def start(
        cls, address: str, records: Path, log: Path, *argv: str, network: Path | None = None
    ) -> Self:
        """Start one with these arguments, without waiting until it is ready."""
        started_at = time.time()
        process = run(address, records, log, "worker", *argv, network=network)
        return cls(process, log, started_at)

    async def ready(self) -> None:
        """Wait until it polls for work."""

        def settled() -> bool:
            return self.process.poll() is not None or "ready:" in _text(self.log)

        if not await holds_within(READY_TIMEOUT, settled) or self.process.poll() is not None:
            raise RuntimeError(f"a worker is not ready: {_text(self.log)[-3000:]}")

    def freeze(self) -> None:
        """Stop it (SIGSTOP)."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it continue (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)


def run(
    address: str, records: Path, log: Path, *argv: str, network: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program of the product, in a cluster's own network if one is given."""
    environment = (
        f"TEMPORAL_ADDRESS={address}",
        f"SWITCHOVER_RECORDS={records}",
        # What a killed program leaves behind is removed with its records.
        f"TMPDIR={records / 'tmp'}",
    )
    (records / "tmp").mkdir(parents=True, exist_ok=True)
    return spawn(
        ["env", *environment, sys.executable, "-m", *argv], log, cwd=REPOSITORY, network=network
    )


def request_for(leg: Leg, **options: object) -> dict[str, object]:
    """The workflow input that asks for this run."""
    if leg.procedure == "rejoin":
        return {"estate": ESTATE, "cluster": leg.target, **options}
    return {"estate": ESTATE, "source": leg.source, "target": leg.target, **options}


class DecisionRefused(Exception):
    """A run refused a decision."""


class Product:
    """Unmodified workers and console, as processes."""

    def __init__(self, layout: Layout, address: str) -> None:
        self._layout = layout
        self._address = address
        self._records = layout.root / "records"
        self._workers: list[Worker] = []
        self._console: subprocess.Popen[bytes] | None = None

    @property
    def console_log(self) -> Path:
        """The console's output."""
        return console_log(self._layout)

    async def start_worker(self) -> None:
        """Start a worker; returns when it is ready."""
        layout = self._layout
        argv = ("--estates", str(layout.estate_file.parent), "--secrets", str(layout.keys))
        await self._add_worker("worker.log", *argv)

    async def start_worker_per_cluster(self, address: str) -> None:
        """Start the main worker and one for each cluster; returns when they are ready.

        *address* is where the clusters' workers find Temporal. Each is in its cluster's own
        network, if it has one.
        """
        divided = divide(self._layout, self._layout.estate_file.parent)
        await self._add_worker("worker.log", *divided.main)
        for cluster, argv in zip(self._layout.clusters, divided.clusters, strict=True):
            network = namespace(self._layout, cluster.name)
            log = f"worker-{cluster.name}.log"
            await self._add_worker(log, *argv, address=address, network=network)

    async def run(self, leg: Leg, client: Client, *more: str) -> Run:
        """Start this run by the console, with *more* options, and wait for its outcome."""
        began = time.time()
        argv: tuple[str, ...] = ("start", ESTATE, "--from", leg.source, "--to", leg.target)
        if leg.procedure == "rejoin":
            argv = ("rejoin", ESTATE, "--cluster", leg.target)
        self._console = self._start(self.console_log, *argv, "--wait", *more)
        if not await ended(self._console, END_TIMEOUT):
            return Run(f"none after {END_TIMEOUT:.0f} s", began, time.time())
        finished = time.time()
        code = self._console.returncode
        handle: Handle = client.get_workflow_handle(WORKFLOW)
        try:
            result = await handle.result()
        except (WorkflowFailureError, RPCError):
            failed = f"failed, exit {code}; see {self.console_log}"
            outcome = FINDINGS if EXITS.get(code) == FINDINGS else failed
            return Run(outcome, began, finished)
        stages = tuple(
            {"stage": stage["stage"], "seconds": stage["seconds"]} for stage in result["stages"]
        )
        outcome = result["outcome"]
        agrees = EXITS.get(code) == outcome
        return Run(outcome if agrees else f"{outcome}, but exit {code}", began, finished, stages)

    async def check(self, source: str, target: str) -> ReadinessAnswer:
        """Let the console check whether a switchover could begin."""
        log = self._layout.root / "check.log"
        log.unlink(missing_ok=True)
        began = time.monotonic()
        console = self._start(log, "check", ESTATE, "--from", source, "--to", target, "--json")
        if not await ended(console, CHECK_TIMEOUT):
            await end(console)
            return ReadinessAnswer(-1, (), CHECK_TIMEOUT, "no answer")
        seconds = round(time.monotonic() - began, 1)
        text = _text(log)
        try:
            answer = json.loads(text[text.index("{") : text.rindex("}") + 1])
            findings = tuple(answer["findings"])
        except (ValueError, KeyError):
            return ReadinessAnswer(console.returncode, (), seconds, text[-500:].strip())
        return ReadinessAnswer(console.returncode, findings, seconds)

    async def decide(self, verb: str, *argv: str) -> None:
        """Send a decision with the console."""
        log = self._layout.root / "decisions.log"
        console = self._start(log, verb, ESTATE, *argv)
        if not await ended(console, ANSWER_TIMEOUT) or console.returncode:
            raise DecisionRefused(f"{verb} was refused: {_text(log)[-500:]}")

    async def stop(self) -> None:
        """End all of them."""
        for process in (self._console, *(worker.process for worker in self._workers)):
            if process is not None:
                await end(process)

    async def _add_worker(
        self, log: str, *argv: str, address: str = "", network: Path | None = None
    ) -> None:
        worker = Worker.start(
            *(address or self._address, self._records, self._layout.root / log),
            *argv,
            network=network,
        )
        self._workers.append(worker)
        await worker.ready()

    def _start(self, log: Path, *argv: str) -> subprocess.Popen[bytes]:
        return run(self._address, self._records, log, "starter", *argv)


async def stage_of(client: Client) -> str:
    """Return the current stage; "" without an answer, without a plan, or between two runs."""
    handle = client.get_workflow_handle(WORKFLOW)
    try:
        if (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING:
            return ""
        status = await handle.query("status")
    except TemporalError:
        return ""
    return str(status["stage"]) if status else ""


async def state_of(handle: Handle) -> str:
    """Return the state that a run shows; "" before it shows any, and ``ended`` when it is over."""
    try:
        seen = await handle.describe()
    except RPCError:  # not started yet, or the server is away
        return ""
    if seen.status is not WorkflowExecutionStatus.RUNNING:
        return ENDED
    return seen.typed_search_attributes.get(STATE) or ""


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8") if log.exists() else ""
