"""The command line of the lab: ``python -m lab up``, ``demo``, ``crash`` and more."""

import asyncio
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from lab import networks
from lab.campaigns.crash.command import crash
from lab.campaigns.options import (
    BAD_INPUT,
    Driver,
    JumpHost,
    Replicating,
    RunAs,
    Windows,
    WorkerPerCluster,
    chosen,
)
from lab.campaigns.preflight_faults.command import inject, readiness
from lab.campaigns.rollback_matrix.command import rollback
from lab.campaigns.round_trips.command import round_trips
from lab.campaigns.unkind_sites.command import unkind
from lab.checker.expected import Variant
from lab.demo import Demo, DemoOptions
from lab.environment.estate_file import write_estate
from lab.environment.lab import Lab
from lab.environment.seed_data import ACCOUNTS
from lab.fault_injection.fault import Fault
from lab.fault_injection.operator import Answer
from lab.fault_injection.scenario import FaultScenario
from lab.layout import USUAL_DRIVERS, Drivers, Layout
from lab.product_driver import FINDINGS
from lab.signals import cancelled_by_sigterm
from lab.traffic.process import CLIENTS

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

app.command()(crash)
app.command()(rollback)
app.command()(inject)
app.command()(readiness)
app.command()(unkind)
app.command()(round_trips)

EXITS = {"completed": 0, "rolled_back": 4, FINDINGS: 6}
"""The exit code of a demonstration without a problem, by outcome."""

Failing = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE:PLACE:KIND", help="Inject a fault there until the run has noticed it."
    ),
]
Answering = Annotated[
    Answer | None, typer.Option(help="The answer if the run asks then; by default retry.")
]
Directory = Annotated[Path | None, typer.Option("--dir", help="The directory of the lab.")]


@app.callback()
def lab() -> None:
    """A simulated estate behind real SSH, HTTP, HAProxy and PostgreSQL."""


@app.command()
def up(  # noqa: PLR0913 - each is a word of the command line
    directory: Directory = None,
    servers: Annotated[int, typer.Option(min=1, max=20, help="Of each cluster.")] = 2,
    edges: Annotated[int, typer.Option(min=0, max=20, help="Of each cluster.")] = 2,
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
    *,
    jump_host: JumpHost = False,
    run_as: RunAs = False,
    windows: Windows = False,
) -> None:
    """Serve an estate in the foreground until SIGINT or SIGTERM."""
    with lab_directory(directory) as place:
        drivers = chosen(Drivers(driver, replication, jump_host, run_as, windows))
        asyncio.run(_serve(Lab.open(place, servers, edges, drivers=drivers)))


