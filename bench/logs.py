"""Measure `switchover logs` on many records: how fast they come, and what memory they take.

``python -m bench.logs [--records 1000000] [--json FILE]`` serves the admin APIs of two clusters,
which make up their records as they are asked for them, and runs a Temporal server, the unmodified
worker and the unmodified console as processes of their own. Nine of ten records are transfers.
It prints the measurements, and exits with 1 if a record is missing, comes twice or comes late, or
if a process has taken more memory than is allowed:

* ``records``: of both clusters together; ``sides``: those that were shown of each
* ``seconds``: from the start of the command to its end, and ``per_second``: records
* ``peak``: MiB of resident memory of console and worker; ``allowed``: the limit of each
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from bench.estate import write_result
from lab.polling import holds_within
from tests.conftest import dev_server, register_search_attributes
from tests.support import estates
from tests.support.admin_api import BASE, Certificate
from tests.support.http_server import serving_http
from tests.support.ssh_machines import admin_access

BEGIN = datetime(2026, 11, 27, tzinfo=UTC)
PER_SECOND = 50
"""Records of each list that have the same time."""
AUDIT_SHARE = 10
"""One of so many records is an audit entry."""
ALLOWED = 300
"""MiB of each process, however many records there are."""
PROCESSES = 2
READY_SECONDS, POLL_SECONDS = 60.0, 0.2
LINE_BYTES = 1 << 20
LINES_PER_READING, MIN_RECORDS = 2000, 10_000
"""Of the console's memory, which ends with its last lines still to be read."""


@dataclass
class Measurements:
    """The measurements of one command."""

    records: int
    allowed: int = ALLOWED
    seconds: float = 0.0
    per_second: float = 0.0
    peak: dict[str, float] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether everything is as it should be."""
        within = len(self.peak) == PROCESSES and max(self.peak.values()) <= self.allowed
        return within and not self.mistakes


@dataclass(frozen=True)
class Lists:
    """The admin API of one cluster, with so many transfers and audit entries."""

    cluster: str
    transfers: int
    entries: int

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the asked part of a list; the records before are not even made."""
        offset = int(request.query.get("offset", 0))
        audit = request.path == f"{BASE}/logs/audit"
        total = self.entries if audit else self.transfers
        numbers = range(total)[offset : offset + int(request.query.get("limit", 100))]
        make = self._entry if audit else self._transfer
        items = [make(number) for number in numbers]
        counts = {"returnCount": len(items), "totalCount": total}
        return web.json_response({"resultSet": counts, "result": items})

    def _transfer(self, number: int) -> dict[str, Any]:
        return {
            "id": {"urlrepresentation": f"{self.cluster}-{number}"},
            "filename": f"/in/{self.cluster}/2026/11/27/invoice-{number:08}.xml",
            "incoming": True,
            "protocol": "SSH",
            "serverInitiated": False,
            "operationIndex": None,
            "isCancellable": False,
            "startTime": _time(number),
            "account": f"partner{number % 1000:03}",
            "status": "Processed",
        }

    def _entry(self, number: int) -> dict[str, Any]:
        age = self.entries - 1 - number  # the newest first
        return {
            "id": f"{self.cluster}-{age}",
            "dateModified": _time(age * AUDIT_SHARE),
            "operationType": "UPDATE",
            "objectType": "Account",
            "objectName": f"{self.cluster}-{age:08}",
            "userName": "admin",
        }


