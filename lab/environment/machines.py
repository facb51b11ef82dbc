"""Prepare, start, reset and stop the machines of a lab.

Everything here blocks, for seconds at most: call it from a thread where an event loop runs.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from lab.environment.situation import BASELINE, Situation
from lab.forking import Channel, Message
from lab.keys import machine_names, make_keys
from lab.layout import Layout, NodeLayout
from lab.node import installation, options, services
from lab.node.windows.system import Windows
from lab.simulation_options import SimulationOptions

UNRECORDED = "baseline"
"""The actor of what runs when a lab starts."""
READY_TIMEOUT = 60.0
"""Seconds until a lab that does not come up is given up."""


class MachineFailed(Exception):
    """A machine did not do what it was asked; see its ``var/log``."""


def prepare(layout: Layout, situation: Situation = BASELINE) -> None:
    """Write what machines find when they boot for the first time; what was there is replaced."""
    layout.write()
    make_keys(layout)
    if not layout.simulation.exists():
        SimulationOptions().write(layout.simulation)
    for cluster in layout.clusters:
        for folder in ("accounts", "inbox", "done"):
            (cluster.storage / folder).mkdir(parents=True, exist_ok=True)
        options.forget(layout, cluster.name)
    for node in layout.nodes:
        _prepare_node(layout, node, schedules=situation.schedules(node))
    shutil.rmtree(layout.load_balancer_root / "var/lib/switchover", ignore_errors=True)
    others = [name for name in machine_names(layout) if layout.is_no_node(name)]
    for root in map(layout.machine_root, others):
        for folder in ("var/log", "var/lib", "proc", "tmp"):
            (root / folder).mkdir(parents=True, exist_ok=True)


def _prepare_node(layout: Layout, node: NodeLayout, *, schedules: bool) -> None:
    shutil.rmtree(node.root, ignore_errors=True)
    for folder in ("var/log", "var/lib", "proc", "run", "tmp"):
        (node.root / folder).mkdir(parents=True, exist_ok=True)
    installation.write(node)
    if node.windows:
        Windows(layout, node).prepare()
    (node.root / "var/scheduling.json").write_text(
        json.dumps(dict.fromkeys(services.SCHEDULING, schedules)), encoding="utf-8"
    )


class Machines:
    """The operating systems of all nodes, of ``loadbalancer1``, and of a jump host."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._fork_server: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    @property
    def pid(self) -> int:
        """The process from which all machines are forked."""
        assert self._fork_server, "start the machines first"
        return self._fork_server.pid

    def start(self) -> None:
        """Start every machine in its baseline; return when all of them serve."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(READY_TIMEOUT)
        layout = self._layout
        argv = (layout.root, theirs.fileno())
        with (layout.root / "machines.log").open("ab") as log:
            self._fork_server = subprocess.Popen(
                [sys.executable, "-m", "lab.node.fork_server", *map(str, argv)],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )
        theirs.close()
        self._channel = Channel(ours)
        self.boot()

    def boot(self, situation: Situation = BASELINE) -> None:
        """Start every machine with what runs on it then, after ``start`` or ``halt``."""
        names = machine_names(self._layout)
        for name in names:
            self._boot(name, self._services(name, situation), UNRECORDED)
        remaining = set(names)
        while remaining:
            remaining.discard(self._expect("ready").sender)

    def halt(self) -> None:
        """End every machine at once and leave no record of it."""
        self._say(Message("halt", "fork_server", number=1))
        self._expect("answer")

    def reset(self) -> None:
        """Put every machine and the simulation back to the baseline, but no database or storage.

        A lab that resets them, too, calls ``halt``, does so, then ``prepare`` and ``boot``.
        """
        self.halt()
        SimulationOptions().write(self._layout.simulation)
        prepare(self._layout)
        self.boot()

    def reboot(self, name: str) -> None:
        """Crash one machine and start it again, with the services that ran on it."""
        self._say(Message("crash", name, number=1))
        ran: list[str] = self._expect("answer").body["ran"]
        self._expect("ended")
        self._boot(name, ran, "boot")
        self._expect("ready")

    def restart(self, name: str, service: str) -> None:
        """Give a node's service a fresh process, without a record."""
        self._say(Message("restart", name, body={"service": service}))
        self._expect("ready")

    def stop(self) -> None:
        """End every machine and the process they are forked from."""
        if self._fork_server and self._channel:
            self._channel.close()
            self._fork_server.wait(READY_TIMEOUT)
        self._fork_server = self._channel = None

    def _services(self, name: str, situation: Situation) -> list[str]:
        if self._layout.is_no_node(name):
            return []
        return list(situation.running(self._layout.node(name)))

    def _boot(self, name: str, boot: list[str], by: str) -> None:
        self._say(Message("boot", name, body={"services": boot, "by": by}))

    def _say(self, message: Message) -> None:
        assert self._channel, "start the machines first"
        self._channel.send(message)

    def _expect(self, what: str) -> Message:
        """Wait for such a message; messages that nothing waits for are ignored."""
        assert self._channel
        while True:
            try:
                message = self._channel.receive()
            except TimeoutError as error:
                raise MachineFailed(
                    f"no machine answered {what!r} within {READY_TIMEOUT} s"
                ) from error
            if message is None:
                log = self._layout.root / "machines.log"
                raise MachineFailed(f"the machines have ended; see {log}")
            if message.what == what:
                return message
