"""Client sessions over SFTP and HTTPS through the load balancer."""

import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from urllib.parse import quote

import asyncssh
import httpx

from lab.layout import HTTPS_PORT, SFTP_PORT, Layout, password
from lab.traffic.meter import Unexpected

CHUNK = 1 << 15


class Session(Protocol):
    """One login, whatever the protocol."""

    async def names(self) -> set[str]:
        """What lies in the account's folder."""

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Upload a file."""

    def get(self, name: str) -> AsyncIterator[bytes]:
        """Download a file, in parts."""

    async def close(self) -> None:
        """Leave."""


@dataclass(frozen=True)
class Gateway:
    """Where clients connect, and what they know of the servers."""

    layout: Layout

    async def sftp(self, account: str) -> Session:
        """Log in over SSH; the host key is verified."""
        connection = await asyncssh.connect(
            self.layout.load_balancer,
            SFTP_PORT,
            username=account,
            password=password(account),
            known_hosts=([self._host_key], [], []),
            client_keys=None,
            agent_path=None,
            config=None,
            kex_algs=("curve25519-sha256",),
            encryption_algs=("aes128-gcm@openssh.com",),
            compression_algs=None,
        )
        try:
            return SftpSession(connection, await connection.start_sftp_client())
        except BaseException:
            connection.abort()
            raise

    async def https(self, account: str) -> Session:
        """Open a session over TLS; the certificate is verified."""
        client = httpx.AsyncClient(
            base_url=f"https://{self.layout.load_balancer}:{HTTPS_PORT}/files/",
            auth=(account, password(account)),
            verify=self._authority,
            trust_env=False,
            timeout=httpx.Timeout(None),
            # One connection that stays: a session that pauses is still the same session.
            limits=httpx.Limits(max_connections=1, keepalive_expiry=None),
        )
        session = HttpsSession(client)
        try:
            await session.names()
        except BaseException:
            await client.aclose()
            raise
        return session

    @cached_property
    def _host_key(self) -> asyncssh.SSHKey:
        return asyncssh.read_public_key(self.layout.keys / "sftp_host_key.pub")

    @cached_property
    def _authority(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.layout.keys / "ca.pem")


class SftpSession:
    """A session over SSH."""

    def __init__(
        self, connection: asyncssh.SSHClientConnection, files: asyncssh.SFTPClient
    ) -> None:
        self._connection = connection
        self._files = files

    async def names(self) -> set[str]:
        """What lies in the account's folder."""
        return {str(name) for name in await self._files.listdir(".")} - {".", ".."}

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Upload a file."""
        async with self._files.open(name, "wb") as file:
            async for part in content:
                await file.write(part)

    async def get(self, name: str) -> AsyncIterator[bytes]:
        """Download a file, in parts."""
        async with self._files.open(name, "rb") as file:
            while part := await file.read(CHUNK):
                assert isinstance(part, bytes)
                yield part

    async def close(self) -> None:
        """Leave."""
        self._files.exit()
        self._connection.close()
        await self._connection.wait_closed()


class HttpsSession:
    """A session over TLS: one connection, kept."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def names(self) -> set[str]:
        """What lies in the account's folder."""
        return set(_good(await self._client.get("")).json())

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Upload a file."""
        _good(await self._client.put(quote(name), content=content))

    async def get(self, name: str) -> AsyncIterator[bytes]:
        """Download a file, in parts."""
        async with self._client.stream("GET", quote(name)) as answer:
            _good(answer)
            async for part in answer.aiter_bytes(CHUNK):
                yield part

    async def close(self) -> None:
        """Leave."""
        await self._client.aclose()


def digest(content: bytes) -> str:
    """SHA-256, as every record of the lab writes it."""
    return hashlib.sha256(content).hexdigest()


def _good(answer: httpx.Response) -> httpx.Response:
    if not answer.is_success:
        raise Unexpected(f"HTTP status {answer.status_code}")
    return answer