def _time(number: int) -> str:
    return format_datetime(BEGIN + timedelta(seconds=number // PER_SECOND))


@asynccontextmanager
async def serving(records: int, directory: Path) -> AsyncIterator[None]:
    """Serve the admin APIs, and describe them in an estate file."""
    certificate = Certificate.make(directory / "node.pem")
    written = estates.written(1, 1)
    async with AsyncExitStack() as stack:
        for cluster in written["clusters"]:
            lists = Lists(cluster["name"], records // 2 - records // 20, records // 20)
            port = await stack.enter_async_context(serving_http(lists.answer, certificate.file))
            access = admin_access(port, fingerprint=certificate.fingerprint)
            ssh = written["defaults"]["ssh"] | {"port": port}
            cluster["nodes"][0] |= {"address": "127.0.0.1", "admin": access, "ssh": ssh}
        (directory / "estates").mkdir()
        (directory / "estates/lab.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
        yield


async def measure(records: int) -> Measurements:
    """Show all records once."""
    measured = Measurements(records)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        await stack.enter_async_context(serving(records, directory))
        temporal = await stack.enter_async_context(await dev_server())
        await register_search_attributes(temporal.client)
        address = temporal.client.service_client.config.target_host
        worker = await _started(
            *("worker", "--estates", str(directory / "estates"), "--records", str(directory)),
            *("--seal-keys", str(directory / "seal-keys"), "--secret-variables", "ADMIN"),
            address=address,
            log=directory / "worker.log",
        )
        stack.push_async_callback(_ended, worker)
        await _ready(directory / "worker.log")
        until = BEGIN + timedelta(seconds=records)
        span = ("--from", BEGIN.isoformat(), "--to", until.isoformat())
        began = time.monotonic()
        words = ("starter", "logs", "lab", *span, "--format", "json")
        console = await _started(*words, address=address)
        stack.push_async_callback(_ended, console)
        await _read(console, console.stdout or asyncio.StreamReader(), measured)
        measured.seconds = round(time.monotonic() - began, 1)
        measured.per_second = round(records / measured.seconds)
        measured.peak["worker"] = _peak(worker.pid) or 0.0
    return measured


async def _read(
    console: asyncio.subprocess.Process, lines: asyncio.StreamReader, measured: Measurements
) -> None:
    """Check every line as it comes."""
    sides, last, line = Counter[str](), "", b""
    seen = bytearray(measured.records)
    while line := await lines.readline():
        record = json.loads(line)
        sides[record["side"]] += 1
        if record["at"] < last:
            measured.mistakes.append(f"{record['what']} comes too late")
        last = record["at"]
        number = _number(record, measured.records)
        if seen[number]:
            measured.mistakes.append(f"{record['what']} comes twice")
        seen[number] = 1
        if sides.total() % LINES_PER_READING == 0 and (peak := _peak(console.pid)) is not None:
            measured.peak["console"] = peak
    measured.sides = dict(sides)
    if missing := measured.records - sum(seen):
        measured.mistakes.append(f"{missing} records are missing")
    if (code := await console.wait()) != 0:
        measured.mistakes.append(f"the command ended with exit code {code}")


def _number(record: dict[str, str], records: int) -> int:
    """Return which of all records it is: first those of cluster1, of each first the transfers."""
    [digits] = re.findall(r"-(\d{8})", record["what"])
    of_side = records // 2
    side = of_side * (record["side"] == "cluster2")
    return side + (of_side - records // 20) * (record["kind"] == "audit") + int(digits)


async def _started(
    module: str, *arguments: str, address: str, log: Path | None = None
) -> asyncio.subprocess.Process:
    with (log or Path(os.devnull)).open("wb") as file:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            env={**os.environ, "TEMPORAL_ADDRESS": address, "ADMIN": "admin-secret"},
            stdout=file if log else asyncio.subprocess.PIPE,
            stderr=file if log else None,
            limit=LINE_BYTES,
        )


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.wait()


async def _ready(log: Path) -> None:
    """Wait until the worker works."""
    if not await holds_within(READY_SECONDS, lambda: "ready: " in _text(log), POLL_SECONDS):
        raise TimeoutError(_text(log))


def _text(log: Path) -> str:
    return log.read_text("utf-8")


def _peak(pid: int) -> float | None:
    """Return how much memory a process has had at most, in MiB; None if it has ended."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return round(int(found[1]) / 1024, 1) if found else None


def main() -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000, help="a multiple of 20")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    arguments = parser.parse_args()
    if arguments.records < MIN_RECORDS or arguments.records % 20:
        parser.error(f"--records: write a multiple of 20, at least {MIN_RECORDS}")
    measured = asyncio.run(measure(arguments.records))
    write_result(asdict(measured) | {"good": measured.good}, arguments.json)
    return 0 if measured.good else 1


if __name__ == "__main__":
    sys.exit(main())
