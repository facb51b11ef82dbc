"""A client that stays connected to a node directly, not through the load balancer.

Run it as ``python -m lab.campaigns.preflight_faults.direct_client ADDRESS HOST_KEY PID_FILE``.
It is a process of its own, which outlives the command that started it.
"""

import asyncio
import os
import sys
from pathlib import Path

import asyncssh

from lab.campaigns.preflight_faults import detached
from lab.environment.seed_data import ACCOUNTS
from lab.layout import SFTP_PORT, Layout, NodeLayout, account, password

ACCOUNT = account(ACCOUNTS)


async def start(layout: Layout, node: NodeLayout) -> None:
    """Connect to a node, without waiting for the session."""
    await detached.start(
        __name__, *(node.address, layout.keys / "sftp_host_key.pub", _pid_file(node))
    )


def stop(node: NodeLayout) -> None:
    """Disconnect, if there is a client."""
    detached.stop(__name__, _pid_file(node))
    _pid_file(node).unlink(missing_ok=True)


def is_connected(node: NodeLayout) -> bool:
    """Return whether the node's own log shows its session."""
    log = node.home / "var/logs/server.jsonl"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return text.count(f"of {ACCOUNT} began") > text.count(f"of {ACCOUNT} ended")


def _pid_file(node: NodeLayout) -> Path:
    return node.root / "tmp/direct_client.pid"


async def _stay_connected(address: str, host_key: str) -> None:
    async with (
        asyncssh.connect(
            address,
            SFTP_PORT,
            config=None,
            username=ACCOUNT,
            password=password(ACCOUNT),
            known_hosts=([asyncssh.read_public_key(host_key)], [], []),
            client_keys=None,
            agent_path=None,
        ) as connection,
        connection.start_sftp_client() as client,
    ):
        await client.listdir(".")
        await connection.wait_closed()


def main() -> None:
    """Run the client."""
    address, host_key, pid_file = sys.argv[1:]
    Path(pid_file).write_text(str(os.getpid()), encoding="ascii")
    asyncio.run(_stay_connected(address, host_key))


if __name__ == "__main__":
    main()