@app.command()
def demo(  # noqa: PLR0913 - each is a word of the command line
    directory: Directory = None,
    json: Annotated[Path | None, typer.Option(help="Write the verdict to this file.")] = None,
    clients: Annotated[int, typer.Option(min=1, max=ACCOUNTS)] = CLIENTS,
    *,
    literal: Annotated[bool, typer.Option(help="Do as the vendor's page says.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep everything running until Ctrl-C.")] = False,
    fail: Failing = None,
    answer: Answering = None,
    variant: Annotated[Variant, typer.Option(help="Stage by stage, or node by node.")] = "by_stage",
    unkind_seed: Annotated[
        int | None,
        typer.Option(
            "--unkind", metavar="[SEED]", help="Machines as sites have them, chosen by the seed."
        ),
    ] = None,
    driver: Driver = "hosts_file",
    replication: Replicating = "postgresql",
    round_trip: Annotated[
        bool, typer.Option(help="Rejoin, switch back and rejoin again, too.")
    ] = False,
    worker_per_cluster: WorkerPerCluster = False,
    jump_host: JumpHost = False,
    run_as: RunAs = False,
    separate_networks: Annotated[
        bool, typer.Option(help="Each cluster in a network of its own, behind the jump host.")
    ] = False,
    windows: Windows = False,
) -> None:
    """Switch a running estate over and judge the run; exit 1 if anything went wrong.

    With --fail, exit 4 if everything was rolled back, and 6 if stage 0 refused to begin.
    """
    drivers = chosen(Drivers(driver, replication, jump_host, run_as, windows))
    scenario = _scenario(fail, answer, drivers, literal=literal)
    _require(
        not (round_trip and (literal or fail)),
        "--round-trip goes with neither --literal nor --fail",
    )
    _require(
        not (literal and worker_per_cluster),
        "--literal starts no worker: it does not go with --worker-per-cluster",
    )
    _require(
        not literal or drivers == USUAL_DRIVERS,
        "--literal edits a hosts file and reaches the machines and databases themselves: "
        "it goes with no other --load-balancer or --replication, no --jump-host and no --run-as, "
        "nor with --windows",
    )
    _require(
        not windows or unkind_seed is None,
        "--unkind brings shells of Unix: it does not go with --windows",
    )
    _require(
        not separate_networks or (jump_host and fail is None),
        "--separate-networks needs --jump-host, which leads into the clusters' networks, and goes "
        "with no --fail",
    )
    if separate_networks:
        _leave_network()
    with lab_directory(directory) as place, suppress(asyncio.CancelledError):
        options = DemoOptions(
            *(place, clients, literal, keep, json, scenario, variant, unkind_seed, drivers),
            round_trip=round_trip,
            worker_per_cluster=worker_per_cluster,
            separate_networks=separate_networks,
        )
        verdicts = asyncio.run(cancelled_by_sigterm(Demo(options).run()))
        failed = any(verdict.problems() for verdict in verdicts)
        raise typer.Exit(1 if failed else EXITS[verdicts[-1].outcome])
    raise typer.Exit(128 + signal.SIGTERM)


def _scenario(
    fail: str | None, answer: Answer | None, drivers: Drivers, *, literal: bool
) -> FaultScenario | None:
    """Read what is to fail; what cannot be is refused before anything is started."""
    if fail is None:
        _require(answer is None, "--answer says what follows a fault: it needs --fail")
        return None
    _require(not literal, "--literal drives nothing that could roll a fault back")
    try:
        fault = Fault.read(fail, Layout(Path("/"), "127.0.0", drivers=drivers))
    except ValueError as mistake:
        raise typer.Exit(_complain(f"--fail {fail}: {mistake}")) from mistake
    asks = not fault.before_no_return
    _require(
        asks or answer is None, f"{fault.stage} rolls back by itself: --answer is for later stages"
    )
    return FaultScenario(fault, answer or "retry")


def _leave_network() -> None:
    try:
        networks.leave()
    except networks.NoNetworks as reason:
        raise typer.Exit(_complain(f"--separate-networks: {reason}")) from reason


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not holds:
        raise typer.Exit(_complain(message))


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return BAD_INPUT


async def _serve(opening: AbstractAsyncContextManager[Lab]) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with opening as lab:
        write_estate(lab.layout, markers=not lab.layout.drivers.windows)
        print(f"ready: {lab.layout.estate_file}", flush=True)
        await ended.wait()


@contextmanager
def lab_directory(directory: Path | None) -> Iterator[Path]:
    """The directory that was given, or one that is removed with the lab."""
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="switchover-lab-", ignore_cleanup_errors=True) as made:
        yield Path(made)


def with_seed(arguments: Sequence[str]) -> list[str]:
    """Complete ``--unkind`` without a seed by one that is new each time."""
    given = list(arguments)
    for at in [n for n, word in enumerate(given) if word == "--unkind"]:
        if not given[at + 1 : at + 2] or given[at + 1].startswith("-"):
            given.insert(at + 1, str(secrets.randbelow(10_000)))
    return given


if __name__ == "__main__":
    app(with_seed(sys.argv[1:]))
