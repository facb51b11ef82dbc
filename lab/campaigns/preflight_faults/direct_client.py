"""Who is the client that is connected to a node past the load balancer, until called back?

Run it as ``python -m lab.campaigns.preflight_faults.direct_client ADDRESS HOST_KEY PID_FILE``.
It is a process of its own: it outlives the command that sent it, and ends with its connection.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncssh

from lab.environment.process_state import alive
from lab.environment.seed_data import ACCOUNTS
from lab.layout import SFTP_PORT, Layout, NodeLayout, account, password
from lab.subprocesses import REPOSITORY

ACCOUNT = account(ACCOUNTS)


async def send(layout: Layout, node: NodeLayout) -> None:
    """Send one to a node; it is on its way when this returns."""
    words = (node.address, layout.keys / "sftp_host_key.pub", _pid_file(node))
    # Nobody's child: whoever sent it may end, and has nothing to collect.
    process = await asyncio.create_subprocess_exec(
        *("setsid", "--fork", sys.executable, "-m", "lab.campaigns.preflight_faults.direct_client"),
        *map(str, words),
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.wait()


def call_back(node: NodeLayout) -> None:
    """End the one that is there; nothing happens where there is none."""
    file = _pid_file(node)
    if alive(file):
        pid = int(file.read_text(encoding="ascii"))
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if __name__.encode() in words:  # or the number was used again
            os.kill(pid, signal.SIGTERM)
    file.unlink(missing_ok=True)


def is_inside(node: NodeLayout) -> bool:
    """Whether the node's own log says that one came and has not left."""
    log = node.home / "var/logs/server.jsonl"
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return text.count(f"of {ACCOUNT} began") > text.count(f"of {ACCOUNT} ended")


def _pid_file(node: NodeLayout) -> Path:
    return node.root / "tmp/direct_client.pid"


async def _visit(address: str, host_key: str) -> None:
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
    """Be one."""
    address, host_key, pid_file = sys.argv[1:]
    Path(pid_file).write_text(str(os.getpid()), encoding="ascii")
    asyncio.run(_visit(address, host_key))


if __name__ == "__main__":
    main()
