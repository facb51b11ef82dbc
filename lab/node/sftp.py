"""The SFTP protocol server."""

import os
import stat
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncssh
from typing_extensions import override

from lab.layout import SFTP_PORT
from lab.node.service import Context, Line
from lab.node.sessions import ProtocolServer, Session
from lab.node.streaming import Frame, NoTransactionManager, Refused

_FAST_KEY_EXCHANGES = ("curve25519-sha256", "ecdh-sha2-nistp256")
_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr")


class SftpServer(ProtocolServer):
    """The SSH protocol server."""

    protocol = "ssh"

    def __init__(self, context: Context, line: Line) -> None:
        super().__init__(context, line)
        self._key = asyncssh.read_private_key(context.layout.keys / "sftp_host_key")

    async def open(self) -> None:
        """Listen; both clusters show the same host key."""
        self.listener = await asyncssh.listen(
            self.context.node.address,
            SFTP_PORT,
            config=None,
            server_factory=lambda: _Visitor(self),
            server_host_keys=[self._key],
            sftp_factory=_Files,
            kex_algs=_FAST_KEY_EXCHANGES,
            encryption_algs=_FAST_CIPHERS,
            compression_algs=None,
            server_version="SecureTransport",
            reuse_address=True,
        )


class _Visitor(asyncssh.SSHServer):
    """One client's connection."""

    def __init__(self, server: SftpServer) -> None:
        self.server = server
        self.stream = server.stream()
        self.session: Session | None = None
        self.lost = False

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        conn.set_extra_info(visitor=self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.session:
            self.server.end_session(self.session)
        self.stream.close()

    @override
    def password_auth_supported(self) -> bool:
        return True

    @override
    async def validate_password(self, username: str, password: str) -> bool:
        if not self.server.admits or self.server.refuses(username):
            return False
        try:
            await self.stream.ask("login", account=username, password=password)
        except (Refused, NoTransactionManager):
            return False
        if self.lost:  # a session that began now would never end
            return False
        peer = self._connection.get_extra_info("peername")[0]
        abort = self._connection.abort
        self.session = self.server.begin_session(Session(username, peer, abort))
        return True


class _OpenFile:
    def __init__(self, number: int) -> None:
        self.number = number

    def seek(self, offset: int, whence: int) -> int:
        """Say that there are no holes, which is all that asyncssh seeks itself."""
        return offset if whence == os.SEEK_DATA else sys.maxsize


class _Files(asyncssh.SFTPServer):
    """The files of one session; all of them are the Transaction Manager's."""

    def __init__(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(chan)
        self._visitor: _Visitor = chan.get_extra_info("visitor")
        self._server = self._visitor.server
        assert self._visitor.session
        self._session = self._visitor.session

    async def _ask(self, operation: str, payload: bytes = b"", **fields: Any) -> Frame:  # noqa: ANN401 - JSON
        if not self._server.admits and "file" not in fields:
            raise asyncssh.SFTPFailure("the server is shutting down")
        try:
            return await self._visitor.stream.ask(
                operation, payload, account=self._session.account, **fields
            )
        except Refused as refusal:
            if "No such file" in str(refusal):
                raise asyncssh.SFTPNoSuchFile(str(refusal)) from refusal
            raise asyncssh.SFTPFailure(str(refusal)) from refusal
        except NoTransactionManager as fault:
            raise asyncssh.SFTPFailure(str(fault)) from fault

    @override
    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if pflags & asyncssh.FXF_APPEND:
            raise asyncssh.SFTPOpUnsupported("appending is not supported")
        writes = bool(pflags & asyncssh.FXF_WRITE)
        answer = await self._ask("open", path=path.decode(), mode="write" if writes else "read")
        opened = _OpenFile(answer.head["file"])
        self._server.begin(opened)
        self._session.transferring += 1
        self._session.command = f"{'STOR' if writes else 'RETR'} {path.decode()}"
        return opened

    @override
    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        answer = await self._ask("read", file=_number(file_obj), offset=offset, size=size)
        return answer.payload

    @override
    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        await self._ask("write", data, file=_number(file_obj), offset=offset)
        return len(data)

    @override
    async def close(self, file_obj: object) -> None:
        # asyncssh closes what a lost client had open, too; that does not make its upload whole.
        state = self.channel._recv_state  # noqa: SLF001 - nothing public tells the two apart
        lost = self._visitor.lost or state != "open"
        try:
            if not lost:
                await self._ask("close", file=_number(file_obj))
        finally:
            self._session.transferring -= 1
            self._server.finish(file_obj)
            if lost:
                self._visitor.stream.close()

    @override
    async def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        return _attributes((await self._ask("size", file=_number(file_obj))).head["facts"])

    @override
    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return _attributes((await self._ask("stat", path=path.decode())).head["facts"])

    @override
    async def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return await self.stat(path)

    @override
    async def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        await self.stat(path)

    @override
    async def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        await self.fstat(file_obj)

    @override
    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        entries = (await self._ask("list", path=path.decode())).head["entries"]
        for name, *facts in entries:
            yield asyncssh.SFTPName(name.encode(), attrs=_attributes(facts))

    @override
    async def remove(self, path: bytes) -> None:
        await self._ask("remove", path=path.decode())

    @override
    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._ask("rename", path=oldpath.decode(), to=newpath.decode())

    @override
    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self.rename(oldpath, newpath)

    @override
    async def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        await self._ask("mkdir", path=path.decode())

    @override
    async def rmdir(self, path: bytes) -> None:
        await self._ask("rmdir", path=path.decode())

    @override
    def realpath(self, path: bytes) -> bytes:
        if not self._server.admits:
            raise asyncssh.SFTPFailure("the server is shutting down")
        return b"/" + path.lstrip(b"/.")


def _number(file_obj: object) -> int:
    assert isinstance(file_obj, _OpenFile)
    return file_obj.number


def _attributes(facts: list[int]) -> asyncssh.SFTPAttrs:
    folder, size, changed = facts
    mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
    kind = asyncssh.FILEXFER_TYPE_DIRECTORY if folder else asyncssh.FILEXFER_TYPE_REGULAR
    return asyncssh.SFTPAttrs(
        type=kind, size=size, permissions=mode, uid=0, gid=0, atime=changed, mtime=changed
    )
