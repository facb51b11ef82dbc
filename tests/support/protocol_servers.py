"""What clients reach: real SFTP and HTTPS servers, in this process and on loopback."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncssh
from aiohttp import web

from tests.support.admin_api import Api, Certificate, serving
from tests.support.http_server import serving_http
from tests.support.ssh_machines import CLIENT_KEY, HOST_KEY
from workflows.model.estate import Protocol


@dataclass
class Front:
    """What clients reach: a login is listed by the node that the load balancer chose."""

    apis: dict[str, Api]
    goes_to: str | None = "one"
    sessions: int = 0
    ports: dict[Protocol, int] = field(default_factory=dict)
    streams: bool = True
    """Whether a Transaction Manager can be reached: without one there are logins, and no lists."""
    passwords: bool = True
    """Whether the account may log in with its password; with the client key it always may."""
    hangs: bool = False
    """Whether a login waits for an answer that never comes."""

    def login(self, protocol: str) -> None:
        """List one more session, on the node that it reaches."""
        self.sessions += 1
        session = {
            "id": self.sessions,
            "userName": "probe",
            "host": "10.0.0.9",
            "protocol": protocol,
            "sessionCreationTime": datetime.now(UTC).isoformat(),
        }
        if self.goes_to is not None:
            self.apis[self.goes_to].sessions.append(session)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer to HTTPS."""
        if "Authorization" not in request.headers:
            return web.Response(status=401)
        self.login("https")
        return web.Response(status=404 if self.streams else 503)


class Login(asyncssh.SSHServer):
    """An SFTP server's side of a login."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def password_auth_supported(self) -> bool:
        """Accept passwords where the account may use one."""
        return self._front.passwords

    def public_key_auth_supported(self) -> bool:
        """Accept keys."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Know the key of one account."""
        return username == "probe" and key.public_data == CLIENT_KEY.public_data

    async def validate_password(self, username: str, password: str) -> bool:
        """Know one account."""
        if self._front.hangs:
            await asyncio.sleep(60)
        return (username, password) == ("probe", "probe-secret")

    def auth_completed(self) -> None:
        """Begin a session."""
        self._front.login("ssh")


@asynccontextmanager
async def serving_clients(certificate: Certificate) -> AsyncIterator[Front]:
    """Run one SFTP and one HTTPS server, and an admin API for each cluster."""
    async with serving(certificate) as one, serving(certificate) as two:
        front = Front({"one": one, "two": two})

        class Files(asyncssh.SFTPServer):
            def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
                if not front.streams:
                    raise asyncssh.SFTPFailure("no Transaction Manager")
                return super().scandir(path)

        sftp = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: Login(front),
            server_host_keys=[HOST_KEY],
            sftp_factory=Files,
            config=None,
        )
        async with serving_http(front.answer, certificate.file, "GET", "/") as https:
            front.ports = {Protocol.SSH: sftp.get_port(), Protocol.HTTP: https}
            yield front
        sftp.close()
        await sftp.wait_closed()
