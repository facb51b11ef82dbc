"""No file of the worker's machine that an estate names can hang it, fill it, or leave its place."""

import asyncio
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from activities.estate_files import read_estate
from activities.transport import files
from activities.transport.files import FILE_BYTES, SECRET_BYTES, in_time, read_file
from activities.transport.keys import known_hosts
from activities.transport.secrets import Secrets, readable_by_others
from activities.transport.tls import trust
from workflows.errors import AccessRefused, BadInput

SURPRISES = ("pipe", "socket", "folder", "/dev/full", "/dev/zero", "/dev/tty")
QUICKLY = 2.0
"""Seconds; on the code of before, each of these took for ever."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with everything that is no regular file."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", SURPRISES)
async def test_what_is_no_regular_file_is_refused_at_once(place: Path, name: str) -> None:
    """As a secret, as known hosts, as CA certificates and as an estate; each in one sentence."""
    file = place / name  # an absolute name stays as it is
    secrets = Secrets({}, [place, Path("/dev")])
    async with asyncio.timeout(QUICKLY):
        with pytest.raises(AccessRefused, match=re.escape(f"file:{file}: the worker may not read")):
            await secrets.read(f"file:{file}")
        with pytest.raises(AccessRefused, match=re.escape(f"the worker cannot read {file} (")):
            await known_hosts(str(file))
        with pytest.raises(AccessRefused, match="node1: the worker cannot use the CA"):
            await trust("node1", str(file), None)
        (place / "lab.yaml").symlink_to(file)
        with pytest.raises(BadInput, match=r"lab\.yaml cannot be read: "):
            await read_estate(place, "lab")


async def test_a_file_without_end_is_read_up_to_its_limit(place: Path) -> None:
    """A secret of 64 KiB, anything else of 1 MiB; a byte more is refused and said."""
    for most in (SECRET_BYTES, FILE_BYTES):
        file = place / str(most)
        file.write_bytes(b"x" * most)
        assert len(await read_file(file, most)) == most
        os.truncate(file, 1 << 40)  # a terabyte that takes no space
        with pytest.raises(OSError, match=f"longer than {most // 1024} KiB"):
            await read_file(file, most)
    with pytest.raises(AccessRefused, match="longer than 64 KiB"):
        await Secrets({}, [place]).read(f"file:{place / str(SECRET_BYTES)}")


async def test_an_empty_file_of_certificates_trusts_nobody(tmp_path: Path) -> None:
    """Least of all the certificates of the system."""
    for text in ("", "no certificate", "\xff"):
        (tmp_path / "ca.pem").write_text(text, encoding="utf-8")
        with pytest.raises(AccessRefused, match=r"cannot use the CA file .*/ca\.pem"):
            await trust("node1", str(tmp_path / "ca.pem"), None)
    assert (await trust("node1", None, None)).context.verify_mode is ssl.CERT_REQUIRED


async def test_a_file_system_that_is_away_holds_one_thread_and_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever asks is told within the limit, the event loop goes on, and the call is not repeated.

    A call of the kernel that never returns cannot be had without a dead server of files: a thread
    that waits for an event stands for it.
    """
    monkeypatch.setattr(files, "READ_TIMEOUT", 0.3)
    back, threads = threading.Event(), threading.active_count()
    slowest, at = 0.0, time.monotonic()
    asked = [asyncio.ensure_future(in_time("dead", back.wait)) for _ in range(20)]
    while not all(one.done() for one in asked):
        await asyncio.sleep(0.01)
        slowest, at = max(slowest, time.monotonic() - at), time.monotonic()
    assert threading.active_count() <= threads + 1
    assert slowest < 0.3  # in one step of 0.01 s, on a busy machine
    for one in asked:
        with pytest.raises(TimeoutError, match="its file system may be away"):
            one.result()
    back.set()
    assert await in_time("dead", back.wait)


async def test_a_secret_is_found_only_where_the_settings_say(tmp_path: Path) -> None:
    """Neither beside the directory, nor by a step back, nor by a link that leads out of it."""
    allowed, beside = tmp_path / "secrets", tmp_path / "secrets-of-others"
    for directory in (allowed, beside):
        directory.mkdir()
        (directory / "key").write_text("hidden\n")
    (allowed / "out").symlink_to(beside / "key")
    (allowed / "away").symlink_to(beside)
    (allowed / "within").symlink_to("key")  # as Kubernetes mounts them
    (tmp_path / "linked").symlink_to(allowed)
    secrets = Secrets({}, [tmp_path / "linked"])
    for name in ("key", "within", "../secrets/key"):
        assert await secrets.read(f"file:{allowed / name}") == "hidden"
    outside = (beside / "key", allowed / "out", allowed / "away/key", allowed / "../none")
    refused = (*outside, Path("/dev/tty"))
    for path in refused:
        with pytest.raises(AccessRefused, match=r"not lead below .*--secrets \(SWITCHOVER_SECRETS"):
            await secrets.read(f"file:{path}")
    with pytest.raises(AccessRefused, match=r"directory of secrets \(none\)"):
        await Secrets({}).read(f"file:{allowed / 'key'}")


async def test_whether_others_may_read_a_secret_is_asked_without_opening_it(place: Path) -> None:
    """A pipe is not waited for."""
    (place / "pipe").chmod(0o644)
    async with asyncio.timeout(QUICKLY):
        assert await readable_by_others(f"file:{place / 'pipe'}") == (str(place / "pipe"),)
