"""Options that several commands of the lab have."""

from typing import Annotated

import typer

from lab.layout import LoadBalancerDriver, ReplicationDriver

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
