"""Options that several commands of the lab have."""

import sys
from typing import Annotated, NoReturn

import typer

from lab.layout import Drivers, LoadBalancerDriver, ReplicationDriver
from lab.node.windows.toolchain import missing

BAD_INPUT = 2
"""The exit code where what is asked for cannot be had."""

Driver = Annotated[
    LoadBalancerDriver,
    typer.Option("--load-balancer", help="What the product steers the load balancer with."),
]

NOT_SUSPENDED = (
    "rejoins start from a reset, after which a replication command knows of no suspension; "
    "leave --replication out"
)

Replicating = Annotated[
    ReplicationDriver,
    typer.Option("--replication", help="What the product controls replication with."),
]

JumpHost = Annotated[bool, typer.Option(help="Reach every machine through a jump host only.")]
RunAs = Annotated[
    bool, typer.Option(help="Log in as an account without rights; sudo leads to the owner.")
]

WorkerPerCluster = Annotated[
    bool, typer.Option(help="A worker for each cluster's nodes, with only that cluster's secrets.")
]


def _installable(windows: bool) -> bool:  # noqa: FBT001 - typer calls it with the value
    """Refuse Windows nodes where they cannot be had."""
    if windows and (sentence := missing()):
        _refuse(sentence)
    return windows


def _refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise typer.Exit(BAD_INPUT)


def chosen(drivers: Drivers) -> Drivers:
    """Return what was chosen; exit 2 where no machine has all of it."""
    if drivers.windows and drivers.run_as:
        _refuse("--run-as needs sudo, which Windows has not: leave one of both out")
    return drivers


Windows = Annotated[
    bool, typer.Option("--windows", help="The nodes run Windows.", callback=_installable)
]
