"""HAProxy itself keeps, over a reload, the addresses of which we say so."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from activities.load_balancer import haproxy_facts
from activities.load_balancer.haproxy_facts import KnownNames
from lab.environment.load_balancers.base import haproxy
from tests.support.polling import eventually

HEAD = """\
global
    stats socket {folder}/socket level admin
    server-state-file {folder}/state
    server-state-base {folder}
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend unused
    bind unix@{folder}/unused
"""
SERVER = "server a ipv4@localhost:22"
LOADED = "load-server-state-from-file global"
BACKENDS = (
    f"{SERVER}",
    f"{LOADED}\n {SERVER}",
    f"load-server-state-from-file local\n server-state-file-name state\n {SERVER}",
    f"{LOADED}\n server-template a 1 ipv4@localhost:22",
    f"{LOADED}\n default-server init-addr libc\n {SERVER}",
    f"{LOADED}\n {SERVER}\n default-server init-addr libc",
    f"{LOADED}\n {SERVER} init-addr last,libc",
    f"{SERVER} init-addr none",
    f"{SERVER} init-addr 127.0.0.7,libc",
)
OLD, NEW = "127.0.0.9", "127.0.0.1"


def configuration(folder: Path) -> str:
    """Return a configuration with every backend."""
    backends = (f"backend b{number}\n {text}\n" for number, text in enumerate(BACKENDS))
    return HEAD.format(folder=folder) + "".join(backends)


def ask(folder: Path) -> str:
    """Return the state of HAProxy's servers; nothing while it does not answer."""
    with socket.socket(socket.AF_UNIX) as control:
        try:
            control.connect(str(folder / "socket"))
        except OSError:
            return ""
        control.sendall(b"show servers state\n")
        return b"".join(iter(lambda: control.recv(65536), b"")).decode()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[str]:
    """Run HAProxy; yields the state of its servers."""
    file = folder / "haproxy.cfg"
    file.write_text(configuration(folder), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(haproxy(), "-q", "-db", "-f", file)
    try:
        await eventually(lambda: "localhost" in ask(folder))
        yield ask(folder)
    finally:
        process.terminate()
        await process.wait()


async def test_haproxy_keeps_the_addresses_that_we_say(tmp_path: Path) -> None:
    """Where its state was saved before the reload, and elsewhere."""
    async with running(tmp_path) as state:
        saved = state.replace(NEW, OLD)
    (tmp_path / "state").write_text(saved, encoding="utf-8")
    async with running(tmp_path) as state:
        rows = [line.split() for line in state.splitlines()[2:] if line.strip()]
    kept = {row[1] for row in rows if row[1].startswith("b") and row[4] != NEW}
    names = KnownNames({"localhost": {"one": OLD, "two": NEW}})
    said = haproxy_facts.read(configuration(tmp_path), names).kept_addresses
    assert {line.split(":")[0].removeprefix("backend ") for line in said} == kept
    assert 0 < len(kept) < len(BACKENDS)
