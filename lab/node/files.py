"""File operations of one client session, and their records.

The Transaction Manager does the file operations of all protocol servers, on the cluster's storage.
An upload has a hidden name ending in ``.m_inproc`` until it is closed; then it queues an EVENT.
If the Transaction Manager ends before that, the file and an In Progress record remain.
"""

import hashlib
import os
import posixpath
import stat
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from lab.layout import ClusterLayout, password
from lab.node.database import Database
from lab.node.draining import Draining
from lab.node.streaming import Frame, Refused

POST_PROCESSING = "post_processing"
"""The kind of EVENT row that a Transaction Manager works off; others it leaves alone."""


@dataclass(eq=False)
class Transfer:
    """One open file."""

    id: uuid.UUID
    account: str
    final: Path
    upload: bool
    file: BufferedRandom | BufferedReader

    @property
    def hidden(self) -> Path:
        """Where an upload lies until it is whole."""
        return hidden(self.final, self.id)


def hidden(final: Path, name: uuid.UUID) -> Path:
    """Where the upload of that name lies until it is whole."""
    return final.with_name(f".{final.name}.{name.hex}.m_inproc")


class Visit:
    """What one stream asks for, and the files it has open."""

    def __init__(self, manager: Draining, database: Database, queued: Callable[[], None]) -> None:
        self._manager = manager
        self._cluster: ClusterLayout = manager.context.cluster
        self._database = database
        self._queued = queued
        self._numbers = count(1)
        self._open: dict[int, Transfer] = {}
        self._operations: dict[str, Callable[[dict[str, Any], bytes], Awaitable[Frame]]] = {
            "login": self._login,
            "list": self._list,
            "stat": self._stat,
            "open": self._open_file,
            "read": self._read,
            "write": self._write,
            "size": self._size,
            "close": self._close,
            "abort": self._abort,
            "remove": self._remove,
            "rename": self._rename,
            "mkdir": self._mkdir,
            "rmdir": self._rmdir,
        }

    async def answer(self, question: Frame) -> Frame:
        """Carry the operation out, or answer why not."""
        if not self._manager.admits and "file" not in question.head:
            return Frame({"draining": True})
        try:
            return await self._operations[question.head["operation"]](
                question.head, question.payload
            )
        except Refused as refusal:
            return Frame({"error": str(refusal)})
        except OSError as fault:
            return Frame({"error": fault.strerror or str(fault)})
        except psycopg.Error as fault:
            return Frame({"error": f"database: {fault}"})

    async def abandon(self) -> None:
        """Discard what is open: the client has disconnected."""
        for number in list(self._open):
            with suppress(OSError, psycopg.Error):
                await self._abort({"file": number}, b"")

    async def _login(self, asked: dict[str, Any], _: bytes) -> Frame:
        account = asked["account"]
        # One statement: it reads the account and writes the server log of the cluster.
        known = await self._database.run(
            "INSERT INTO logging_event (node, component, level, message) "
            "SELECT %s, %s, 'INFO', 'login of ' || name FROM account WHERE name = %s "
            "RETURNING id",
            asked["node"],
            asked["protocol"],
            account,
        )
        if not known or asked["password"] != password(account):
            raise Refused("authentication failed")
        self._home(account).mkdir(parents=True, exist_ok=True)
        return Frame()

    async def _list(self, asked: dict[str, Any], _: bytes) -> Frame:
        folder = self._path(asked)
        entries = [
            [entry.name, *_facts(entry.stat())]
            for entry in os.scandir(folder)
            if not entry.name.startswith(".")
        ]
        return Frame({"entries": sorted(entries)})

    async def _stat(self, asked: dict[str, Any], _: bytes) -> Frame:
        return Frame({"facts": _facts(self._path(asked).stat())})

    async def _open_file(self, asked: dict[str, Any], _: bytes) -> Frame:
        transfer = self._transfer(asked)
        await self._database.run(
            "INSERT INTO transferdata (id, account, path, protocol, direction, node, status) "
            "VALUES (%s, %s, %s, %s, %s, %s, 'In Progress')",
            transfer.id,
            transfer.account,
            self._shown(transfer),
            asked["protocol"],
            "upload" if transfer.upload else "download",
            asked["node"],
        )
        number = next(self._numbers)
        self._open[number] = transfer
        self._manager.begin(transfer)
        return Frame({"file": number})

    def _transfer(self, asked: dict[str, Any]) -> Transfer:
        name, path, upload = uuid.uuid4(), self._path(asked), asked["mode"] == "write"
        file = hidden(path, name).open("w+b") if upload else path.open("rb")
        return Transfer(name, asked["account"], path, upload, file)

    async def _read(self, asked: dict[str, Any], _: bytes) -> Frame:
        file = self._opened(asked).file
        file.seek(asked["offset"])
        return Frame({}, file.read(asked["size"]))

    async def _write(self, asked: dict[str, Any], data: bytes) -> Frame:
        file = self._opened(asked).file
        file.seek(asked["offset"])
        file.write(data)
        return Frame()

    async def _size(self, asked: dict[str, Any], _: bytes) -> Frame:
        transfer = self._opened(asked)
        transfer.file.flush()
        return Frame({"facts": _facts(os.fstat(transfer.file.fileno()))})

    async def _close(self, asked: dict[str, Any], _: bytes) -> Frame:
        transfer = self._opened(asked)
        digest, size = _digest(transfer.file)
        transfer.file.close()
        async with self._database.transaction() as connection:
            await connection.execute(
                "UPDATE transferdata SET status = 'Processed', sha256 = %s, bytes = %s, "
                "ended = now() WHERE id = %s",
                (digest, size, transfer.id),
            )
            if transfer.upload:
                transfer.hidden.replace(transfer.final)
                await connection.execute(
                    "INSERT INTO event (id, kind, account, path, node) VALUES (%s, %s, %s, %s, %s)",
                    (
                        transfer.id,
                        POST_PROCESSING,
                        transfer.account,
                        self._shown(transfer),
                        self._manager.context.node.name,
                    ),
                )
        self._done(asked)
        self._queued()
        return Frame()

    async def _abort(self, asked: dict[str, Any], _: bytes) -> Frame:
        transfer = self._opened(asked)
        transfer.file.close()
        if transfer.upload:
            transfer.hidden.unlink(missing_ok=True)
        self._done(asked)
        await self._database.run(
            "UPDATE transferdata SET status = 'Failed', ended = now() WHERE id = %s", transfer.id
        )
        return Frame()

    async def _remove(self, asked: dict[str, Any], _: bytes) -> Frame:
        self._path(asked).unlink()
        return Frame()

    async def _rename(self, asked: dict[str, Any], _: bytes) -> Frame:
        self._path(asked).rename(self._path({**asked, "path": asked["to"]}))
        return Frame()

    async def _mkdir(self, asked: dict[str, Any], _: bytes) -> Frame:
        self._path(asked).mkdir()
        return Frame()

    async def _rmdir(self, asked: dict[str, Any], _: bytes) -> Frame:
        self._path(asked).rmdir()
        return Frame()

    def _opened(self, asked: dict[str, Any]) -> Transfer:
        if asked["file"] not in self._open:
            raise Refused("no such open file")
        return self._open[asked["file"]]

    def _done(self, asked: dict[str, Any]) -> None:
        self._manager.finish(self._open.pop(asked["file"]))

    def _home(self, account: str) -> Path:
        return self._cluster.storage / "accounts" / account

    def _path(self, asked: dict[str, Any]) -> Path:
        # A leading slash makes ".." end at the account's own top.
        inside = posixpath.normpath(posixpath.join("/", asked["path"])).lstrip("/")
        return self._home(asked["account"]) / inside

    def _shown(self, transfer: Transfer) -> str:
        return str(transfer.final.relative_to(self._home(transfer.account)))


def _facts(found: os.stat_result) -> list[int]:
    return [int(stat.S_ISDIR(found.st_mode)), found.st_size, int(found.st_mtime)]


def _digest(file: BufferedRandom | BufferedReader) -> tuple[str, int]:
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")
    return digest.hexdigest(), file.tell()
