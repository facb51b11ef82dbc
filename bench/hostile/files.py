"""Files that are none, are endless or lie elsewhere, in front of the real readers."""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from activities.estate_files import read_estate
from activities.transport.keys import known_hosts
from activities.transport.secrets import Secrets
from activities.transport.tls import trust
from bench.hostile import Case

Read = Callable[[Path], Awaitable[object]]


@asynccontextmanager
async def _placed(leads_to: str) -> AsyncIterator[str]:
    """Give a directory whose ``lab.yaml`` leads there."""
    with tempfile.TemporaryDirectory(prefix="switchover-bench-") as name:
        place = Path(name)
        os.mkfifo(place / "pipe")
        (place / "endless").touch()
        os.truncate(place / "endless", 1 << 40)
        (place / "lab.yaml").symlink_to(leads_to)
        yield name


async def _run(read: Read, directory: str) -> object:
    return await read(Path(directory))


READERS: dict[str, Read] = {
    "a secret": lambda at: Secrets({}, [at, Path("/dev")]).read(f"file:{at / 'lab.yaml'}"),
    "known hosts": lambda at: known_hosts(str(at / "lab.yaml")),
    "CA certificates": lambda at: trust("node1", str(at / "lab.yaml"), None),
    "an estate": lambda at: read_estate(at, "lab"),
}
FILES = {
    "pipe": "not a regular file",
    "/dev/full": "not a regular file",
    "/dev/zero": "not a regular file",
    "endless": "longer than (64|1024) KiB",
}

CASES = (
    *(
        Case(f"Files: {file} as {what}", partial(_placed, file), partial(_run, read), says)
        for what, read in READERS.items()
        for file, says in FILES.items()
    ),
    Case(
        "Files: a link out of the directory of secrets",
        partial(_placed, "/etc/passwd"),
        partial(_run, READERS["a secret"]),
        r"does not lead below a directory of secrets .*--secrets \(SWITCHOVER_SECRETS\)",
    ),
)
