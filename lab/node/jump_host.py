"""The SSH server of the machine ``jumphost1``, which leads on to the others and runs nothing.

Faults (``SimulationOptions.faults``): ``refuses_login`` (any text): no key is accepted;
``session_seconds``: after so many seconds it breaks a connection off, as some jump hosts do, once
anything was changed: readings before that wait for nothing, and say what they found. The listener
on the lab's socket is asked about every login and every connection that is led on, and whether it
came after the first effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED
from typing_extensions import override

from lab import records
from lab.forking import Message
from lab.layout import JUMP_USER, SHELL_PORT
from lab.node.forwarding import connect
from lab.node.request_hook import RequestEvent, When, passes
from lab.node.shell import Context

LOGIN = "login"


class _Visitor(asyncssh.SSHServer):
    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked = False
        """Whether the client has shown its key; it proves next that the key is its own."""

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    @override
    def begin_auth(self, username: str) -> bool:
        return True

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        when: When = "after" if self._asked else "before"
        self._asked = True
        if not await self._passes(when, LOGIN):
            return False
        if "refuses_login" in self._context.faults:
            return False
        known = asyncssh.read_public_key(self._context.layout.keys / "jump.pub")
        return username == JUMP_USER and key.public_data == known.public_data

    @override
    def auth_completed(self) -> None:
        records.append(self._context.layout.ways, user=JUMP_USER)
        if seconds := self._context.faults.get("session_seconds"):
            self._break_off_after(float(seconds))

    @property
    def _changed(self) -> bool:
        return self._context.layout.effects.exists()

    def _break_off_after(self, seconds: float) -> None:
        def now() -> None:
            if self._changed:
                self._connection.abort()
            else:
                self._break_off_after(seconds)

        asyncio.get_running_loop().call_later(seconds, now)

    @override
    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> Awaitable[asyncssh.SSHTCPSession[bytes]] | bool:
        name = self._context.layout.behind.get(dest_host)
        return self._lead_on(name, dest_host, dest_port) if name else False

    async def _lead_on(self, name: str, address: str, port: int) -> asyncssh.SSHTCPSession[bytes]:
        text = f"{name}:{port}"
        if not await self._passes("before", text):
            raise asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, "connection lost")
        session = await connect(self._context.address, address, port)
        records.append(self._context.layout.ways, to=name, port=port)
        await self._passes("after", text)
        return session

    async def _passes(self, when: When, text: str) -> bool:
        text = f"{text} later" if self._changed else text
        event = RequestEvent(when, self._context.name, "ssh", text)
        goes = await passes(self._context.layout, event)
        if not goes:
            self._connection.abort()
        return goes


async def _serve(context: Context) -> None:
    async with asyncssh.listen(
        context.address,
        SHELL_PORT,
        config=None,
        server_factory=lambda: _Visitor(context),
        server_host_keys=[context.layout.keys / f"{context.name}_host_key"],
        allow_scp=False,
        reuse_address=True,
        kex_algs=("curve25519-sha256", "ecdh-sha2-nistp256"),
        server_version="OpenSSH_9.6",
    ):
        context.channel.send(Message("ready", sender="shell"))
        await asyncio.Event().wait()


def run(context: Context) -> None:
    """Be the SSH server of a jump host until the machine ends."""
    asyncio.run(_serve(context))
