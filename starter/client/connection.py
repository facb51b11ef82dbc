"""Connect to Temporal as its own environment configuration says."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from starter.client.errors import CommandError, ExitCode
from workflows.model.outcome import Outcome
from workflows.switchover import Switchover

RPC_TIMEOUT = timedelta(seconds=5)
"""A running worker answers a query or an update sooner."""

LOCAL_SERVER: ClientConnectConfig = {"target_host": "localhost:7233"}

Run = WorkflowHandle[Switchover, Outcome]


@dataclass(frozen=True)
class Temporal:
    """A connection to Temporal."""

    client: Client

    def run(self, estate: str, run_id: str | None = None) -> Run:
        """Return the handle of a run of an estate; without *run_id* the latest."""
        return self.client.get_workflow_handle_for(
            Switchover.run, workflow_id(estate), run_id=run_id
        )


def workflow_id(estate: str) -> str:
    """Return the only id that a switchover of this estate can have."""
    return f"switchover-{estate}"


async def connect() -> Temporal:
    """Connect to the Temporal server that the environment names, or the local one.

    Raises:
        CommandError: the configuration is unreadable, or no server answers at the address.
    """
    try:
        config = LOCAL_SERVER | ClientConfig.load_client_connect_config()
    except RuntimeError as mistake:
        message = f"Temporal's configuration cannot be read: {mistake}"
        raise CommandError(message, ExitCode.BAD_INPUT) from mistake
    address = config["target_host"]
    try:
        client = await Client.connect(**config, data_converter=pydantic_data_converter)
    except ValueError as mistake:
        message = f"{address} is not a valid address: {mistake}"
        raise CommandError(message, ExitCode.BAD_INPUT) from mistake
    except RuntimeError as error:  # what the SDK raises if it cannot connect
        raise CommandError(
            f"no Temporal server answers at {address}; start one, or name another with "
            "TEMPORAL_ADDRESS"
        ) from error
    return Temporal(client)
