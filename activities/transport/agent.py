"""Use a key of an SSH agent, which signs and never gives the key away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh
from asyncssh.agent import SSHAgentKeyPair
from typing_extensions import override

from activities.time_limits import LIMITS, Stopwatch
from activities.transport.secrets import Secrets
from activities.transport.ssh_errors import reason
from workflows.errors import AccessRefused


class AgentKey(SSHAgentKeyPair):
    """One key of an agent; what it does not sign in time, it refuses."""

    def __init__(self, agent: asyncssh.SSHAgentClient, name: str, key: asyncssh.SSHKey) -> None:
        super().__init__(agent, key.algorithm, key.public_data, b"")
        self._name = name

    @override
    async def sign_async(self, data: bytes) -> bytes:
        try:
            return await Stopwatch().time(super().sign_async(data), LIMITS.get().reach)
        except TimeoutError as silence:
            raise asyncssh.PermissionDenied(
                f"{self._name} did not sign within {LIMITS.get().reach:g} s; does it ask somebody?"
            ) from silence
        except (ValueError, OSError) as refusal:
            raise asyncssh.PermissionDenied(
                f"{self._name} did not sign: {reason(refusal)}"
            ) from refusal


@asynccontextmanager
async def agent_key(
    secrets: Secrets, reference: str, key: asyncssh.SSHKey
) -> AsyncIterator[AgentKey]:
    """Give the agent's key whose public half this is; its connection ends with the block.

    Raises:
        AccessRefused: the agent does not answer, or has no such key.
        BadInput: the reference leads to no socket.
    """
    name = f"the agent {reference}"
    async with asyncssh.SSHAgentClient(await secrets.socket(reference)) as agent:
        limit = LIMITS.get().reach
        try:
            keys = await Stopwatch().time(agent.get_keys([key.public_data]), limit)
        except TimeoutError as silence:
            raise AccessRefused(
                f"{name} did not answer within {limit:g} s; start it again, or correct ssh.agent"
            ) from silence
        except (ValueError, OSError) as fault:
            raise AccessRefused(
                f"{name} does not answer ({reason(fault)}); start it as the worker's user, or "
                "correct ssh.agent"
            ) from fault
        if not keys:
            raise AccessRefused(
                f"{name} shows no key {key.get_fingerprint()}, which public_key names; add it with "
                "ssh-add, correct public_key, or unlock the agent: one that is locked shows none"
            )
        yield AgentKey(agent, name, key)
