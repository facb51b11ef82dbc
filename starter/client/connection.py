"""How the console reaches Temporal: by Temporal's own environment configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfigProfile

from starter.client.errors import Exit, Stop
from workflows.model.outcome import Outcome
from workflows.switchover import Switchover

ANSWER = timedelta(seconds=5)
"""A worker that is there answers sooner."""

Run = WorkflowHandle[Switchover, Outcome]


@dataclass(frozen=True)
class Temporal:
    """A connection, and the words it takes to say where it leads."""

    client: Client
    address: str

    def run(self, estate: str, run_id: str | None = None) -> Run:
        """Return the handle of an estate's run: the latest, if none is named."""
        return self.client.get_workflow_handle_for(
            Switchover.run, workflow_id(estate), run_id=run_id
        )


def workflow_id(estate: str) -> str:
    """Return the one id a switchover of this estate can have."""
    return f"switchover-{estate}"


async def connect() -> Temporal:
    """Connect to the Temporal server that the environment names, or the local one.

    Raises:
        Stop: the configuration cannot be read, or nobody answers there.
    """
    try:
        profile = ClientConfigProfile.load()
    except RuntimeError as mistake:
        words = f"Temporal's configuration cannot be read: {mistake}"
        raise Stop(words, Exit.BAD_INPUT) from mistake
    address = profile.address or "localhost:7233"
    config = profile.to_client_connect_config()
    try:
        client = await Client.connect(
            address,
            namespace=profile.namespace or "default",
            api_key=config.get("api_key"),
            tls=config.get("tls"),
            rpc_metadata=config.get("rpc_metadata", {}),
            data_converter=pydantic_data_converter,
        )
    except ValueError as mistake:
        raise Stop(f"{address} is no address: {mistake}", Exit.BAD_INPUT) from mistake
    except RuntimeError as silence:  # what the SDK raises where it cannot connect
        raise Stop(
            f"no Temporal server answers at {address}; start one, or name another with "
            "TEMPORAL_ADDRESS"
        ) from silence
    return Temporal(client, address)
